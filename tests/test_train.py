"""The command line: what is typed, what comes out, and every mistake in one sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import train
from dassl.engine.run_state import _PARTS as PARTS
from tests.command import call_train
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
        return call_train(argv, monkeypatch, capsys)

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
    "no epoch": ({}, ["OPTIM.MAX_EPOCH", "0"], "OPTIM.MAX_EPOCH is 0: expected at least 1 epoch"),
    "less than no epoch": ({}, ["OPTIM.MAX_EPOCH", "-3"], "OPTIM.MAX_EPOCH is -3"),
    "workers": ({}, ["DATALOADER.NUM_WORKERS", "-2"], "DATALOADER.NUM_WORKERS is -2: expected"),
    "trainer as a pair": ({}, ["TRAINER.NAME", "CoOp"], "TRAINER.NAME is set to CoOp, but --trainer says MaPLe"),
    "output as a pair": ({}, ["OUTPUT_DIR", "x"], "use --output-dir x"),
    "key of another method": ({}, ["TRAINER.COOP.N_CTX", "3"], "did you mean TRAINER.MAPLE.N_CTX?"),
    "key that is only another's": ({}, ["TRAINER.COOP.CSC", "True"], "MaPLe reads TRAINER.MAPLE\n"),
    "seed as a flag": ({}, ["--seed", "99999999999999999999"], "SEED is 99999999999999999999: expected"),
    "seed as a pair": ({}, ["SEED", "-9223372036854775809"], "SEED is -9223372036854775809: expected"),
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


MISPLACED = {
    "a flag": (["OPTIM.LR", "0.1", "--seed", "2"], "--seed stands after OPTIM.LR 0.1"),
    "a switch": (["OPTIM.LR", "0.1", "--force"], "--force stands after OPTIM.LR 0.1"),
    "with its value": (["OPTIM.LR", "0.1", "OPTIM.NAME", "sgd", "--seed=2"], "--seed=2 stands after OPTIM.LR 0.1"),
    "among transforms": (
        ["--transforms", "normalize", "VERBOSE", "False"],
        "VERBOSE stands among the names of --tr",
    ),
    "among domains": (
        ["--source-domains", "a", "OPTIM.LR", "1"],
        "OPTIM.LR stands among the names of --source",
    ),
}


@pytest.mark.parametrize(("words", "told"), MISPLACED.values(), ids=MISPLACED)
def test_flags_go_before_the_pairs(words, told, capsys):
    with pytest.raises(SystemExit) as caught:
        train.main(["--trainer", "MaPLe", *words])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert told in error
    assert "flags go before the KEY VALUE pairs" in error or "put another flag, or --, before the pairs" in error


@pytest.mark.parametrize("between", [["--"], ["--seed", "2"]])
def test_pairs_after_a_list_of_names(between):
    args = train.parse_args(["--trainer", "M", "--transforms", "a", "b", *between, "VERBOSE", "False"])
    assert args.transforms == ["a", "b"] and args.opts == ["VERBOSE", "False"]


def test_values_that_begin_with_a_dash_are_values():
    args = train.parse_args(["--trainer", "M", "SEED", "-1", "DATASET.TEMPLATE", "-- {}"])
    assert args.opts == ["SEED", "-1", "DATASET.TEMPLATE", "-- {}"]


def test_trainer_and_seed_as_pairs_of_the_same_value(call, tmp_path):
    code, _, _ = call("TRAINER.NAME", "ZeroshotCLIP", "SEED", "3", trainer="ZeroshotCLIP")
    assert code == 0 and record(tmp_path)["protocol"]["seed"] == 3


def test_methods_without_epochs_take_any_number_of_them(call):
    for trainer in ("ZeroshotCLIP", "LinearProbe"):
        assert call("OPTIM.MAX_EPOCH", "0", trainer=trainer, out=trainer)[0] == 0


def test_a_config_file_of_another_method_is_told(call):
    words = ["TRAINER.MAPLE.PROMPT_DEPTH", "2"]
    code, out, _ = call("--config-file", str(HERE / "configs/trainers/CoOp/quickstart.yaml"), "--no-train", *words)
    assert code == 0 and "sets TRAINER.COOP, which MaPLe does not read: it reads TRAINER.MAPLE" in out


def test_a_method_may_read_further_nodes(call, monkeypatch):
    from dassl.engine import TRAINER_REGISTRY

    monkeypatch.setattr(TRAINER_REGISTRY.get("MaPLe"), "nodes", ("COOP",), raising=False)
    assert call("--no-train", "TRAINER.COOP.N_CTX", "3")[0] == 0
    code, _, err = call("--no-train", "TRAINER.COCOOP.N_CTX", "3", out="other")
    assert code == 2 and "MaPLe reads TRAINER.MAPLE and TRAINER.COOP; did you mean TRAINER.MAPLE.N_CTX?" in err


def test_a_trainer_that_says_no_nodes_takes_all_keys(call, monkeypatch):
    from dassl.engine import TRAINER_REGISTRY

    monkeypatch.setattr(TRAINER_REGISTRY.get("MaPLe"), "node", None)
    error = call("--no-train", "TRAINER.COOP.N_CTX", "3")[2]
    assert "another method" not in error


@pytest.mark.parametrize(
    "content", [{"format": 1}, {"format": 1, "config": {}}, [1], {"format": 1, **dict.fromkeys(PARTS, 0)}]
)
def test_a_resume_file_of_another_form_is_one_sentence(call, tmp_path, content):
    (tmp_path / "run").mkdir()
    torch.save(content, tmp_path / "run" / "resume.pt")
    code, _, err = call()
    assert code == 2 and err.count("\n") == 1
    assert f"{tmp_path / 'run' / 'resume.pt'} " in err and "remove it to go on from the last checkpoint" in err


def test_an_unfinished_run_of_other_data_is_not_gone_on_with(call, tmp_path, files, monkeypatch):
    from dassl.engine import run_record

    monkeypatch.setattr(run_record, "remove_state", lambda folder: None)
    call("DATASET.NUM_SHOTS", "-1")
    (tmp_path / "run" / "run.json").unlink()
    split = files / "data" / "digits" / "split_maple_Digits.json"
    before = split.read_text()
    content = json.loads(before)
    content["train"] = content["train"][10:]
    split.write_text(json.dumps(content))
    try:
        code, _, err = call("DATASET.NUM_SHOTS", "-1")
        assert code == 2 and "holds an unfinished run of other data (training images: " in err and "--resume" in err
        code, out, _ = call("--resume", str(tmp_path / "run"), "DATASET.NUM_SHOTS", "-1")
        assert code == 0 and "Going on with other data: training images: " in out
    finally:
        split.write_text(before)


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
