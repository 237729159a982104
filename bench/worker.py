"""One measurement in a process of its own: `python -m bench.worker JOB.json RESULT.json`."""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.job import Job
from bench.steps import clock, timed_steps, training_step


def peak_rss_bytes() -> int:
    """Highest resident memory of this process so far.

    Linux's VmHWM where there is one: `ru_maxrss` survives exec, so that a child may report its parent's.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except FileNotFoundError:
        pass
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _save(path: str, logits: Any, gradients: dict[str, Any]) -> None:
    import numpy as np

    arrays = {"logits": logits.detach().float().cpu().numpy()}
    arrays |= {f"gradient:{name}": gradient.float().cpu().numpy() for name, gradient in gradients.items()}
    np.savez(path, **arrays)


def _flops_of(side: Any, images: int, text_passes: int, training: bool) -> dict[str, Any]:
    works = side.work(images, text_passes)
    products = [p for work in works for p in work.products]
    return {
        "flops": sum(work.flops(training) for work in works),
        "linear_flops": sum(p.flops(training) for p in products),
        "products": [(p.rows, p.n_in, p.n_out, p.count, training and p.trains) for p in products],
    }


def run_step(job: Job) -> dict[str, Any]:
    """Training steps of one side. Logits and gradients of the first are saved."""
    from bench.sides import build_side

    side = build_side(job)

    def save(logits: Any) -> None:
        _save(job.save, logits, {name: p.grad for name, p in side.learner.named_parameters()})

    result = timed_steps(job, training_step(job, side.learner, side.logits), save if job.save else None)
    result["images_per_second"] = job.batch / result["seconds"]
    return result | _flops_of(side, job.batch, 1, True)


def run_evaluate(job: Job) -> dict[str, Any]:
    """Logits of `job.images` images, batch by batch; what is done once (class features) is in the time."""
    import torch

    from bench.sides import build_side
    from bench.weights import batch_of

    side = build_side(job)
    now = clock(job.device)
    sizes = [min(job.batch, job.images - start) for start in range(0, job.images, job.batch)]
    logits = []
    with torch.no_grad():
        for _ in range(job.warmup):  # on one image, so that warming up costs little
            side.evaluator()(batch_of(job, 0, 1)[0])
        start = now()
        evaluate = side.evaluator()
        total = now() - start
        for index, size in enumerate(sizes):
            images, _ = batch_of(job, index, size)
            start = now()
            logits.append(evaluate(images))
            total += now() - start
    if job.save:
        _save(job.save, torch.cat(logits), {})
    result = {"seconds": total, "all_seconds": [total], "images_per_second": job.images / total}
    return result | _flops_of(side, job.images, len(sizes), False)


def run_gemm(job: Job) -> dict[str, Any]:
    """Seconds of the job's matrix products alone, each product timed by itself (median of several).

    By PyTorch's own calls (`F.linear`, `matmul`), and by the call that our side makes.
    """
    import torch
    import torch.nn.functional as F

    from prompted_clip.layers import product as our_product

    dtypes = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    amp = torch.float16 if job.device == "cuda" else torch.bfloat16
    dtype = dtypes.get(job.precision, amp)
    now = clock(job.device)

    def seconds_of(product: Callable[[Any, Any], Any], x: Any, weight: Any) -> float:
        product(x, weight)
        samples: list[float] = []
        while len(samples) < 3 or (sum(samples) < 0.1 and len(samples) < 50):
            start = now()
            product(x, weight)
            samples.append(now() - start)
        return statistics.median(samples)

    known: dict[tuple[int, int, int], list[tuple[float, float]]] = {}
    totals, operations = [0.0, 0.0], 0
    for rows, n_in, n_out, count, backward in job.products:
        if (rows, n_in, n_out) not in known:
            x = torch.randn(rows, n_in, device=job.device, dtype=dtype)
            weight = torch.randn(n_out, n_in, device=job.device, dtype=dtype)
            gradient = torch.randn(rows, n_out, device=job.device, dtype=dtype)
            known[rows, n_in, n_out] = [
                (seconds_of(F.linear, x, weight), seconds_of(torch.matmul, gradient, weight)),
                (seconds_of(our_product, x, weight), seconds_of(our_product, gradient, weight.t())),
            ]
        for i, (forward_seconds, backward_seconds) in enumerate(known[rows, n_in, n_out]):
            totals[i] += count * (forward_seconds + (backward_seconds if backward else 0.0))
        operations += 2 * rows * n_in * n_out * count * (2 if backward else 1)
    return {
        "seconds": totals[0],
        "flops_per_second": operations / totals[0],
        "our_call_flops_per_second": operations / totals[1],
    }


def describe(job: Job) -> dict[str, Any]:
    """The machine, as PyTorch sees it."""
    import torch

    cuda = job.device == "cuda"
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name() if cuda else None,
        "gpu_memory_bytes": torch.cuda.mem_get_info()[1] if cuda else None,
    }


def run_of_program(job: Job) -> dict[str, Any]:
    """A task that lies in its program's own module."""
    from bench import methods, profile

    return {"profile": profile.run_profile, "method": methods.run_method}[job.task](job)


RUNNERS = {"step": run_step, "evaluate": run_evaluate, "profile": run_of_program, "method": run_of_program}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", type=Path)
    parser.add_argument("result", type=Path)
    arguments = parser.parse_args()
    job = Job.read(arguments.job)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openai-clip imports pkg_resources
        import torch
    torch.set_num_threads(job.threads)
    if job.precision == "fp32":  # PyTorch's default rounds convolutions to TF32 on newer GPUs
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
    runner = {"gemm": run_gemm, "describe": describe}.get(job.side) or RUNNERS[job.task]
    result = runner(job)
    result["peak_rss_bytes"] = peak_rss_bytes()
    result["peak_cuda_bytes"] = torch.cuda.max_memory_allocated() if job.device == "cuda" else None
    arguments.result.write_text(json.dumps(result))


if __name__ == "__main__":
    main()
