"""The life cycle: what a run writes, prints, resumes and refuses."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from dassl.engine import SimpleTrainer, TrainerX, build_trainer
from dassl.utils import load_checkpoint, set_random_seed

from .process import assert_same, outcome
from .world import Tiny, config, run, write_images


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_images(folder)
    return folder


def checkpoints(output: Path) -> list[str]:
    return sorted(p.name for p in (output / "net").iterdir())


def test_last_epoch_is_deployed(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    trainer = run(config(root, tmp_path / "out"))
    assert checkpoints(tmp_path / "out") == ["checkpoint", "model.pth.tar-3"]
    text = capsys.readouterr().out
    for line in ("Finish training", "Deploy the last-epoch model", "=> result", "epoch 3/3 done: loss", "images/s"):
        assert line in text
    assert "epoch [1/3] batch [1/6] time" in text and "eta 0:00" in text
    assert trainer.best_result == float("-inf")
    assert [entry["lr"] for entry in trainer.history] == pytest.approx([1e-5, 0.01, 0.0075])
    assert not (tmp_path / "out" / "resume.pt").exists()
    saved = load_checkpoint(tmp_path / "out" / "net" / "model.pth.tar-3")
    assert saved["classnames"] == ["red", "green", "blue"]


def test_best_on_val_is_deployed(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    results = iter([50.0, 75.0, 60.0])

    class Chosen(Tiny):
        def test(self, split: str | None = None) -> float:
            accuracy = super().test(split)
            return next(results) if split == "val" else accuracy

    trainer = Chosen(config(root, tmp_path / "out", "TEST.FINAL_MODEL", "best_val"))
    trainer.train()
    assert checkpoints(tmp_path / "out") == ["checkpoint", "model-best.pth.tar", "model.pth.tar-3"]
    best = load_checkpoint(tmp_path / "out" / "net" / "model-best.pth.tar")
    assert (best["epoch"], best["val_result"], best["best_result"]) == (2, 75.0, 75.0) and trainer.best_result == 75.0
    assert_same(dict(trainer.model.state_dict()), dict(best["state_dict"]))
    assert "Deploy the model with the best val performance" in capsys.readouterr().out
    assert {"val", "test"} == trainer.results.keys()


@pytest.mark.parametrize(("frequency", "epochs"), [(0, [3]), (1, [1, 2, 3]), (2, [2, 3])])
def test_checkpoint_frequency(root: Path, tmp_path: Path, frequency: int, epochs: list[int]) -> None:
    run(config(root, tmp_path / "out", "TRAIN.CHECKPOINT_FREQ", frequency, "TEST.NO_TEST", True))
    assert checkpoints(tmp_path / "out") == ["checkpoint", *(f"model.pth.tar-{epoch}" for epoch in epochs)]


def test_no_validation_split_is_never_replaced_by_test(tmp_path: Path) -> None:
    write_images(tmp_path, splits=("train", "test"))
    for options in (("TEST.FINAL_MODEL", "best_val"), ("TEST.SPLIT", "val")):
        trainer = build_trainer(config(tmp_path, tmp_path / "out", *options))
        with pytest.raises(ValueError, match="needs a validation split, and dataset Shades has none"):
            trainer.train()
        with pytest.raises(ValueError, match="has no val split to test on"):
            trainer.test("val")
    with pytest.raises(ValueError, match="the split to test on is 'train'"):
        trainer.test("train")
    with pytest.raises(ValueError, match="FINAL_MODEL is 'best'; expected last_step or best_val"):
        build_trainer(config(tmp_path, tmp_path / "out", "TEST.FINAL_MODEL", "best")).train()


def test_what_a_trainer_must_define(root: Path, tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError, match="SimpleTrainer must define build_model"):
        SimpleTrainer(config(root, tmp_path / "out"))

    class Half(TrainerX):
        def build_model(self) -> None:
            pass

    with pytest.raises(NotImplementedError, match="Half must define forward_backward"):
        Half(config(root, tmp_path / "out")).train()
    with pytest.raises(ValueError, match="did you mean 'Tiny'"):
        build_trainer(config(root, tmp_path / "out", "TRAINER.NAME", "Tinny"))


def test_a_device_that_is_not_there(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match="DEVICE is cuda, but this PyTorch finds no CUDA device"):
        build_trainer(config(root, tmp_path / "out", "USE_CUDA", True, "DEVICE", "cuda"))


# ---- quiet, terminal


def test_quiet(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    run(config(root, tmp_path / "out", "VERBOSE", False))
    text = capsys.readouterr()
    assert (
        "epoch" not in text.out.replace("last-epoch", "") and "transform" not in text.out and "Loading" not in text.out
    )
    assert "* accuracy" in text.out and text.err == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bar_on_a_terminal_and_lines_in_the_log(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dassl.utils.logger import Logger

    out, err = io.StringIO(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with Logger(str(tmp_path / "log.txt")) as logger:
        monkeypatch.setattr(sys, "stdout", logger)
        run(config(root, tmp_path / "out"))
    log = (tmp_path / "log.txt").read_text()
    assert "epoch 3/3" in err.getvalue() and "test on test" in err.getvalue()
    assert "epoch [3/3] batch [6/6]" in log and "epoch [3/3] batch" not in out.getvalue()
    assert "epoch 3/3 done" in log and "epoch 3/3 done" in out.getvalue()


@pytest.mark.parametrize(("frequency", "lines"), [(1, 6), (4, 1), (6, 1), (10, 6)])
def test_print_frequency(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture, frequency: int, lines: int) -> None:
    run(config(root, tmp_path / "out", "TRAIN.PRINT_FREQ", frequency, "OPTIM.MAX_EPOCH", 1, "TEST.NO_TEST", True))
    assert capsys.readouterr().out.count("epoch [1/1] batch") == lines


def test_tensorboard_scalars(root: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run(config(root, tmp_path / "out"))
    events = EventAccumulator(str(tmp_path / "out" / "tensorboard"))
    events.Reload()
    assert {"train/loss", "train/acc", "train/lr", "test/accuracy"} <= set(events.Tags()["scalars"])
    assert [e.step for e in events.Scalars("train/lr")] == list(range(18))
    assert events.Scalars("train/lr")[17].value == pytest.approx(0.0075)


# ---- resume


def test_finished_epochs_are_not_repeated(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    whole = run(config(root, tmp_path / "whole", "TRAIN.CHECKPOINT_FREQ", 1))
    first = run(config(root, tmp_path / "out", "TRAIN.CHECKPOINT_FREQ", 1))
    for name in ("model.pth.tar-3",):
        (tmp_path / "out" / "net" / name).unlink()
    (tmp_path / "out" / "net" / "checkpoint").write_text("model.pth.tar-2\n")
    again = run(config(root, tmp_path / "out", "TRAIN.CHECKPOINT_FREQ", 1))  # from a checkpoint alone
    assert again.start_epoch == 2 and first.start_epoch == 0
    assert "Resumed from" in capsys.readouterr().out
    assert_same(again.model.state_dict(), whole.model.state_dict())


def test_going_on_with_other_classes_is_said(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(config(root, tmp_path / "out"))
    again = Tiny(config(root, tmp_path / "out"))
    assert again.resume_model_if_exist(str(tmp_path / "out")) == 3
    assert "other classes" not in capsys.readouterr().out
    monkeypatch.setattr(again.dm.dataset, "_classnames", ["red", "blue", "green"])
    assert again.resume_model_if_exist(str(tmp_path / "out")) == 3
    assert "net was trained on other classes than this run's, or in another order" in capsys.readouterr().out


def test_a_complete_run_that_is_started_again_keeps_its_record(root: Path, tmp_path: Path) -> None:
    cfg = config(root, tmp_path / "out")
    run(cfg)
    before = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run(cfg).start_epoch == 3
    after = json.loads((tmp_path / "out" / "run.json").read_text())
    assert after["history"] == before["history"] and after["metrics"] == before["metrics"]
    assert after["cost"]["seconds_per_step"] == pytest.approx(before["cost"]["seconds_per_step"])


def test_resume_from_another_folder(root: Path, tmp_path: Path) -> None:
    whole = run(config(root, tmp_path / "whole"))

    class Dies(Tiny):
        def after_epoch(self) -> None:
            if self.epoch == 2:
                raise RuntimeError("power cut")
            super().after_epoch()

    cfg = config(root, tmp_path / "first")
    set_random_seed(cfg.SEED)
    with pytest.raises(RuntimeError, match="power cut"):
        Dies(cfg).train()
    second = run(config(root, tmp_path / "second", "RESUME", str(tmp_path / "first")))
    assert second.start_epoch == 2
    assert_same(second.model.state_dict(), whole.model.state_dict())
    with pytest.raises(FileNotFoundError, match=r"nothing to resume from in .*nowhere"):
        run(config(root, tmp_path / "third", "RESUME", str(tmp_path / "nowhere")))


def test_another_configuration_is_not_gone_on_with(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    cfg = config(root, tmp_path / "out")
    Tiny(cfg).train()  # no run record: the rolling file is still there
    with pytest.raises(ValueError, match=r"unfinished run of another configuration \(OPTIM\.LR was 0\.01, is 0\.5\)"):
        Tiny(config(root, tmp_path / "out", "OPTIM.LR", 0.5)).train()
    Tiny(config(root, tmp_path / "out", "OPTIM.LR", 0.5, "RESUME", str(tmp_path / "out"))).train()
    assert "Going on with another configuration: OPTIM.LR was 0.01, is 0.5" in capsys.readouterr().out
    longer = Tiny(config(root, tmp_path / "out", "OPTIM.MAX_EPOCH", 4, "TRAIN.PRINT_FREQ", 3))
    longer.train()
    assert longer.start_epoch == 3 and longer.epoch == 3
    assert "OPTIM.MAX_EPOCH was 3, is now 4" in capsys.readouterr().out


def test_a_state_from_before_a_key_is_gone_on_with_unless_the_key_is_set(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    Tiny(config(root, out)).train()
    state = torch.load(out / "resume.pt", weights_only=True)
    del state["config"]["OPTIM"]["LR_MIN"], state["config"]["TEST"]["SAVE_PREDICTIONS"]
    torch.save(state, out / "resume.pt")
    with pytest.raises(ValueError, match=r"another configuration \(OPTIM\.LR_MIN was None, is 0\.001\)"):
        Tiny(config(root, out, "OPTIM.LR_MIN", 0.001)).train()
    plugin = config(root, out, "OPTIM.MAX_EPOCH", 4)
    plugin.defrost()
    plugin.TRAINER.NEWER = type(plugin)({"KEY": 3})  # a plugin's, of which the engine knows no default
    trainer = Tiny(plugin)
    trainer.train()
    assert trainer.start_epoch == 3


def test_other_data_are_not_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_images(tmp_path / "data")
    cfg = config(tmp_path / "data", tmp_path / "out")
    Tiny(cfg).train()  # no run record: the rolling file is still there
    image = next((tmp_path / "data" / "shades" / "train").glob("*.png"))
    image.rename(image.with_name("red_d0_99.png"))
    with pytest.raises(ValueError, match=r"unfinished run of other data \(other training images, or in"):
        Tiny(cfg).train()
    image.with_name("red_d0_99.png").rename(image)
    shutil.move(tmp_path / "data", tmp_path / "elsewhere")
    assert Tiny(config(tmp_path / "elsewhere", tmp_path / "out")).train() is None  # the same data elsewhere
    (tmp_path / "elsewhere" / "shades" / "test" / "red_d0_0.png").unlink()
    Tiny(config(tmp_path / "elsewhere", tmp_path / "out", "RESUME", str(tmp_path / "out"))).train()
    assert "Going on with other data: test images: 24 → 23" in capsys.readouterr().out


def test_a_rolling_file_that_does_not_say_its_data_is_gone_on_with(root: Path, tmp_path: Path) -> None:
    Tiny(config(root, tmp_path / "out")).train()
    state = torch.load(tmp_path / "out" / "resume.pt", weights_only=True)
    assert state.pop("data")["classnames"] == ["red", "green", "blue"]
    torch.save(state, tmp_path / "out" / "resume.pt")
    longer = Tiny(config(root, tmp_path / "out", "OPTIM.MAX_EPOCH", 4))
    longer.train()
    assert longer.start_epoch == 3


@pytest.mark.parametrize("epochs", [0, -1])
def test_no_epoch_to_train_in(root: Path, tmp_path: Path, epochs: int) -> None:
    with pytest.raises(ValueError, match=rf"OPTIM\.MAX_EPOCH is {epochs}: expected at least 1 epoch, since Tiny"):
        Tiny(config(root, tmp_path / "out", "OPTIM.MAX_EPOCH", epochs)).train()
    assert not (tmp_path / "out" / "net").exists()

    class Fits(Tiny):
        """Trains nothing by gradient steps."""

        def build_model(self) -> None:
            super().build_model()
            self._optims["net"] = self._scheds["net"] = None

    Fits(config(root, tmp_path / "fit", "OPTIM.MAX_EPOCH", epochs)).train()


def test_damaged_or_foreign_rolling_file(root: Path, tmp_path: Path) -> None:
    cfg = config(root, tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "resume.pt").write_bytes(b"PK half a file")
    with pytest.raises(ValueError, match=r"resume\.pt is damaged or incomplete"):
        Tiny(cfg).train()
    torch.save({"format": 99}, tmp_path / "out" / "resume.pt")
    with pytest.raises(ValueError, match=r"resume\.pt was not written by this version"):
        Tiny(cfg).train()


def test_load_model(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    trained = run(config(root, tmp_path / "out"))
    fresh = Tiny(config(root, tmp_path / "other"))
    fresh.load_model("")
    assert "no weights are loaded" in capsys.readouterr().out
    fresh.load_model(str(tmp_path / "out"), epoch=3)
    assert_same(fresh.model.state_dict(), trained.model.state_dict())
    assert fresh.test() == trained.results["test"]["accuracy"]
    with pytest.raises(FileNotFoundError, match=r"model-best\.pth\.tar \(the folder has model\.pth\.tar-3\)"):
        fresh.load_model(str(tmp_path / "out"))
    fresh.model.head = torch.nn.Linear(5, 3)
    with pytest.raises(ValueError, match=r"tensor head\.weight should have shape \(3, 5\), found \(3, 192\)"):
        fresh.load_model(str(tmp_path / "out"), epoch=3)


# ---- trouble


@pytest.mark.parametrize("own_step", [False, True])
def test_nan_stops_and_keeps_the_last_good_checkpoint(root: Path, tmp_path: Path, own_step: bool) -> None:
    class Diverges(Tiny):
        def forward_backward(self, batch: dict[str, Any]) -> dict[str, float]:
            if self.epoch == 1 and self.batch_idx == 3:
                loss = self.model(self.parse_batch_train(batch)[0]).sum() * float("nan")
                if own_step:  # a step that does not call the engine's
                    return {"loss": loss.item()}
                self.model_backward_and_update(loss)
            return super().forward_backward(batch)

    trainer = Diverges(config(root, tmp_path / "out", "TRAIN.CHECKPOINT_FREQ", 1))
    told = r"loss is nan in epoch 2 of 3, batch 4 of 6, at learning rate 0\.01; the last checkpoint is kept"
    with pytest.raises(FloatingPointError, match=told):
        trainer.train()
    assert checkpoints(tmp_path / "out") == ["checkpoint", "model.pth.tar-1"]
    kept = load_checkpoint(tmp_path / "out" / "net" / "model.pth.tar-1")["state_dict"]
    assert all(torch.isfinite(tensor).all() for tensor in kept.values())
    assert not (tmp_path / "out" / "run.json").exists()


def test_handlers_are_only_there_while_training(root: Path, tmp_path: Path) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    during = {}

    class Looks(Tiny):
        def before_epoch(self) -> None:
            during.update({number: signal.getsignal(number) for number in before})

    run(config(root, tmp_path / "out"))
    Looks(config(root, tmp_path / "out2")).train()
    assert {number: signal.getsignal(number) for number in before} == before
    assert all(during[number] != before[number] for number in before)


@pytest.mark.parametrize("where", ["before_epoch", "after_epoch", "test", "after_train"])
def test_signal_outside_of_the_batches(root: Path, tmp_path: Path, where: str) -> None:
    whole = run(config(root, tmp_path / "whole", "TEST.FINAL_MODEL", "best_val"))
    sent = []

    class Stops(Tiny):
        def _once(self, name: str) -> None:
            if name == where and not sent and (self.epoch == 1 or name == "after_train"):
                sent.append(name)
                os.kill(os.getpid(), signal.SIGTERM)

        def before_epoch(self) -> None:
            self._once("before_epoch")

        def after_epoch(self) -> None:
            self._once("after_epoch")
            super().after_epoch()

        def after_train(self) -> None:
            self._once("after_train")
            super().after_train()

        def parse_batch_test(self, batch: dict[str, Any]) -> Any:
            self._once("test")
            return super().parse_batch_test(batch)

    cfg = config(root, tmp_path / "out", "TEST.FINAL_MODEL", "best_val")
    set_random_seed(cfg.SEED)
    with pytest.raises(SystemExit) as stopped:
        Stops(cfg).train()
    assert stopped.value.code == 128 + signal.SIGTERM and sent == [where]
    again = run(cfg)
    assert_same(again.model.state_dict(), whole.model.state_dict())
    assert_same(outcome(str(tmp_path / "out")), outcome(str(tmp_path / "whole")))
