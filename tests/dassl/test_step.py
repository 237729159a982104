"""One training step: scaled or not, and what is said when its loss is not finite."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from dassl.engine import TrainerBase


class Counting(torch.amp.GradScaler):
    """A scaler for the CPU that notes what it was asked for, and the gradients that an optimiser was stepped with."""

    def __init__(self, scale: float = 2.0**10) -> None:
        super().__init__("cpu", init_scale=scale)
        self.calls: list[str] = []
        self.gradients: list[torch.Tensor] = []

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        self.calls.append("step")
        result = super().step(optimizer, *args, **kwargs)
        self.gradients += [p.grad.clone() for group in optimizer.param_groups for p in group["params"]]
        return result

    def update(self, *args: Any, **kwargs: Any) -> None:
        self.calls.append("update")
        super().update(*args, **kwargs)


class TwoNets(TrainerBase):
    """Two models with an optimiser each, and an optimiserless third."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        for name in ("one", "two"):
            net = nn.Linear(4, 3)
            self.register_model(name, net, torch.optim.SGD(net.parameters(), lr=0.5, momentum=0.9))
        self.register_model("frozen", nn.Linear(2, 2))
        self.max_epoch, self.num_batches = 3, 6

    def loss(self, *names: str) -> torch.Tensor:
        x = torch.arange(8.0).view(2, 4) / 8
        return sum((self._models[name](x) ** 2).mean() for name in names or ("one", "two"))  # type: ignore[return-value]

    def weights(self) -> torch.Tensor:
        return torch.cat([p.detach().flatten() for name in ("one", "two") for p in self._models[name].parameters()])


def test_a_scaled_step_is_the_plain_step() -> None:
    plain, scaled = TwoNets(), TwoNets()
    scaled.scaler = Counting()  # by a power of two: exact
    for _ in range(3):
        for trainer in (plain, scaled):
            trainer.model_backward_and_update(trainer.loss())
    assert torch.equal(scaled.weights(), plain.weights())
    assert scaled.scaler.calls == ["step", "step", "update"] * 3
    wanted = [p.grad for name in ("one", "two") for p in plain._models[name].parameters()]
    assert all(torch.equal(found, p) for found, p in zip(scaled.scaler.gradients[-4:], wanted, strict=True))


def test_the_loss_is_scaled_for_the_backward_pass() -> None:
    trainer = TwoNets()
    trainer.scaler = Counting(2.0**10)
    seen: list[float] = []
    loss = trainer.loss()
    loss.register_hook(lambda gradient: seen.append(float(gradient)))
    trainer.model_backward_and_update(loss)
    assert seen == [2.0**10]


def test_gradients_that_overflow_are_not_stepped_with() -> None:
    trainer = TwoNets()
    trainer.scaler = Counting(2.0**127)
    before = trainer.weights()
    trainer.model_backward_and_update(trainer.loss() * 1e3)
    assert torch.equal(trainer.weights(), before) and trainer.scaler.get_scale() == 2.0**126
    assert not all(torch.isfinite(g).all() for g in trainer.scaler.gradients)


def test_only_the_models_that_are_named_and_reached_are_stepped() -> None:
    trainer = TwoNets()
    trainer.scaler = Counting()
    before = trainer.weights()
    trainer.model_backward_and_update(trainer.loss(), "two")
    half = len(before) // 2
    assert torch.equal(trainer.weights()[:half], before[:half])
    assert not torch.equal(trainer.weights()[half:], before[half:])
    trainer.model_zero_grad()
    before = trainer.weights()
    trainer.model_backward_and_update(trainer.loss("one"))  # the loss reaches one of two optimisers
    assert torch.equal(trainer.weights()[half:], before[half:]) and trainer.scaler.calls == ["step", "update"] * 2
    trainer.model_backward_and_update(torch.zeros(1, requires_grad=True).sum())  # or none
    assert trainer.scaler.calls == ["step", "update"] * 2


@pytest.mark.parametrize("scaled", [False, True])
def test_a_loss_that_is_not_finite_is_not_stepped_with(scaled: bool) -> None:
    trainer = TwoNets()
    trainer.scaler = Counting() if scaled else None
    before = trainer.weights()
    told = (
        r"^the loss is inf in epoch 1 of 3, batch 1 of 6, at learning rate 0\.5; there is no checkpoint yet "
        r"\(try a lower OPTIM\.LR or a higher precision\)$"
    )
    with pytest.raises(FloatingPointError, match=told):
        trainer.model_backward_and_update(trainer.loss() * float("inf"))
    assert torch.equal(trainer.weights(), before)


def test_weights_that_are_not_finite_are_named() -> None:
    trainer = TwoNets()
    trainer._models["two"].bias.data[1] = float("inf")
    with pytest.raises(FloatingPointError, match=r"^tensor bias of two is not finite, and so the loss is inf in epoch"):
        trainer.model_backward_and_update(trainer.loss())


def test_weights_that_do_not_train_did_not_come_so_by_the_learning_rate() -> None:
    trainer = TwoNets()
    trainer.backbone = nn.Linear(4, 4).requires_grad_(False)  # type: ignore[attr-defined]
    trainer.backbone.register_buffer("mask", torch.full((2,), float("-inf")))  # type: ignore[attr-defined]
    with pytest.raises(FloatingPointError, match=r"^the loss is nan"):  # a mask is no mistake
        trainer.detect_anomaly(torch.tensor(float("nan")))
    trainer.backbone.weight[0, 0] = float("nan")  # type: ignore[attr-defined]
    told = r"^tensor weight of backbone is not finite, and so the loss is nan .*\(it does not train: it came so from"
    with pytest.raises(FloatingPointError, match=told):
        trainer.detect_anomaly(torch.tensor(float("nan")))
    trainer._models["two"].bias.data[1] = float("nan")  # one that trains comes first
    with pytest.raises(FloatingPointError, match=r"^tensor bias of two .*\(try a lower"):
        trainer.detect_anomaly(torch.tensor(float("nan")))
    trainer._models["two"].bias.data.zero_()
    trainer.backbone.weight.zero_()  # type: ignore[attr-defined]
    trainer.backbone.register_buffer("mean", torch.tensor([float("nan")]))  # type: ignore[attr-defined]
    with pytest.raises(FloatingPointError, match=r"^tensor mean of backbone is not finite.*\(it does not train"):
        trainer.detect_anomaly(torch.tensor(float("nan")))
