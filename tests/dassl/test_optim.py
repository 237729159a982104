"""Optimisers, and every schedule with every warm-up against its closed form."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dassl.config import get_cfg_default
from dassl.optim import ConstantWarmupScheduler, LinearWarmupScheduler, build_lr_scheduler, build_optimizer
from dassl.optim.radam import RAdam


def optim_cfg(**options: Any) -> Any:
    cfg = get_cfg_default()
    cfg.merge_from_list([x for key, value in options.items() for x in (f"OPTIM.{key}", value)])
    return cfg.OPTIM


def sgd(lr: float = 0.1, *more_lrs: float) -> torch.optim.Optimizer:
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": rate} for rate in (lr, *more_lrs)]
    return torch.optim.SGD(groups, lr=lr)


def test_a_warm_up_as_long_as_the_run_is_told(capsys: pytest.CaptureFixture) -> None:
    for epochs, told in ((4, False), (3, True), (2, True)):
        build_lr_scheduler(sgd(), optim_cfg(WARMUP_EPOCH=3, MAX_EPOCH=epochs, LR=0.02))
        text = f"OPTIM.WARMUP_EPOCH is 3 and OPTIM.MAX_EPOCH {epochs}: the whole run is warm-up, and OPTIM.LR 0.02 is"
        assert (text in capsys.readouterr().out) == told
    build_lr_scheduler(sgd(), optim_cfg(WARMUP_EPOCH=-1, MAX_EPOCH=1))
    assert capsys.readouterr().out == ""


def rates(optim: torch.optim.Optimizer, sched: Any, epochs: int) -> list[list[float]]:
    seen = []
    for _ in range(epochs):
        seen.append([group["lr"] for group in optim.param_groups])
        optim.step()
        sched.step()
    return seen


def first_rates(cfg: Any, epochs: int) -> list[float]:
    optim = sgd(cfg.LR)
    return [r[0] for r in rates(optim, build_lr_scheduler(optim, cfg), epochs)]


MAPLE = {"LR_SCHEDULER": "cosine", "WARMUP_EPOCH": 1, "WARMUP_TYPE": "constant", "WARMUP_CONS_LR": 1e-5}


@pytest.mark.parametrize(
    ("epochs", "lr", "expected"),
    [
        (5, 0.0035, [1e-5, 3.5e-3, 3.16578e-3, 2.29078e-3, 1.20922e-3]),
        (2, 0.0026, [1e-5, 2.6e-3]),
        (
            10,
            0.002,
            [1e-5, 2e-3, 1.951057e-3, 1.809017e-3, 1.587785e-3, 1.309017e-3, 1e-3, 6.90983e-4, 4.12215e-4, 1.90983e-4],
        ),
    ],
)
def test_published_rates(epochs: int, lr: float, expected: list[float]) -> None:
    assert first_rates(optim_cfg(LR=lr, MAX_EPOCH=epochs, **MAPLE), epochs) == pytest.approx(expected, rel=2e-6)


def closed_form(cfg: Any, base: float, epoch: int) -> float:
    warmup = max(0, cfg.WARMUP_EPOCH)
    if epoch < warmup:
        if cfg.WARMUP_TYPE == "constant":
            return cfg.WARMUP_CONS_LR
        return cfg.WARMUP_MIN_LR if epoch == 0 else base * epoch / warmup
    e = epoch - warmup if cfg.WARMUP_RECOUNT else epoch
    if cfg.LR_SCHEDULER == "cosine":
        return base / 2 * (1 + math.cos(math.pi * e / cfg.MAX_EPOCH))
    if cfg.LR_SCHEDULER == "multi_step":
        return base * cfg.GAMMA ** sum(e >= milestone for milestone in cfg.STEPSIZE)
    size = cfg.STEPSIZE[-1] if cfg.STEPSIZE[-1] > 0 else cfg.MAX_EPOCH
    return base * cfg.GAMMA ** (e // size)


SCHEDULES = st.sampled_from(
    [
        ("cosine", (-1,)),
        ("single_step", (-1,)),
        ("single_step", (2,)),
        ("single_step", (7, 3)),
        ("multi_step", (1, 3, 4)),
    ]
)


@settings(max_examples=80, deadline=None)
@given(
    schedule=SCHEDULES,
    warmup=st.integers(-1, 4),
    kind=st.sampled_from(["constant", "linear"]),
    recount=st.booleans(),
    epochs=st.integers(4, 9),
)
def test_every_schedule_is_its_closed_form(schedule: tuple, warmup: int, kind: str, recount: bool, epochs: int) -> None:
    name, sizes = schedule
    cfg = optim_cfg(
        LR=0.1,
        LR_SCHEDULER=name,
        STEPSIZE=sizes,
        GAMMA=0.5,
        MAX_EPOCH=epochs,
        WARMUP_MIN_LR=1e-4,
        WARMUP_EPOCH=warmup,
        WARMUP_TYPE=kind,
        WARMUP_CONS_LR=1e-3,
        WARMUP_RECOUNT=recount,
    )
    optim = sgd(0.1, 0.01)
    found = rates(optim, build_lr_scheduler(optim, cfg), epochs)
    expected = [[closed_form(cfg, base, e) for base in (0.1, 0.01)] for e in range(epochs)]
    assert found == [pytest.approx(row, rel=1e-9, abs=1e-15) for row in expected]


@pytest.mark.parametrize("name", ["cosine", "single_step", "multi_step"])
@pytest.mark.parametrize("kind", ["constant", "linear"])
@pytest.mark.parametrize("stop", range(6))
def test_restored_schedule_goes_on_as_before(name: str, kind: str, stop: int) -> None:
    cfg = optim_cfg(LR=0.1, LR_SCHEDULER=name, STEPSIZE=(2, 3), MAX_EPOCH=6, WARMUP_EPOCH=2, WARMUP_TYPE=kind)
    whole = first_rates(cfg, 6)
    optim = sgd(0.1)
    sched = build_lr_scheduler(optim, cfg)
    rates(optim, sched, stop)
    saved = (optim.state_dict(), sched.state_dict())
    fresh = sgd(0.1)
    again = build_lr_scheduler(fresh, cfg)
    fresh.load_state_dict(saved[0])
    again.load_state_dict(saved[1])
    fresh.step()  # torch warns of a schedule that is stepped before its optimiser
    assert [r[0] for r in rates(fresh, again, 6 - stop)] == whole[stop:]
    assert isinstance(saved[1]["successor"], dict)


def test_state_of_an_old_release_sets_the_successor_by_the_epoch() -> None:
    cfg = optim_cfg(LR=0.0035, MAX_EPOCH=5, **MAPLE)
    optim = sgd(0.0035)
    sched = build_lr_scheduler(optim, cfg)
    rates(optim, sched, 3)
    old = {key: value for key, value in sched.state_dict().items() if key != "successor"} | {"successor": None}
    fresh = sgd(0.0035)
    again = build_lr_scheduler(fresh, cfg)
    fresh.load_state_dict(optim.state_dict())
    again.load_state_dict(old)
    fresh.step()
    assert [r[0] for r in rates(fresh, again, 2)] == pytest.approx([2.29078e-3, 1.20922e-3], rel=2e-6)


def test_warmup_classes_as_plugins_call_them() -> None:
    optim = sgd(0.1)
    successor = torch.optim.lr_scheduler.ExponentialLR(optim, 0.5)
    sched = ConstantWarmupScheduler(optim, successor, 2, 0.01, -1, False)
    assert [r[0] for r in rates(optim, sched, 5)] == pytest.approx([0.01, 0.01, 0.1, 0.05, 0.025])
    assert sched.get_last_lr() == pytest.approx([0.0125])
    optim = sgd(0.1)
    successor = torch.optim.lr_scheduler.ExponentialLR(optim, 0.5)
    sched = LinearWarmupScheduler(optim, successor, 2, 0.01, last_epoch=-1, verbose=False)
    assert [r[0] for r in rates(optim, sched, 4)] == pytest.approx([0.01, 0.05, 0.1, 0.05])


@given(
    st.sampled_from(["cosine", "single_step", "multi_step"]),
    st.sampled_from([None, "constant", "linear"]),
    st.booleans(),
    st.integers(1, 4),
)
@settings(max_examples=40, deadline=None)
def test_a_schedule_per_step_is_that_of_as_many_epochs(name: str, kind: str | None, recount: bool, unit: int) -> None:
    """A run of 6 epochs of `unit` steps has, step by step, the rates of a run of 6 · unit epochs."""

    def options(n: int) -> dict[str, Any]:
        warmup = {"WARMUP_EPOCH": 2 * n, "WARMUP_TYPE": kind} if kind else {}
        sizes = (2 * n, 4 * n)
        return {
            "LR": 0.1,
            "LR_SCHEDULER": name,
            "STEPSIZE": sizes,
            "WARMUP_RECOUNT": recount,
            "MAX_EPOCH": 6 * n,
        } | warmup

    optim = sgd(0.1)
    schedule = build_lr_scheduler(optim, optim_cfg(LR_PER="step", **options(1)), steps_per_epoch=unit)
    assert [r[0] for r in rates(optim, schedule, 6 * unit)] == first_rates(optim_cfg(**options(unit)), 6 * unit)


def test_cosine_over_a_number_of_steps_ends_at_its_minimum() -> None:
    optim = sgd(2e-4)
    cfg = optim_cfg(LR=2e-4, LR_SCHEDULER="cosine", LR_PER="step", LR_MIN=1e-6, MAX_EPOCH=99)
    schedule = build_lr_scheduler(optim, cfg, steps_per_epoch=3, total_steps=8)
    expected = [1e-6 + (2e-4 - 1e-6) / 2 * (1 + math.cos(math.pi * i / 8)) for i in range(9)]
    assert [r[0] for r in rates(optim, schedule, 9)] == pytest.approx(expected, rel=1e-9)


def test_a_schedule_per_step_must_know_the_steps() -> None:
    with pytest.raises(ValueError, match="how many steps an epoch has"):
        build_lr_scheduler(sgd(), optim_cfg(LR_PER="step"))
    with pytest.raises(ValueError, match="did you mean 'step'"):
        build_lr_scheduler(sgd(), optim_cfg(LR_PER="steps"))


def test_a_config_older_than_the_keys_is_taken() -> None:
    cfg = optim_cfg(LR=0.1, LR_SCHEDULER="cosine", MAX_EPOCH=4)
    for key in ("EPS", "LR_PER", "LR_MIN", "MAX_STEPS"):
        del cfg[key]
    optim = build_optimizer(Two(), cfg)
    assert optim.param_groups[0]["eps"] == 1e-8
    assert [r[0] for r in rates(optim, build_lr_scheduler(optim, cfg), 2)] == pytest.approx([0.1, 0.0853553], rel=1e-5)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"LR_SCHEDULER": "cosin"}, "did you mean 'cosine'"),
        ({"WARMUP_EPOCH": 1, "WARMUP_TYPE": "liner"}, "did you mean 'linear'"),
        ({"LR_SCHEDULER": "multi_step", "STEPSIZE": ()}, "OPTIM.STEPSIZE is"),
        ({"LR_SCHEDULER": "single_step", "STEPSIZE": (0.5,)}, "OPTIM.STEPSIZE is"),
    ],
)
def test_bad_schedules(options: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        build_lr_scheduler(sgd(), optim_cfg(**options))


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(2, 2)
        self.head = nn.Linear(2, 2)
        self.free = nn.Parameter(torch.zeros(1))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("adam", torch.optim.Adam),
        ("amsgrad", torch.optim.Adam),
        ("sgd", torch.optim.SGD),
        ("rmsprop", torch.optim.RMSprop),
        ("radam", RAdam),
        ("adamw", torch.optim.AdamW),
    ],
)
def test_optimisers(name: str, kind: type) -> None:
    options = {"NAME": name, "LR": 0.1, "WEIGHT_DECAY": 0.01, "MOMENTUM": 0.8, "ADAM_BETA1": 0.7, "ADAM_BETA2": 0.9}
    options["EPS"] = 1e-3
    optim = build_optimizer(Two(), optim_cfg(**options, RMSPROP_ALPHA=0.6, SGD_NESTEROV=True))
    group = optim.param_groups[0]
    assert type(optim) is kind and (group["lr"], group["weight_decay"]) == (0.1, 0.01) and len(group["params"]) == 5
    assert group.get("momentum", 0.8) == 0.8 and group.get("betas", (0.7, 0.9)) == (0.7, 0.9)
    assert group.get("amsgrad", False) == (name == "amsgrad") and group.get("alpha", 0.6) == 0.6
    assert group.get("nesterov", True) and group.get("eps", 1e-3) == 1e-3


def test_what_can_be_optimised() -> None:
    cfg, model = optim_cfg(NAME="sgd", LR=0.1), Two()
    assert len(build_optimizer(model.parameters(), cfg).param_groups[0]["params"]) == 5

    def groups() -> list[dict]:
        return [{"params": model.head.parameters(), "lr": 1.0}, {"params": model.free}]

    for optim in (build_optimizer(groups(), cfg), build_optimizer(model, cfg, groups())):
        assert [(len(g["params"]), g["lr"]) for g in optim.param_groups] == [(2, 1.0), (1, 0.1)]
    assert len(build_optimizer(model.free, cfg).param_groups[0]["params"]) == 1
    for nothing in (nn.ReLU(), [], [{"params": []}]):
        with pytest.raises(ValueError, match="nothing to optimise"):
            build_optimizer(nothing, cfg)
    with pytest.raises(ValueError, match="did you mean 'adam'"):
        build_optimizer(model, optim_cfg(NAME="Adam"))


def test_staged_rates() -> None:
    model = Two()
    cfg = optim_cfg(NAME="sgd", LR=0.1, STAGED_LR=True, NEW_LAYERS=("head",), BASE_LR_MULT=0.5)
    optim = build_optimizer(model, cfg)
    assert [(len(g["params"]), g["lr"]) for g in optim.param_groups] == [(3, 0.05), (2, 0.1)]
    assert optim.param_groups[1]["params"][0] is model.head.weight
    everything_new = optim_cfg(NAME="sgd", STAGED_LR=True, NEW_LAYERS=("head", "base"))
    assert [len(g["params"]) for g in build_optimizer(model, everything_new).param_groups] == [1, 4]
    with pytest.raises(ValueError, match=r"OPTIM.NEW_LAYERS has 'haed'.*did you mean 'head'"):
        build_optimizer(model, optim_cfg(STAGED_LR=True, NEW_LAYERS=("haed",)))
    with pytest.raises(TypeError, match="needs a module"):
        build_optimizer(model.parameters(), cfg)
    with pytest.warns(UserWarning, match="STAGED_LR has no effect"):
        build_optimizer(model, cfg, [model.free])
