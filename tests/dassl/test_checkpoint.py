"""Checkpoints: what they hold, how they fail, and that nothing in them is ever run."""

from __future__ import annotations

import os
import pickle
import resource
import subprocess
import sys
import types
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dassl.config import get_cfg_default
from dassl.utils import (
    load_checkpoint,
    load_pretrained_weights,
    load_state_dict,
    resume_from_checkpoint,
    save_checkpoint,
)


def trained(epochs: int = 1) -> tuple[nn.Module, torch.optim.Optimizer, Any]:
    model = nn.Linear(3, 2)
    optim = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    sched = torch.optim.lr_scheduler.MultiStepLR(optim, [1, 1, 3])
    for _ in range(epochs):
        model(torch.ones(1, 3)).sum().backward()
        optim.step()
        sched.step()
    return model, optim, sched


def save(folder: Path, epoch: int = 1, **more: Any) -> tuple[nn.Module, torch.optim.Optimizer, Any]:
    model, optim, sched = trained(epoch)
    state = {"state_dict": model.state_dict(), "epoch": epoch, "optimizer": optim.state_dict()}
    save_checkpoint({**state, "scheduler": sched.state_dict(), "val_result": 50.0, **more}, str(folder))
    return model, optim, sched


def test_files_and_content(tmp_path: Path) -> None:
    model, _, _ = save(tmp_path / "net")
    assert sorted(p.name for p in (tmp_path / "net").iterdir()) == ["checkpoint", "model.pth.tar-1"]
    assert (tmp_path / "net" / "checkpoint").read_text() == "model.pth.tar-1\n"
    content = load_checkpoint(tmp_path / "net" / "model.pth.tar-1")
    assert {"state_dict", "epoch", "optimizer", "scheduler", "val_result"} <= content.keys()
    assert torch.equal(content["state_dict"]["weight"], model.weight)


def test_best_checkpoint_does_not_become_the_newest(tmp_path: Path) -> None:
    state = {"state_dict": {"w": torch.zeros(1)}, "epoch": 1}
    save_checkpoint(state, str(tmp_path), is_best=True)
    save_checkpoint({**state, "epoch": 2}, str(tmp_path), model_name="model-best.pth.tar")
    assert (tmp_path / "checkpoint").read_text() == "model.pth.tar-1\n"
    assert load_checkpoint(tmp_path / "model-best.pth.tar")["epoch"] == 2


def test_module_prefix_is_removed(tmp_path: Path) -> None:
    save_checkpoint({"state_dict": {"module.a.module.b": torch.ones(1)}, "epoch": 1}, str(tmp_path / "x"))
    assert list(load_checkpoint(tmp_path / "x" / "model.pth.tar-1")["state_dict"]) == ["a.module.b"]
    state = {"state_dict": {"module.a": torch.ones(1)}, "epoch": 1}
    save_checkpoint(state, str(tmp_path / "y"), remove_module_from_keys=False)
    assert list(load_checkpoint(tmp_path / "y" / "model.pth.tar-1")["state_dict"]) == ["module.a"]


