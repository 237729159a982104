"""Both sides of the benchmark at a tiny size: the same numbers, whatever the switches."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench import runner, worker
from bench.job import Job
from bench.sides import build_side
from bench.weights import batch_of, learner_parameters

STEP = Job("", dims="tiny", classes=6, batch=2, depth=3, warmup=0, steps=1)
JOBS = {
    "maple": STEP,
    "maple_shallow": STEP.with_(depth=1, n_ctx=3),
    "one_class": STEP.with_(classes=1),
    "cocoop": STEP.with_(method="cocoop", n_ctx=4, depth=1),
    "evaluate": STEP.with_(task="evaluate", images=5, batch=2),
    "evaluate_cocoop": STEP.with_(task="evaluate", images=3, method="cocoop", n_ctx=4, depth=1),
}


def run(job: Job, path: Path) -> tuple[dict, Path]:
    return worker.RUNNERS[job.task](job.with_(save=str(path))), path


@pytest.mark.parametrize("name", JOBS)
def test_sides_agree(name: str, tmp_path: Path) -> None:
    job = JOBS[name]
    usual, usual_file = run(job.with_(side="usual"), tmp_path / "usual.npz")
    ours, our_file = run(job.with_(side="ours"), tmp_path / "ours.npz")
    apart = runner.difference(usual_file, our_file)
    assert apart.refusal("fp32") is None, apart
    if name != "one_class":
        assert apart.logits > 0  # two implementations, not one run twice
    assert usual["flops"] > ours["flops"] > ours["linear_flops"] > 0
    assert ours["seconds"] > 0 and ours["images_per_second"] > 0


def test_memory_switches_change_nothing(tmp_path: Path) -> None:
    job = STEP.with_(side="ours")
    _, plain = run(job, tmp_path / "plain.npz")
    _, other = run(job.with_(chunk=4, recompute=True), tmp_path / "other.npz")
    assert runner.difference(plain, other).refusal("fp32") is None


@pytest.mark.parametrize("method", ["maple", "cocoop"])
def test_another_seed_is_refused(method: str, tmp_path: Path) -> None:
    job = STEP.with_(side="ours", method=method, n_ctx=4)
    _, one = run(job, tmp_path / "one.npz")
    _, other = run(job.with_(seed=1), tmp_path / "other.npz")
    assert "disagree" in (runner.difference(one, other).refusal("fp32") or "")


def test_usual_side_in_bf16_is_near_its_fp32() -> None:
    job = STEP.with_(side="usual")
    images, _ = batch_of(job, 0, 2)
    full, half = (build_side(job.with_(precision=p)).logits(images).float() for p in ("fp32", "bf16"))
    assert 0 < (full - half).norm() / full.norm() < 0.1
    with pytest.raises(ValueError, match="amp"):
        build_side(job.with_(precision="amp"))


def test_parameters_must_fit_the_learner() -> None:
    side = build_side(STEP.with_(side="ours"))
    assert dict(side.learner.named_parameters()).keys() == learner_parameters(STEP).keys()
    for name, value in learner_parameters(STEP).items():
        assert torch.equal(dict(side.learner.named_parameters())[name], value)


def test_gemm_counts_every_product() -> None:
    product = (8, 16, 32, 3, True)
    result = worker.run_gemm(Job("gemm", products=(product, (8, 16, 32, 1, False))))
    assert result["flops_per_second"] * result["seconds"] == pytest.approx(2 * 8 * 16 * 32 * 7)
