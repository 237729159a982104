"""Plugins written for upstream run unmodified."""

from __future__ import annotations

import os
import pickle
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from yacs.config import CfgNode as CN

from dassl.config import get_cfg_default
from dassl.data.datasets import Datum
from dassl.engine import build_trainer
from dassl.engine.run_record import build_run_record, trainable_parameters
from dassl.engine.trainer import SummaryWriter
from dassl.utils import load_checkpoint, set_random_seed

from . import plugins
from .process import assert_same, finish, outcome, start, wait_for
from .world import Shades, config, run, write_images


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_images(folder)
    return folder


def setting(root: Path, output: Path, trainer: str, *options: Any, prec: str = "fp32") -> Any:
    """A config with nodes of a plugin's own, made as plugins' main programs make them."""
    cfg = config(root, output).clone()
    cfg.defrost()
    cfg.TRAINER.USUAL = CN()
    cfg.TRAINER.USUAL.PREC = prec
    cfg.ALPHA = CN()
    cfg.ALPHA.WEIGHT = 0.5
    cfg.merge_from_list(["TRAINER.NAME", trainer, "ALPHA.WEIGHT", 1.0, *options])
    cfg.freeze()
    return cfg


@pytest.mark.parametrize("prec", ["fp32", "amp"])
def test_usual(root: Path, tmp_path: Path, prec: str) -> None:
    trainer = run(setting(root, tmp_path / "out", "Usual", prec=prec))
    assert trainer.get_model_names() == ["prompt_learner"] and trainable_parameters(trainer) == 21
    content = load_checkpoint(tmp_path / "out" / "prompt_learner" / "model.pth.tar-3")
    assert set(content["state_dict"]) == {"weight", "bias"} and content["epoch"] == 3
    set_random_seed(1)
    fresh = build_trainer(setting(root, tmp_path / "new", "Usual", prec=prec))
    assert_same(fresh.model.body.state_dict(), trainer.model.body.state_dict())
    assert not torch.equal(fresh.model.prompt_learner.weight, trainer.model.prompt_learner.weight)
    fresh.load_model(str(tmp_path / "out"), epoch=3)
    assert fresh.test() == trainer.results["test"]["accuracy"]
    with pytest.raises(AssertionError):
        build_trainer(setting(root, tmp_path / "new", "Usual", prec="fp8"))


def test_two_models(root: Path, tmp_path: Path) -> None:
    cfg = setting(root, tmp_path / "out", "TwoModels", "TRAIN.CHECKPOINT_FREQ", 1)
    trainer = run(cfg)
    assert trainer.get_model_names() == ["teacher", "student", "frozen"]
    assert trainer.get_model_names("student") == ["student"]
    assert trainer.modes.count("train") == 3 and trainer.modes[-1] == "eval"
    assert trainer.get_current_lr("student") == pytest.approx(trainer.optim2.param_groups[0]["lr"])
    assert not (tmp_path / "out" / "frozen").exists()
    for name in ("teacher", "student"):
        assert load_checkpoint(tmp_path / "out" / name / "model.pth.tar-3")["epochs_done"] == [0, 1, 2]
    again = build_trainer(cfg)
    assert again.resume_model_if_exist(str(tmp_path / "out")) == 3
    assert again.resume_model_if_exist(str(tmp_path)) == 0
    assert_same(again.student.state_dict(), trainer.student.state_dict())
    assert trainer.history[0]["loss"] is None  # it reports losses of other names
    trainer.set_model_mode("train", "teacher")
    trainer.set_model_mode("test", ["student"])
    assert trainer.model.training and not trainer.student.training
    for call, told in (
        (lambda: trainer.register_model("student", None), "'student' is already registered"),
        (lambda: trainer.set_model_mode("evaluate"), "expected train, eval or test"),
        (lambda: trainer.update_lr("studnet"), "did you mean 'student'"),
    ):
        with pytest.raises(ValueError, match=told):
            call()