def test_further_keys_are_kept_as_far_as_they_are_data(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    more = {
        "cfg": get_cfg_default(),
        "score": np.float64(1.5),
        "table": np.arange(3),
        "groups": defaultdict(list, a=[(1, 2)]),
        "names": {"x"},
        "odd": [1, object()],
    }
    save(tmp_path, **more)
    content = load_checkpoint(tmp_path / "model.pth.tar-1")
    assert content["cfg"]["OPTIM"]["LR"] == 3e-4 and content["score"] == 1.5 and content["groups"] == {"a": [(1, 2)]}
    assert content["table"].tolist() == [0, 1, 2] and content["names"] == ["x"] and content["odd"] == [1, None]
    assert "Not saved: checkpoint entry odd[1] is a object" in capsys.readouterr().out


def test_resume(tmp_path: Path) -> None:
    old_model, old_optim, old_sched = save(tmp_path, epoch=2)
    model, optim, sched = trained(0)
    assert resume_from_checkpoint(str(tmp_path), model, optim, sched) == 2
    assert torch.equal(model.weight, old_model.weight)
    for net, optimizer, scheduler in ((old_model, old_optim, old_sched), (model, optim, sched)):
        optimizer.zero_grad()
        net(torch.ones(1, 3)).sum().backward()
        optimizer.step()
        scheduler.step()
    assert torch.equal(model.weight, old_model.weight) and sched.get_last_lr() == old_sched.get_last_lr()
    assert resume_from_checkpoint(str(tmp_path), model) == 2


def test_resume_says_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing to resume from in .*no file 'checkpoint'"):
        resume_from_checkpoint(str(tmp_path), nn.Linear(1, 1))
    (tmp_path / "checkpoint").write_text("model.pth.tar-9\n")
    with pytest.raises(FileNotFoundError, match=r"names 'model.pth.tar-9', which is not there"):
        resume_from_checkpoint(str(tmp_path), nn.Linear(1, 1))
    save(tmp_path, optimizer=None)
    resume_from_checkpoint(str(tmp_path), *trained(0))
    assert "no optimizer state; the optimizer starts afresh" in capsys.readouterr().out


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    model = nn.Linear(3, 2)
    with pytest.raises(ValueError, match=r"src does not fit: tensor weight should have shape \(2, 3\), found \(2, 4\)"):
        load_state_dict(model, {"weight": torch.zeros(2, 4), "bias": torch.zeros(2)}, "src")
    with pytest.raises(ValueError, match="src does not fit the model: it lacks bias and has unknown a, b, c and 1 m"):
        load_state_dict(model, {"weight": torch.zeros(2, 3), **{k: torch.zeros(1) for k in "abcd"}}, "src")
    load_state_dict(model, {"module.weight": torch.ones(2, 3), "extra": torch.zeros(1)}, "src", strict=False)
    assert torch.equal(model.weight, torch.ones(2, 3))


@pytest.mark.parametrize(
    ("names", "told"),
    [(["weight"], "it lacks bias$"), (["weight", "bias", "extra"], "it has unknown extra$")],
)
def test_a_missing_name_alone_does_not_fit_and_neither_does_an_unknown_one(names: list[str], told: str) -> None:
    model = nn.Linear(3, 2)
    tensors = {"weight": torch.ones(2, 3), "bias": torch.ones(2), "extra": torch.ones(1)}
    state = {name: tensors[name] for name in names}
    with pytest.raises(ValueError, match=told):
        load_state_dict(model, state, "src")
    assert not torch.equal(model.weight, tensors["weight"])  # nothing was loaded
    load_state_dict(model, state, "src", strict=False)
    assert torch.equal(model.weight, tensors["weight"])


def test_load_pretrained_weights(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    model = nn.Linear(3, 2)
    torch.save({"state_dict": {"module.weight": torch.ones(2, 3), "bias": torch.zeros(5)}}, tmp_path / "w.pth")
    load_pretrained_weights(model, str(tmp_path / "w.pth"))
    assert torch.equal(model.weight, torch.ones(2, 3))
    assert "Loaded 1 of 2 tensors" in (text := capsys.readouterr().out) and "['bias']" in text
    torch.save({"other": torch.ones(1)}, tmp_path / "o.pth")
    with pytest.raises(ValueError, match=r"no weight of .*o\.pth fits the model"):
        load_pretrained_weights(model, str(tmp_path / "o.pth"))


# ---- files that are no good


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        load_checkpoint(tmp_path / "net" / "model.pth.tar-5")
    save(tmp_path / "net")
    with pytest.raises(FileNotFoundError, match=r"model.pth.tar-5 \(the folder has model.pth.tar-1\)"):
        load_checkpoint(tmp_path / "net" / "model.pth.tar-5")
    with pytest.raises(ValueError, match="no checkpoint file was given"):
        load_checkpoint(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("old_format", [False, True])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_truncated(tmp_path: Path, share: float, old_format: bool) -> None:
    path = tmp_path / "model.pth.tar-1"
    torch.save({"w": torch.zeros(5000)}, path, _use_new_zipfile_serialization=not old_format)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(ValueError, match=r"checkpoint .*model\.pth\.tar-1 is damaged or incomplete \([\d,]+ bytes\)"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><title>Quota exceeded</title>", "is no checkpoint but text"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "Git LFS pointer"),
        (b"hello world" * 20, "is not a checkpoint that torch can load"),
        (bytes(range(256)), "is not a checkpoint that torch can load"),
    ],
)
def test_foreign(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ValueError, match=told) as caught:
        load_checkpoint(tmp_path / "x")
    assert "\n" not in str(caught.value)


class Payload:
    """What a malicious checkpoint holds: a command that pickle would run."""

    def __init__(self, function: Any, argument: str) -> None:
        self.call = (function, (argument,))

    def __reduce__(self) -> Any:
        return self.call


PAYLOADS = {
    "os.system": lambda mark: Payload(os.system, f"touch {mark}"),
    "subprocess": lambda mark: Payload(subprocess.getoutput, f"touch {mark}"),
    "eval": lambda mark: Payload(eval, f"open({mark!r}, 'w')"),
    "torch function": lambda mark: Payload(torch.hub.load, mark),
    "class": lambda mark: Path(mark),
}


@pytest.mark.parametrize("kind", PAYLOADS)
@pytest.mark.parametrize("form", ["new", "old", "pickle"])
def test_payload_is_refused_and_not_run(tmp_path: Path, kind: str, form: str) -> None:
    mark = tmp_path / "pwned"
    content = {"state_dict": {"w": torch.ones(1)}, "epoch": 1, "optimizer": PAYLOADS[kind](str(mark))}
    folder = tmp_path / "net"
    folder.mkdir()
    path = folder / "model.pth.tar-1"
    if form == "pickle":
        content["state_dict"] = {}
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "new")
    (folder / "checkpoint").write_text("model.pth.tar-1")
    for load in (
        lambda: load_checkpoint(path),
        lambda: load_pretrained_weights(nn.Linear(1, 1), str(path)),
        lambda: resume_from_checkpoint(str(folder), nn.Linear(1, 1)),
    ):
        with pytest.raises(ValueError, match=r"refused, and nothing in it was run|is not a checkpoint") as caught:
            load()
        assert "\n" not in str(caught.value)
    assert not mark.exists()


# ---- upstream's old pickles


def old_release() -> tuple[types.ModuleType, type]:
    """A stand-in for the module whose scheduler objects old checkpoints hold."""
    module = types.ModuleType("dassl.optim.old_lr_scheduler")

    class ConstantWarmupScheduler(torch.optim.lr_scheduler.LRScheduler):
        def __setstate__(self, state: dict) -> None:
            raise AssertionError("the real class must not be used")

    ConstantWarmupScheduler.__module__ = module.__name__
    ConstantWarmupScheduler.__qualname__ = "ConstantWarmupScheduler"
    module.ConstantWarmupScheduler = ConstantWarmupScheduler  # type: ignore[attr-defined]
    return module, ConstantWarmupScheduler


@pytest.mark.parametrize("old_format", [False, True])
def test_old_checkpoint_with_objects_is_read_for_its_tensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, old_format: bool
) -> None:
    model, optim, _ = trained(2)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optim, 5)
    module, warmup = old_release()
    monkeypatch.setitem(sys.modules, module.__name__, module)
    scheduler = warmup.__new__(warmup)
    scheduler.__dict__.update(last_epoch=2, successor=cosine, optimizer=optim)
    content = {
        "state_dict": {f"module.{k}": v.half() for k, v in model.state_dict().items()},
        "epoch": 5,
        "optimizer": optim.state_dict(),
        "scheduler": {"last_epoch": 2, "successor": cosine, "whole": scheduler},
        "val_result": np.float64(81.5),
        "states": defaultdict(dict, a={"step": 1}),
    }
    torch.save(content, tmp_path / "model.pth.tar-5", _use_new_zipfile_serialization=not old_format)
    allowed = set(torch.serialization.get_safe_globals())
    loaded = load_checkpoint(tmp_path / "model.pth.tar-5")
    assert torch.equal(loaded["state_dict"]["module.weight"], model.weight.half()) and loaded["epoch"] == 5
    assert loaded["optimizer"]["param_groups"][0]["momentum"] == 0.9
    assert loaded["scheduler"] == {"last_epoch": 2, "successor": None, "whole": None}
    assert loaded["val_result"] is None and loaded["states"] == {"a": {"step": 1}}
    told = capsys.readouterr().out
    assert "holds objects of an older release" in told and "CosineAnnealingLR" in told
    assert set(torch.serialization.get_safe_globals()) == allowed  # nothing stays allowed


