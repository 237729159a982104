"""The command line: what is typed, what comes out, and every mistake in one sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import train
from tests.stubs import random_clip, random_rn_clip, save_state_dict
from tests.trainers.conftest import SHAPE

HERE = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Weights of a ViT and of a ResNet, and a data root."""
    folder = tmp_path_factory.mktemp("files")
    save_state_dict(random_clip(11, **SHAPE), folder / "clip.pt")
    save_state_dict(random_rn_clip(1), folder / "resnet.pt")
    (folder / "truncated.pt").write_bytes((folder / "clip.pt").read_bytes()[:5000])
    torch.save({"weight": torch.zeros(2)}, folder / "foreign.pt")
    return folder


@pytest.fixture
def call(files, tmp_path, capsys, monkeypatch):
    """call(*arguments, KEY VALUE…) → exit code, standard output, standard error; small and quick unless said."""

    def run(*words, backbone="clip.pt", trainer="MaPLe", out="run"):
        argv = ["--trainer", trainer, "--backbone", str(files / backbone) if backbone.endswith(".pt") else backbone]
        argv += ["--root", str(files / "data"), "--output-dir", str(tmp_path / out)]
        split = next((i for i, w in enumerate(words) if w[0].isupper()), len(words))
        argv += [*words[:split], "OPTIM.MAX_EPOCH", "1", "DATASET.NUM_SHOTS", "1", *words[split:]]
        monkeypatch.setattr(sys, "argv", ["train.py", *argv])
        stdout = sys.stdout
        code = train.main(argv)
        if sys.stdout is not stdout:
            sys.stdout.close()  # the run's log
        return code, *capsys.readouterr()

    return run


def record(tmp_path, out="run"):
    return json.loads((tmp_path / out / "run.json").read_text())


def test_train_then_test_on_new_classes(call, tmp_path):
    code, out, _ = call()
    assert code == 0 and "* accuracy:" in out and "Finish training" in out
    trained = record(tmp_path)
    assert trained["protocol"]["subsample_classes"] == "base" and not trained["protocol"]["eval_only"]
    code, _, _ = call(
        "--eval-only", "--model-dir", str(tmp_path / "run"), "DATASET.SUBSAMPLE_CLASSES", "new", out="new"
    )
    assert code == 0
    tested = record(tmp_path, "new")
    assert tested["data"]["classnames"] == ["five", "six", "seven", "eight", "nine"]
    assert tested["protocol"]["epoch_loaded"] == 1 and tested["protocol"]["eval_only"]
    assert tested["trainable_parameters"] == trained["trainable_parameters"]


def test_a_complete_run_is_not_run_again(call, tmp_path):
    call(trainer="ZeroshotCLIP")
    before = (tmp_path / "run" / "run.json").read_bytes()
    code, out, _ = call(trainer="ZeroshotCLIP")
    assert code == 0 and "is complete: nothing to do" in out and "accuracy" in out
    code, _, err = call("TEST.SPLIT", "val", trainer="ZeroshotCLIP")
    assert code == 2 and "TEST.SPLIT: test → val" in err
    assert (tmp_path / "run" / "run.json").read_bytes() == before
    code, out, _ = call("--force", trainer="ZeroshotCLIP")
    assert code == 0 and "kept the earlier run as" in out
    (kept,) = tmp_path.glob("run.old-*")
    assert (kept / "run.json").read_bytes() == before
    assert record(tmp_path)["metrics"] == json.loads(before)["metrics"]


MISTAKES = {
    "trainer": ({"trainer": "MaPle"}, [], "MaPLe"),
    "dataset": ({}, ["DATASET.NAME", "Digit"], "Digits"),
    "key": ({}, ["OPTIM.LRR", "1"], "OPTIM.LR"),
    "type": ({}, ["OPTIM.LR", "fast"], "OPTIM.LR"),
    "backbone name": ({"backbone": "ViT-B16"}, [], "did you mean 'ViT-B/16'"),
    "backbone missing": ({"backbone": "nothing.pt"}, [], "nothing.pt does not exist"),
    "backbone truncated": ({"backbone": "truncated.pt"}, [], "truncated.pt (5000 bytes) cannot be read"),
    "backbone foreign": ({"backbone": "foreign.pt"}, [], "not a CLIP's"),
    "resnet": ({"backbone": "resnet.pt"}, [], "needs a ViT backbone"),
    "no context": ({}, ["TRAINER.MAPLE.N_CTX", "0"], "N_CTX is 0: expected 1 to"),
    "long context": ({}, ["TRAINER.MAPLE.N_CTX", "21"], "N_CTX is 21: expected 1 to 20"),
    "context and names too long": ({}, ["TRAINER.MAPLE.CTX_INIT", "a " * 21], "the text tower has 24 positions"),
    "no depth": ({}, ["TRAINER.MAPLE.PROMPT_DEPTH", "0"], "PROMPT_DEPTH is 0: expected 1 to 4"),
    "deep": ({}, ["TRAINER.MAPLE.PROMPT_DEPTH", "5"], "PROMPT_DEPTH is 5: expected 1 to 4"),
    "size": ({}, ["INPUT.SIZE", "(16, 16)"], "takes (32, 32)"),
    "no checkpoint": ({}, ["--eval-only", "--model-dir", "/nowhere"], "/nowhere"),
    "no model folder": ({}, ["--eval-only"], "--model-dir"),
    "config file": ({}, ["--config-file", "none.yaml"], "none.yaml"),
    "classes": ({}, ["DATASET.SUBSAMPLE_CLASSES", "old"], "new"),
    "precision": ({}, ["TRAINER.MAPLE.PREC", "half"], "Unknown precision 'half'"),
    "resume": ({}, ["--resume", "/nowhere"], "/nowhere"),
    "split": ({}, ["TEST.SPLIT", "tset"], "tset"),
}


