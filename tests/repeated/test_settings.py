"""A repeated command: answered by the record only if it asks the same, else told in what it differs."""

import json
import os
import shutil
import subprocess
import sys

import train
from dassl.records import lock_output_dir
from tests.stubs import random_clip, save_state_dict
from tests.trainers.conftest import SHAPE
from train import HERE

from .answers import assert_complete, assert_refused


def test_the_same_command_is_answered_without_comparing(call, slow):
    call()
    assert_complete(call())
    assert len(slow) == 1


def test_without_marks_the_comparison_is_made_and_they_are_there_again(call, slow, tmp_path):
    call()
    before = (tmp_path / "run" / "marks.json").read_bytes()
    (tmp_path / "run" / "marks.json").unlink()
    assert_complete(call())
    assert len(slow) == 2 and (tmp_path / "run" / "marks.json").read_bytes() == before
    assert_complete(call())
    assert len(slow) == 2


def test_another_order_of_words_asks_the_same(call, slow, tmp_path):
    call("--seed", "1", "VERBOSE", "False", "DATASET.SUBSAMPLE_CLASSES", "all")
    assert_complete(call("--seed", "1", "DATASET.SUBSAMPLE_CLASSES", "all", "VERBOSE", "True", "TRAIN.PRINT_FREQ", "3"))
    assert len(slow) == 2
    assert_refused(call("DATASET.SUBSAMPLE_CLASSES", "new"), "DATASET.SUBSAMPLE_CLASSES: all → new", "class")
    assert len(json.loads((tmp_path / "run" / "run.json").read_text())["data"]["classnames"]) == 10


def test_an_edited_config_file(call, tmp_path):
    mine = tmp_path / "mine.yaml"
    shutil.copy(HERE / "configs/trainers/MaPLe/quickstart.yaml", mine)
    options = {"trainer": "MaPLe", "config-file": mine}
    assert call(**options)[0] == 0
    text = mine.read_text()
    mine.write_text(text.replace("LR: 0.01", "LR: 0.1").replace("N_CTX: 2", "N_CTX: 3"))
    assert_refused(call(**options), "OPTIM.LR: 0.01 → 0.1", "TRAINER.MAPLE.N_CTX: 2 → 3")
    mine.write_text(text + "# a remark\n")
    assert_complete(call(**options))
    mine.write_text(text.replace("LR: 0.01", "LR: 0.1"))
    code, out, _ = call("--force", **options)
    assert code == 0 and "kept the earlier run as" in out and "Finish training" in out
    assert_complete(call(**options))


def test_weights_that_were_trained_again(call, tmp_path):
    test = ["--eval-only", "--model-dir", str(tmp_path / "run"), "DATASET.SUBSAMPLE_CLASSES", "new"]
    assert call(trainer="MaPLe")[0] == 0
    assert call(*test, trainer="MaPLe", out="new")[0] == 0
    assert_complete(call(*test, trainer="MaPLe", out="new"))
    call("--force", "OPTIM.LR", "0.5", "OPTIM.WARMUP_EPOCH", "-1", trainer="MaPLe")
    assert_refused(call(*test, trainer="MaPLe", out="new"), "the weights model.pth.tar-1 have changed")
    assert call(*test, trainer="MaPLe", out="newer")[0] == 0
    shutil.copytree(tmp_path / "run", tmp_path / "moved")
    moved = [word.replace(str(tmp_path / "run"), str(tmp_path / "moved")) for word in test]
    assert_complete(call(*moved, trainer="MaPLe", out="newer"))
    trained = tmp_path / "moved" / "MultiModalPromptLearner"
    shutil.copy(trained / "model.pth.tar-1", trained / "model-best.pth.tar")
    assert_complete(call(*moved, trainer="MaPLe", out="newer"))  # the same weights by another name
    assert_refused(call(trainer="MaPLe", out="newer"), "eval_only: True → False")


def test_another_backbone_file(call, weights, tmp_path):
    mine = tmp_path / "clip.pt"
    shutil.copy(weights, mine)
    call(backbone=mine)
    shutil.copy(weights, tmp_path / "same.pt")
    assert_complete(call(backbone=tmp_path / "same.pt"))
    save_state_dict(random_clip(12, **SHAPE), mine)
    assert_refused(call(backbone=mine), f"MODEL.BACKBONE.NAME: the file {mine} has changed")
    save_state_dict(random_clip(12, **SHAPE), tmp_path / "same.pt")
    assert_refused(call(backbone=tmp_path / "same.pt"), f"MODEL.BACKBONE.NAME: {mine} → {tmp_path / 'same.pt'}")


def test_a_changed_default_of_a_method_is_seen(call, monkeypatch, tmp_path):
    """Where the file that sets defaults has changed, the settings are compared."""
    call(trainer="CoOp")
    content = json.loads((tmp_path / "run" / "marks.json").read_text())
    (mark,) = [mark for mark in content["marks"] if mark["path"] == "trainers/coop.py"]
    mark["found"], mark["stamp"] = "what it was before", [0, 0]
    (tmp_path / "run" / "marks.json").write_text(json.dumps(content))
    original = train.default_config

    def other():
        cfg = original()
        cfg.MODEL.TEXT_CHUNK = 3
        return cfg

    monkeypatch.setattr(train, "default_config", other)
    assert_refused(call(trainer="CoOp"), "MODEL.TEXT_CHUNK: 0 → 3")


def test_defaults_of_other_methods_do_not_count(call, monkeypatch, tmp_path):
    call(trainer="CoOp")
    (tmp_path / "run" / "marks.json").unlink()
    original = train.default_config

    def other():
        cfg = original()
        cfg.TRAINER.COCOOP.N_CTX = 7
        return cfg

    monkeypatch.setattr(train, "default_config", other)
    assert_complete(call(trainer="CoOp"))


def test_force_leaves_a_running_run_its_folder(call, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    program = (
        "import sys; from dassl.records import lock_output_dir; lock_output_dir(sys.argv[1]);"
        " print('ready', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "run")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": str(HERE)},
    ) as runner:
        assert runner.stdout.readline() == b"ready\n"
        code, _, err = call("--force")
        runner.stdin.close()
    assert code == 2 and f"another run (process {runner.pid}) is using the output folder" in err
    assert not list(tmp_path.glob("run.old-*")) and (tmp_path / "run" / "run.json").is_file()


def test_another_process_that_ends_just_now_has_the_answer(call, tmp_path, monkeypatch):
    call(out="done")

    def lock(folder):
        shutil.copytree(tmp_path / "done", folder, dirs_exist_ok=True)
        return lock_output_dir(folder)

    monkeypatch.setattr(train, "lock_output_dir", lock)
    assert_complete(call())


def test_the_quick_answer_loads_no_torch(weights, root, tmp_path):
    words = [
        "--trainer",
        "ZeroshotCLIP",
        "--backbone",
        str(weights),
        "--root",
        str(root),
        "--output-dir",
        str(tmp_path),
    ]
    words += ["DATASET.NUM_SHOTS", "1"]
    program = (
        "import sys, train; code = train.main(sys.argv[1:]); print(code, 'torch' in sys.modules, 'yacs' in sys.modules)"
    )
    for expected in ("0 True True", "0 False False"):
        done = subprocess.run(
            [sys.executable, "-c", program, *words],
            cwd=HERE,
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE)},
        )
        assert done.stdout.splitlines()[-1] == expected, done.stderr
    assert "is complete: nothing to do" in done.stdout
