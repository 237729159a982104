"""A file in trainers/ that cannot be imported is named, and stops no other method."""

import subprocess
import sys

import pytest

import trainers
from train import HERE

METHOD = """
from dassl.engine import TRAINER_REGISTRY
from trainers.common.base import PromptTrainer
{before}

@TRAINER_REGISTRY.register()
class Mine(PromptTrainer):
    node = "MINE"

{after}
"""
IMPORT = "trainers/mine.py is broken, and its methods are left out: ImportError: cannot import name 'MaPle' from"
FILES = {
    "import": (METHOD.format(before="from trainers.maple import MaPle", after=""), IMPORT, "(mine.py, line 4)"),
    "syntax": (METHOD.format(before="x = (", after=""), "trainers/mine.py is broken", "(mine.py, line "),
    "late": (METHOD.format(before="", after="raise RuntimeError('not\\nyet')"), "RuntimeError: not yet", "line 10)"),
    "name taken": (METHOD.format(before="", after="").replace("Mine(", "MaPLe("), "'MaPLe' is already registered", ""),
    "config": (
        METHOD.format(before="", after="def add_config(cfg):\n    cfg.TRAINER.MINE.N_CTX = 2"),
        "AttributeError: MINE",
        "",
    ),
}


def call(house, *words):
    return subprocess.run([sys.executable, "train.py", *words], cwd=house, capture_output=True, text=True)


@pytest.mark.parametrize("content, told, where", FILES.values(), ids=FILES)
def test_it_is_named_and_the_others_go_on(house, data_root, weights, content, told, where):
    (house / "trainers" / "mine.py").write_text(content)
    listed = call(house, "--list")
    assert listed.returncode == 0 and "MaPLe" in listed.stdout
    if "add_config" not in content:  # which only a run calls
        assert "Mine" not in listed.stdout
        assert told in listed.stderr and where in listed.stderr and listed.stderr.count("\n") == 1
    asked = call(house, "--trainer", "Mine", "--config-file", str(HERE / "configs/trainers/MaPLe/quickstart.yaml"))
    assert asked.returncode == 2
    error = asked.stderr.splitlines()[-1]
    assert error.startswith("error: ") and "trainers/mine.py" in error and told.partition("left out: ")[2] in error
    options = ["--root", str(data_root), "MODEL.BACKBONE.NAME", str(weights), "VERBOSE", "False"]
    done = call(house, "--trainer", "ZeroshotCLIP", *options)
    assert done.returncode == 0 and "accuracy" in done.stdout, done.stderr
    assert "trainers/mine.py is broken" in done.stderr


def test_a_file_that_another_imports(house):
    (house / "trainers" / "vpt.py").write_text("import nothing_of_this_name\n")
    listed = call(house, "--list")
    assert "MaPLe" in listed.stdout and "VPT" not in listed.stdout and "IVLP" not in listed.stdout
    told = "ModuleNotFoundError: No module named 'nothing_of_this_name' (vpt.py, line 1)"
    assert [line.endswith(told) for line in listed.stderr.splitlines()] == [
        True
    ] * 3  # PromptSRC's learner is IVLP's, which takes VPT's prompts
    # PromptSRC's learner is IVLP's, which takes VPT's prompts
    assert {line.split()[0] for line in listed.stderr.splitlines()} == {
        f"trainers/{name}.py" for name in ("ivlp", "promptsrc", "vpt")
    }


def test_none_of_ours_is_broken():
    """The other tests go by the registry and would pass a file over that cannot be imported."""
    assert trainers.BROKEN == {}
    files = {f"trainers/{path.name}" for path in (HERE / "trainers").glob("*.py") if path.name != "__init__.py"}
    assert files <= {file for file, _ in trainers._MODULES.values()}