@pytest.mark.parametrize("options, words, message", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_sentence(call, options, words, message, tmp_path):
    code, _, err = call(*words, **options)
    assert code == 2
    assert err.startswith("error: ") and err.count("\n") == 1
    assert message in err
    assert not (tmp_path / "run" / "run.json").exists()


def test_cuda_asked_for_and_absent(files, tmp_path):
    """In a process that sees no GPU, whatever the machine has."""
    command = [sys.executable, "train.py", "--trainer", "MaPLe", "--backbone", str(files / "clip.pt")]
    command += ["--root", str(files / "data"), "--output-dir", str(tmp_path / "run"), "DEVICE", "cuda"]
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, env=hidden)
    assert done.returncode == 2 and "DEVICE is cuda, but this PyTorch finds no CUDA device" in done.stderr


def test_a_checkpoint_of_another_method_or_width(call, tmp_path, files):
    call(trainer="MaPLe")
    (tmp_path / "run" / "MultiModalPromptLearner").rename(tmp_path / "run" / "prompt_learner")
    code, _, err = call("--eval-only", "--model-dir", str(tmp_path / "run"), trainer="CoOp", out="other")
    assert code == 2 and "does not fit CoOpLearner" in err
    (tmp_path / "run" / "prompt_learner").rename(tmp_path / "run" / "MultiModalPromptLearner")
    wide = {**SHAPE, "text_width": 128}
    save_state_dict(random_clip(1, **wide), files / "wide.pt")
    code, _, err = call("--eval-only", "--model-dir", str(tmp_path / "run"), backbone="wide.pt", out="wide")
    assert code == 2 and "prompt_learner.ctx has shape (2, 64): expected (2, 128)" in err


def test_an_unreadable_image_is_named(call, tmp_path, files):
    call(trainer="ZeroshotCLIP")  # writes the images
    broken = next(iter(sorted((files / "data" / "digits").rglob("*.png"))))
    content = broken.read_bytes()
    broken.write_bytes(b"no image")
    try:
        code, _, err = call("DATASET.NUM_SHOTS", "-1", "DATASET.SUBSAMPLE_CLASSES", "all", out="broken")
    finally:
        broken.write_bytes(content)
    assert code == 2 and broken.name in err and err.count("\n") == 1


def test_a_folder_that_cannot_be_written(call, tmp_path):
    (tmp_path / "run").write_text("a file is in the way")
    code, _, err = call()
    assert code == 2 and str(tmp_path / "run") in err


def test_a_damaged_record_is_not_taken_for_a_result(call, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text('{"status": "comp')
    code, _, err = call()
    assert code == 2 and "run.json is damaged" in err


def test_help_needs_no_heavy_import():
    """The time itself is not tested; what costs it is."""
    script = "import sys, train\ntry: train.parse_args(['--help'])\nexcept SystemExit: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=HERE, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
    assert "--trainer" in done.stdout


def test_list_names_all_there_is(capsys):
    assert train.main(["--list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("MaPLe", "ZeroshotCLIP", "Digits", "Mnist5k", "mini_clip", "ViT-B/16"))


def test_a_trainer_is_needed(capsys):
    with pytest.raises(SystemExit) as caught:
        train.main([])
    assert caught.value.code == 2
    assert "--trainer" in capsys.readouterr().err


def test_the_program_as_a_user_starts_it(files, tmp_path):
    """One run as a process of its own: exit code, log, record."""
    command = [sys.executable, "train.py", "--trainer", "MaPLe", "--backbone", str(files / "clip.pt")]
    command += ["--root", str(files / "data"), "--output-dir", str(tmp_path / "run"), "OPTIM.MAX_EPOCH", "1"]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert record(tmp_path)["environment"]["command"].endswith("OPTIM.MAX_EPOCH 1")
    assert "Finish training" in (tmp_path / "run" / "log.txt").read_text()
