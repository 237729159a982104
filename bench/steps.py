"""One training step and one clock, for every measurement that takes steps."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from bench.job import Job


def clock(device: str) -> Callable[[], float]:
    """Seconds, after everything queued on the device has run."""
    import torch

    def now() -> float:
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    return now


def training_step(job: Job, learner: Any, logits_of: Callable[[Any], Any]) -> Callable[[], Any]:
    """One training step on the job's first images: logits (returned), cross entropy, gradients, SGD."""
    import torch
    import torch.nn.functional as F

    from bench.weights import batch_of

    images, labels = batch_of(job, 0, job.batch)
    optimiser = torch.optim.SGD(learner.parameters(), lr=1e-3, momentum=0.9)

    def step() -> Any:
        optimiser.zero_grad()
        logits = logits_of(images)
        F.cross_entropy(logits, labels).backward()
        optimiser.step()
        return logits

    return step


def timed_steps(job: Job, step: Callable[[], Any], first: Callable[[Any], None] | None = None) -> dict[str, Any]:
    """Median and all seconds of `job.steps` steps after `job.warmup`; `first` gets what the very first returned."""
    now = clock(job.device)
    seconds = []
    for index in range(job.warmup + job.steps):
        start = now()
        returned = step()
        seconds.append(now() - start)
        if index == 0 and first is not None:
            first(returned)
    measured = seconds[job.warmup :]
    return {"seconds": statistics.median(measured), "all_seconds": measured}