def test_own_loops(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    trainer = run(setting(root, tmp_path / "out", "OwnLoops"))
    assert len(trainer.epoch_seconds) == 3 and trainer.features.shape[0] == 24 and len(trainer.plain_loader) == 4
    assert "epoch [3/3] loss" in capsys.readouterr().out
    assert trainer.load_model(str(tmp_path / "out")) == "model.pth.tar-3"
    assert "test" in build_run_record(trainer)["metrics"]  # although its test is its own


def test_own_epoch_stops_at_a_batch_and_goes_on_from_the_epoch(root: Path, tmp_path: Path) -> None:
    whole = setting(root, tmp_path / "whole", "OwnEpoch")
    finish(whole)
    cfg = setting(root, tmp_path / "out", "OwnEpoch")
    log = Path(cfg.OUTPUT_DIR + ".log")
    process = start(cfg)
    wait_for(lambda: log.exists() and "epoch [2/3]" in log.read_text(encoding="utf-8"))
    os.kill(process.pid, signal.SIGTERM)
    process.join(60)
    assert process.exitcode == 128 + signal.SIGTERM, log.read_text(encoding="utf-8")
    finish(cfg)
    assert_same(outcome(cfg.OUTPUT_DIR), outcome(whole.OUTPUT_DIR))
    history = outcome(cfg.OUTPUT_DIR)["history"]
    assert [entry["epoch"] for entry in history] == [1, 2, 3] and history[2]["loss"] > 0


@pytest.mark.parametrize("prec", ["fp32", "amp"])
def test_state_of_a_plugins_own_is_restored(root: Path, tmp_path: Path, prec: str) -> None:
    whole = run(setting(root, tmp_path / "whole", "Remembers", prec=prec))
    cfg = setting(root, tmp_path / "out", "Remembers", prec=prec)

    set_random_seed(cfg.SEED)
    stopped = build_trainer(cfg)
    step = stopped.forward_backward

    def stops(batch: dict) -> dict:
        if stopped.seen == 8:
            os.kill(os.getpid(), signal.SIGINT)
        return step(batch)

    stopped.forward_backward = stops
    with pytest.raises(SystemExit) as code:
        stopped.train()
    assert code.value.code == 128 + signal.SIGINT and stopped.seen == 9
    again = run(cfg)
    assert again.seen == whole.seen == 18 and torch.equal(again.average, whole.average)
    assert again.scaler is None or again.scaler.state_dict() == whole.scaler.state_dict()
    assert_same(again.model.state_dict(), whole.model.state_dict())


def test_no_model_at_all(root: Path, tmp_path: Path) -> None:
    trainer = build_trainer(setting(root, tmp_path / "out", "ZeroShot"))
    assert trainer.get_model_names() == [] and trainer.get_current_lr() == 0.0
    trainer.load_model(str(tmp_path / "nothing"), epoch=5)
    accuracy = trainer.test()
    record = build_run_record(trainer, eval_only=True)
    assert record["metrics"]["test"]["accuracy"] == accuracy and record["trainable_parameters"] == 0
    with pytest.raises(FileNotFoundError, match="nothing to resume from"):
        build_trainer(setting(root, tmp_path / "out", "ZeroShot", "RESUME", str(tmp_path))).train()


def test_registering_too_early(root: Path, tmp_path: Path) -> None:
    class Early(plugins.Usual):
        def __init__(self, cfg: Any) -> None:
            self.register_model("x", None)

    with pytest.raises(RuntimeError, match=r"before super\(\).__init__\(\)"):
        Early(setting(root, tmp_path / "out", "Usual"))


def test_writer(root: Path, tmp_path: Path) -> None:
    trainer = build_trainer(setting(root, tmp_path / "out", "ZeroShot"))
    trainer.write_scalar("x", 1.0)  # no writer yet: nothing happens
    trainer.init_writer(str(tmp_path / "tb"))
    assert isinstance(trainer._writer, SummaryWriter)
    trainer.write_scalar("x", 1.0, 3)
    trainer.close_writer()
    trainer.close_writer()
    assert trainer._writer is None and len(list((tmp_path / "tb").iterdir())) == 1


def test_pickled_items_of_upstream() -> None:
    item = pickle.loads(pickle.dumps({"train": [Datum("a.png", 1, 0, "x")]}, protocol=pickle.HIGHEST_PROTOCOL))
    assert item["train"][0].classname == "x" and Datum.__module__ == "dassl.data.datasets.base_dataset"


def test_own_top_level_node_survives_merging() -> None:
    cfg = get_cfg_default()
    cfg.MODEL.EXTRA = CN({"DEPTH": 2})
    cfg.merge_from_list(["MODEL.EXTRA.DEPTH", 3])
    assert cfg.MODEL.EXTRA.DEPTH == 3


def smallest(root: Path, output: Path) -> CN:
    """A plugin's own defaults: the keys that upstream reads in such a run, and no other."""
    cfg = CN()
    cfg.OUTPUT_DIR, cfg.RESUME, cfg.SEED, cfg.USE_CUDA, cfg.VERBOSE = str(output), "", 1, False, True
    cfg.INPUT = CN({"SIZE": (8, 8), "INTERPOLATION": "bilinear", "TRANSFORMS": ("normalize",), "NO_TRANSFORM": False})
    cfg.INPUT.PIXEL_MEAN, cfg.INPUT.PIXEL_STD = [0.5] * 3, [0.5] * 3
    cfg.DATASET = CN({"ROOT": str(root), "NAME": "Shades", "NUM_SHOTS": -1})
    cfg.DATASET.SOURCE_DOMAINS, cfg.DATASET.TARGET_DOMAINS = (), ()
    cfg.DATALOADER = CN({"NUM_WORKERS": 0, "K_TRANSFORMS": 1, "RETURN_IMG0": False})
    cfg.DATALOADER.TRAIN_X = CN({"SAMPLER": "RandomSampler", "BATCH_SIZE": 4})
    cfg.DATALOADER.TEST = CN({"SAMPLER": "SequentialSampler", "BATCH_SIZE": 10})
    cfg.OPTIM = CN({"NAME": "sgd", "LR": 0.01, "WEIGHT_DECAY": 0.0, "MOMENTUM": 0.9, "SGD_DAMPNING": 0.0})
    cfg.OPTIM.SGD_NESTEROV, cfg.OPTIM.ADAM_BETA1, cfg.OPTIM.ADAM_BETA2, cfg.OPTIM.STAGED_LR = False, 0.9, 0.999, False
    cfg.OPTIM.LR_SCHEDULER, cfg.OPTIM.MAX_EPOCH, cfg.OPTIM.WARMUP_EPOCH = "cosine", 2, -1
    cfg.TRAIN = CN({"CHECKPOINT_FREQ": 0, "PRINT_FREQ": 10})
    cfg.TEST = CN({"NO_TEST": False, "FINAL_MODEL": "last_step", "SPLIT": "test", "EVALUATOR": "Classification"})
    cfg.TEST.PER_CLASS_RESULT, cfg.TEST.COMPUTE_CMAT = False, False
    cfg.TRAINER = CN({"NAME": "Tiny"})
    return cfg


def test_a_config_of_a_plugins_own(root: Path, tmp_path: Path) -> None:
    trainer = build_trainer(smallest(root, tmp_path / "out"))
    trainer.train()
    assert len(trainer.history) == 2 and 0 <= trainer.results["test"]["accuracy"] <= 100


def test_keys_of_a_test_are_not_read_without_one(root: Path, tmp_path: Path) -> None:
    cfg = smallest(root, tmp_path / "out")
    cfg.TEST.NO_TEST = True
    del cfg.TEST["FINAL_MODEL"], cfg.TEST["SPLIT"]
    trainer = build_trainer(cfg)
    trainer.train()
    assert trainer.results == {} and (tmp_path / "out" / "net" / "model.pth.tar-2").is_file()


@pytest.mark.parametrize(
    ("sampler", "key"), [("RandomDomainSampler", "N_DOMAIN"), ("RandomClassSampler", "N_INS"), ("SeqDomainSampler", "")]
)
def test_keys_of_a_sampler_are_read_for_that_sampler(root: Path, tmp_path: Path, sampler: str, key: str) -> None:
    cfg = smallest(root, tmp_path / "out")
    cfg.DATALOADER.TRAIN_X.SAMPLER = sampler
    if key:
        with pytest.raises(AttributeError, match=key):
            build_trainer(cfg)
        cfg.DATALOADER.TRAIN_X[key] = 1 if key == "N_DOMAIN" else 2
    assert len(next(iter(build_trainer(cfg).train_loader_x))["label"]) == 4


@pytest.mark.parametrize("same", [True, False])
def test_keys_of_unlabelled_data_are_read_for_unlabelled_data(
    root: Path, tmp_path: Path, same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shades, "train_u", property(lambda self: self.train_x))
    cfg = smallest(root, tmp_path / "out")
    with pytest.raises(AttributeError, match="TRAIN_U"):
        build_trainer(cfg)
    cfg.DATALOADER.TRAIN_U = CN({"SAME_AS_X": same, "SAMPLER": "SequentialSampler", "BATCH_SIZE": 6})
    assert len(next(iter(build_trainer(cfg).train_loader_u))["label"]) == (4 if same else 6)


def test_keys_of_a_transform_are_read_for_that_transform(root: Path, tmp_path: Path) -> None:
    cfg = smallest(root, tmp_path / "out")
    cfg.INPUT.TRANSFORMS = ("randaugment_fixmatch",)
    with pytest.raises(AttributeError, match="RANDAUGMENT_N"):
        build_trainer(cfg)
    cfg.INPUT.RANDAUGMENT_N = 2  # it draws its strength: RANDAUGMENT_M is another's
    assert next(iter(build_trainer(cfg).train_loader_x))["img"].shape == (4, 3, 8, 8)
