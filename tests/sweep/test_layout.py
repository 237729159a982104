"""The folders of the protocols, and that scripts and sweeps are one and the same."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from sweep.layout import ROOT, STEPS, Call, Setting, legs, train_arguments
from sweep.plan import Wanted, make_plan
from sweep.step import commands

SETTING = Setting("MaPLe", "C", "caltech101", 16, 1, "output")


@pytest.mark.parametrize(
    ("step", "folder", "classes", "model"),
    [
        ("base2new_train", "output/base2new/train_base/caltech101/shots_16/MaPLe/C/seed1", "base", ""),
        (
            "base2new_test",
            "output/base2new/test_new/caltech101/shots_16/MaPLe/C/seed1",
            "new",
            "output/base2new/train_base/caltech101/shots_16/MaPLe/C/seed1",
        ),
        ("xd_train", "output/caltech101/MaPLe/C_16shots/seed1", "all", ""),
        (
            "xd_test",
            "output/evaluation/MaPLe/C_16shots/caltech101/seed1",
            "all",
            "output/imagenet/MaPLe/C_16shots/seed1",
        ),
        ("fewshot", "output/fewshot/caltech101/shots_16/MaPLe/C/seed1", "all", ""),
    ],
)
def test_folders_are_those_of_the_protocols(step: str, folder: str, classes: str, model: str) -> None:
    (leg,) = legs(step, SETTING)
    assert (leg.folder, leg.classes, leg.model_folder, leg.eval_only) == (folder, classes, model, bool(model))


def test_released_weights_are_tested_on_base_and_new(tmp_path: Path) -> None:
    setting = Setting("MaPLe", "C", "dtd", 16, 2, "out", weights=str(tmp_path))
    found = legs("reproduce", setting)
    assert [leg.folder.split("/")[2] for leg in found] == ["test_base", "test_new"]
    assert [(leg.classes, leg.model_folder) for leg in found] == [("base", str(tmp_path)), ("new", str(tmp_path))]
    (leg,) = legs("reproduce_xd", setting)
    assert leg.folder == "out/evaluation/MaPLe/C_16shots/dtd/seed2"
    with pytest.raises(ValueError, match="WEIGHTS is '/none': expected the folder of a released model of seed 2"):
        legs("reproduce", Setting("MaPLe", "C", "dtd", 16, 2, weights="/none"))
    with pytest.raises(ValueError, match="unknown step 'train': expected one of base2new_train"):
        legs("train", setting)


def test_zero_shot_tests_need_no_model() -> None:
    (leg,) = legs("base2new_test", Setting("ZeroshotCLIP2", "vit_b16", "dtd", 16, 1))
    assert leg.eval_only and not leg.model_folder
    assert "--model-dir" not in train_arguments(leg, SETTING, Call(load_epoch="3"))


def test_a_dataset_may_be_a_file() -> None:
    setting = Setting("MaPLe", "C", "my/birds.yaml", 16, 1)
    (leg,) = legs("fewshot", setting)
    assert leg.folder == "output/fewshot/birds/shots_16/MaPLe/C/seed1"
    arguments = train_arguments(leg, setting, Call())
    assert arguments[arguments.index("--dataset-config-file") + 1] == "my/birds.yaml"


def test_arguments_in_full() -> None:
    (leg,) = legs("base2new_test", SETTING)
    call = Call("my data", ("OPTIM.LR", "0.1"), force=True, load_epoch="5")
    assert train_arguments(leg, SETTING, call) == [
        *("--trainer", "MaPLe", "--root", "my data", "--seed", "1", "--output-dir", leg.folder),
        *("--config-file", "configs/trainers/MaPLe/C.yaml"),
        *("--dataset-config-file", "configs/datasets/caltech101.yaml"),
        *("--force", "--eval-only", "--model-dir", leg.model_folder, "--load-epoch", "5"),
        *("DATASET.NUM_SHOTS", "16", "DATASET.SUBSAMPLE_CLASSES", "new", "OPTIM.LR", "0.1"),
    ]


def printed(script: str, *arguments: str, **environment: str) -> list[list[str]]:
    """The train.py arguments that a script would run with."""
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    done = subprocess.run(
        ["bash", str(ROOT / "scripts" / script), *arguments],
        env={**kept, "DRY_RUN": "1", **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [shlex.split(line)[2:] for line in done.stdout.splitlines()]


SCRIPTS = {
    "base2new": {
        "MaPLe": ("maple/base2new_train_maple.sh", "maple/base2new_test_maple.sh"),
        "CoCoOp": ("cocoop/base2new_train.sh", "cocoop/base2new_test.sh"),
        "VPT": ("vpt/base2new_train_vpt.sh", "vpt/base2new_test_vpt.sh"),
        "IVLP": ("independent-vlp/base2new_train_ivlp.sh", "independent-vlp/base2new_test_ivlp.sh"),
        "IVLP:vit_b16_c2_ep5_batch4_4ctx_language_only": (
            "language-prompting/base2new_train_lp.sh",
            "language-prompting/base2new_test_lp.sh",
        ),
    },
    "xd": {
        "MaPLe": ("maple/xd_train_maple.sh", "maple/xd_test_maple.sh"),
        "CoCoOp": ("cocoop/xd_train.sh", "cocoop/xd_test.sh"),
        "VPT": ("vpt/xd_train_vpt.sh", "vpt/xd_test_vpt.sh"),
        "IVLP": ("independent-vlp/xd_train_ivlp.sh", "independent-vlp/xd_test_ivlp.sh"),
    },
}


@pytest.mark.parametrize(
    ("protocol", "method"), [(protocol, method) for protocol, methods in SCRIPTS.items() for method in methods]
)
def test_scripts_run_what_sweeps_run(protocol: str, method: str) -> None:
    """Same folders, same settings, same arguments, whichever way a run is started."""
    train, test = SCRIPTS[protocol][method]
    first = "imagenet" if protocol == "xd" else "dtd"
    lines = [*printed(train, first, "2"), *printed(test, "dtd", "2")]
    plan = make_plan(Wanted([protocol], [method], ["dtd"], seeds=[2]))
    assert lines == [list(run.arguments) for run in plan.runs.values()]


@pytest.mark.parametrize("method", ["MaPLe", "CoOp", "LinearProbe", "ZeroshotCLIP"])
def test_fewshot_script_runs_what_sweeps_run(method: str) -> None:
    lines = printed("fewshot.sh", method, "caltech101", "4", "3", OUTPUT="out", DATA="d", OPTS="OPTIM.LR 1")
    call = Call("d", ("OPTIM.LR", "1"))
    plan = make_plan(Wanted(["fewshot"], [method], ["caltech101"], seeds=[3], shots=[4], output="out", call=call))
    assert lines == [list(run.arguments) for run in plan.runs.values()]


def test_scripts_take_seeds_and_force() -> None:
    lines = printed("maple/base2new_train_maple.sh", "dtd", SEEDS="1 2 5", FORCE="1", CFG="quickstart", SHOTS="8")
    assert [line[line.index("--seed") + 1] for line in lines] == ["1", "2", "5"]
    assert all("--force" in line for line in lines)
    assert "output/base2new/train_base/dtd/shots_8/MaPLe/quickstart/seed5" in lines[-1]


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (["base2new_train", "MaPLe", "dtd"], {}, "no seed: give one after the dataset, or several in SEEDS"),
        (["base2new_train", "MaPLe", "dtd", "x"], {}, "SEED is 'x': expected a whole number"),
        (["base2new_train", "MaPLe", "dtd", "1"], {"SHOTS": "few"}, "SHOTS is 'few': expected a whole number"),
        (["base2new_train", "Nobody", "dtd", "1"], {}, "which setting of Nobody"),
        (["nonsense", "MaPLe", "dtd", "1"], {}, f"unknown step 'nonsense': expected one of {', '.join(STEPS)}"),
    ],
)
def test_mistakes_are_one_sentence(arguments: list[str], environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        commands(arguments, environment)
