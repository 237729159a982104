"""Sure of the device without a GPU: each method's step on a fake "cuda", where a tensor left on the CPU is an error.

PyTorch's FakeTensorMode computes shapes, types and devices and no numbers. The backward engine needs a real device, so
this is the forward pass and the loss.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from dassl.engine import TRAINER_REGISTRY, build_trainer
from prompted_clip import ClassPrompts
from prompted_clip.precision import PRECISIONS
from tests.dassl.process import fork
from tests.trainers.test_registry import NAMES, learns, one_batch, seeded

CUDA = torch.device("cuda")


def needs_a_driver() -> bool:
    """Older PyTorch asks for a real driver even where nothing is computed."""
    try:
        with FakeTensorMode():
            torch.empty(1, device=CUDA)
            torch.empty(1).to(CUDA)
    except RuntimeError:
        return True
    return False


pytestmark = pytest.mark.skipif(needs_a_driver(), reason="this PyTorch has a fake GPU only where there is a real one")


class Mover:
    """Puts what a trainer holds on the fake GPU: modules, class prompts, tensors, wherever they are kept."""

    def __init__(self) -> None:
        self.mode = FakeTensorMode(allow_non_fake_inputs=False)
        self._done: dict[int, Any] = {}

    def tensor(self, value: Tensor) -> Tensor:
        plain = value.detach()
        fake = self.mode.from_tensor(plain)
        with self.mode:
            return fake.to(CUDA)

    def module(self, module: nn.Module) -> nn.Module:
        for part in module.modules():
            for store in (part._parameters, part._buffers):
                for name, value in store.items():
                    if value is not None:
                        store[name] = self._once(value)
            for name, value in vars(part).items():
                if not name.startswith("_"):
                    vars(part)[name] = self(value)
        return module

    def _once(self, value: Tensor) -> Tensor:
        if id(value) not in self._done:  # one parameter in two places stays one
            moved: Tensor = self.tensor(value)
            if isinstance(value, nn.Parameter):
                moved = nn.Parameter(moved, requires_grad=value.requires_grad)
            self._done[id(value)] = (value, moved)
        return self._done[id(value)][1]

    def __call__(self, value: Any) -> Any:
        if isinstance(value, torch.device):
            return CUDA
        if isinstance(value, Tensor):
            return self._once(value)
        if isinstance(value, nn.Module):
            if id(value) not in self._done:
                self._done[id(value)] = (value, value)
                self.module(value)
            return value
        if isinstance(value, ClassPrompts):
            tensors = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
            return dataclasses.replace(value, **{k: self._once(v) for k, v in tensors.items() if isinstance(v, Tensor)})
        if isinstance(value, list | tuple) and type(value) in (list, tuple):
            return type(value)(self(each) for each in value)
        if isinstance(value, dict) and type(value) is dict:
            return {k: self(v) for k, v in value.items()}
        return value


def on_fake_cuda(trainer: Any) -> Mover:
    """Move a trainer that was built on the CPU."""
    move = Mover()
    for name, value in list(vars(trainer).items()):
        if name in ("backbone", "learner", "ensemble", "device") or isinstance(value, Tensor):  # a teacher's features
            setattr(trainer, name, move(value))
    return move


@pytest.mark.parametrize("precision", [p for p in PRECISIONS if p != "fp64"])
@pytest.mark.parametrize("name", NAMES)
def test_forward_and_loss_stay_on_the_device(name, precision, make_config):
    trainer = seeded(make_config(name, f"TRAINER.{TRAINER_REGISTRY.get(name).node}.PREC", precision))
    batch = one_batch(trainer)
    move = on_fake_cuda(trainer)
    images, labels = move(batch["img"]), move(batch["label"])
    with move.mode, torch.set_grad_enabled(learns(name)):
        logits = trainer.model_inference(images)
        losses = trainer.losses(trainer.encode(images), labels) if learns(name) else {}
        loss = sum(losses.values()) if losses else nn.functional.cross_entropy(logits, labels)
    assert logits.device.type == loss.device.type == "cuda"
    assert logits.shape == (len(labels), trainer.num_classes)
    assert loss.requires_grad == learns(name)


def test_a_tensor_left_on_the_cpu_is_noticed(make_config):
    trainer = build_trainer(make_config("MaPLe"))
    batch = one_batch(trainer)
    stray = trainer.learner.proj(trainer.learner.ctx).detach()
    move = on_fake_cuda(trainer)
    kept = move.mode.from_tensor(stray)  # fake, and on the CPU
    forward = trainer.learner.forward
    trainer.learner.forward = lambda *a: dataclasses.replace(forward(*a), vision=kept)
    images = move(batch["img"])
    with move.mode, pytest.raises(Exception, match="device"):
        trainer.model_inference(images)


def test_runs_can_be_forked_beside_a_fake_gpu(tmp_path: Path) -> None:
    """Other tests fork their runs from the process in which this file was read."""
    with FakeTensorMode():
        pass

    def backward() -> None:
        torch.ones(1, requires_grad=True).sum().backward()

    backward()
    log = tmp_path / "log"
    process = fork(log, backward)
    process.join(60)
    assert process.exitcode == 0, log.read_text(encoding="utf-8")