def test_old_checkpoint_with_a_payload_beside_its_objects_is_refused(tmp_path: Path) -> None:
    _, optim, _ = trained(1)
    mark = tmp_path / "pwned"
    content = {"sched": torch.optim.lr_scheduler.CosineAnnealingLR(optim, 5), "x": Payload(os.system, f"touch {mark}")}
    torch.save(content, tmp_path / "c")
    with pytest.raises(ValueError, match=r"refers to \w+\.system, which is code and not data"):
        load_checkpoint(tmp_path / "c")
    assert not mark.exists()


# ---- disk full


def _save_under_limit(folder: str) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    save_checkpoint({"state_dict": {"w": torch.ones(100_000)}, "epoch": 1}, folder)


def test_disk_full_keeps_the_previous_checkpoint(tmp_path: Path) -> None:
    save_checkpoint({"state_dict": {"w": torch.zeros(10)}, "epoch": 1}, str(tmp_path))
    code = f"from tests.dassl.test_checkpoint import _save_under_limit; _save_under_limit({str(tmp_path)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and "cannot write" in last and "model.pth.tar-1: File too large" in last
    assert last.endswith("the previous file is kept")
    assert load_checkpoint(tmp_path / "model.pth.tar-1")["state_dict"]["w"].tolist() == [0.0] * 10
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint", "model.pth.tar-1"]
