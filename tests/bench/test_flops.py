"""The formulas for operations against PyTorch's own counter, on both sides of a step."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bench.flops import usual_bytes
from bench.job import DIMS, Job
from bench.sides import Side, build_side
from bench.weights import batch_of
from prompted_clip import layers

TINY = DIMS["tiny"]


def learner_flops(job: Job) -> int:
    """What the formulas leave out: the learner's layers (forward, input and weight gradients) and the logits."""
    logits = 2 * job.batch * job.classes * TINY.embed_dim
    if job.method == "maple":
        return 3 * job.depth * 2 * job.n_ctx * TINY.text_width * TINY.vision_width + 3 * logits
    hidden = TINY.embed_dim // 16
    first, second = 2 * job.batch * TINY.embed_dim * hidden, 2 * job.batch * hidden * TINY.text_width
    return 2 * first + 3 * second + 2 * logits  # image features are data: no gradient for them


def masked_flops(job: Job, side: Side, passes: int) -> int:
    """Scores between classes of a window, which the mask throws away: computed, but not needed, so in no formula."""
    if job.side == "usual":
        return 0
    classes = side.prompt_learner.classes
    lengths, prefix = classes.suffix_lengths, classes.prefix_length
    rows, keys = classes.mask.shape[-2:]
    assert classes.windows * rows == sum(lengths)  # no empty rows at this size
    pairs = sum(lengths) * keys - sum(n * (prefix + n) for n in lengths)
    read = len(lengths) * keys - sum(prefix + n for n in lengths)
    copies = job.batch if job.method == "cocoop" else 1
    return passes * copies * 4 * TINY.text_width * (pairs * (TINY.text_layers - 1) + read)


@pytest.fixture(autouse=True)
def products_that_the_counter_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "_use_onednn", lambda x: False)


@pytest.mark.parametrize("side", ["usual", "ours"])
@pytest.mark.parametrize(
    "job", [Job("", dims="tiny", classes=7, batch=2, depth=3), Job("", "step", "cocoop", "tiny", n_ctx=4)]
)
def test_step_is_what_the_counter_counts(side: str, job: Job) -> None:
    job = job.with_(side=side, classes=7, batch=2)
    built = build_side(job)
    images, labels = batch_of(job, 0, job.batch)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        torch.nn.functional.cross_entropy(built.logits(images), labels).backward()
    expected = sum(work.flops(training=True) for work in built.work(job.batch, 1)) + learner_flops(job)
    expected += masked_flops(job, built, passes=3)
    assert counter.get_total_flops() == expected


@pytest.mark.parametrize("side", ["usual", "ours"])
def test_evaluation_is_what_the_counter_counts(side: str) -> None:
    job = Job(side, "evaluate", dims="tiny", classes=6, batch=2, depth=2, images=4)
    built = build_side(job)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        evaluate = built.evaluator()
        for index in range(2):
            evaluate(batch_of(job, index, 2)[0])
    learner = 2 * job.n_ctx * TINY.text_width * TINY.vision_width * job.depth * (2 if side == "usual" else 1)
    expected = sum(work.flops(training=False) for work in built.work(4, 2)) + learner + 2 * 4 * 6 * TINY.embed_dim
    expected += masked_flops(job, built, passes=1)
    assert counter.get_total_flops() == expected


def test_paper_size_figures() -> None:
    """ViT-B/16: about 35 GFLOP per image forward, 75 MFLOP per text token, 22 GB for 500 classes."""
    from bench.flops import usual_text_work, vision_work

    dims = DIMS["vit_b16"]
    assert vision_work(dims, 1, 0, readout=False).flops(False) == pytest.approx(35e9, rel=0.02)
    per_token = usual_text_work(dims, 1).flops(False) / 77
    assert per_token == pytest.approx(77.4e6, rel=0.01)
    assert usual_bytes(dims, 500, 4) == pytest.approx(22.5e9, rel=0.05)
