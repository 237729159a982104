"""docs/add_a_method.md, done: its file and its setting in a copy of the trainers, run as its reader would."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.trainers.test_settings import HEADER
from train import HERE


def code_blocks(kind):
    text = (HERE / "docs" / "add_a_method.md").read_text()
    return re.findall(rf"```{kind}\n(.*?)```", text, flags=re.DOTALL)


def test_the_example_runs_as_it_stands(tmp_path, weights, data_root):
    house = tmp_path / "house"
    house.mkdir()
    for name in ("train.py", "trainers", "configs", "datasets", "dassl", "prompted_clip"):
        source = HERE / name
        if source.is_dir():
            shutil.copytree(source, house / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, house / name)
    (house / "trainers" / "dual.py").write_text(code_blocks("python")[0])
    (house / "configs/trainers/Dual").mkdir()
    (house / "configs/trainers/Dual/quickstart.yaml").write_text(code_blocks("yaml")[0])

    def call(*words):
        command = [sys.executable, "train.py", *words]
        return subprocess.run(command, cwd=house, capture_output=True, text=True)

    assert "Dual" in call("--list").stdout
    options = ["--root", str(data_root), "MODEL.BACKBONE.NAME", str(weights), "OPTIM.MAX_EPOCH", "1"]
    done = call("--trainer", "Dual", *options)
    assert done.returncode == 0, done.stderr
    assert "accuracy" in done.stdout
    assert (house / "output/digits/Dual/quickstart/seed1/run.json").is_file()
    refused = call("--trainer", "Dual", "--output-dir", "output/other", *options, "TRAINER.DUAL.N_CTX", "0")
    assert refused.returncode == 2 and "N_CTX is 0" in refused.stderr


def test_the_examples_setting_has_the_header_that_the_tests_ask_for():
    header = [line for line in code_blocks("yaml")[0].splitlines() if line.startswith("#")]
    assert all(any(word in line for line in header) for word in HEADER)


def test_the_example_is_formatted_and_typed(tmp_path):
    path = Path(tmp_path / "dual.py")
    path.write_text(code_blocks("python")[0])
    for command in (["ruff", "check"], ["ruff", "format", "--check"]):
        config = ["--config", str(HERE / "pyproject.toml")]
        done = subprocess.run([sys.executable, "-m", *command, *config, str(path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
