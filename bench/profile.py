"""Where the time of our training step goes, by kind of operation: `python -m bench.profile`."""

from __future__ import annotations

from typing import Any

from bench.job import Job
from bench.results import base_job, describe_machine, parser, run_program, show, write
from bench.runner import measure

#: Kind → words in the names of PyTorch's operations; the first that matches counts. Batched products (`bmm`) are
#: attention's here: every product with a weight is one of matrices.
KINDS = {
    "attention": ("scaled_dot_product", "bmm", "softmax", "masked_fill"),
    "products with weights": ("linear_pointwise", "::mm", "addmm", "convolution"),
    "activation": ("silu", "gelu"),
    "LayerNorm": ("layer_norm",),
    "copies and sums": ("copy_", "::cat", "::add", "::mul", "::sum", "fill_", "index", "::div", "::neg"),
}


def kind_of(operation: str) -> str:
    """The kind that an operation's name belongs to, or "the rest"."""
    return next((kind for kind, words in KINDS.items() if any(word in operation for word in words)), "the rest")


def run_profile(job: Job) -> dict[str, Any]:
    """Seconds per step by kind of operation, in total and of the costliest ones, over `job.steps` steps."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    from bench.sides import build_side
    from bench.steps import training_step

    side = build_side(job)
    step = training_step(job, side.learner, side.logits)

    def steps(count: int) -> None:
        for _ in range(count):
            step()
        if job.device == "cuda":
            torch.cuda.synchronize()

    steps(job.warmup)
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if job.device == "cuda" else [])
    with profile(activities=activities) as profiled:
        steps(job.steps)
    clock = "self_device_time_total" if job.device == "cuda" else "self_cpu_time_total"
    operations = {event.key: getattr(event, clock) / 1e6 / job.steps for event in profiled.key_averages()}
    kinds = dict.fromkeys([*KINDS, "the rest"], 0.0)
    for name, seconds in operations.items():
        kinds[kind_of(name)] += seconds
    costliest = sorted(operations.items(), key=lambda item: -item[1])[:20]
    return {"seconds": sum(operations.values()), "kinds": kinds, "operations": dict(costliest)}


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--classes", nargs="+", type=int, default=[10, 100, 500])
    options.add_argument("--batch", type=int, default=4)
    chosen = options.parse_args()
    job = base_job(chosen, task="profile", batch=chosen.batch)
    job = job.with_(depth=min(9, job.size().text_layers))
    machine = describe_machine(job)
    rows: list[dict[str, Any]] = []
    for each in [job.with_(classes=n, precision=p) for p in chosen.precision for n in chosen.classes]:
        rows.append({"classes": each.classes, "batch": each.batch, "precision": each.precision} | measure(each))
    table = [
        {"classes": str(row["classes"]), "precision": row["precision"], "s/step": f"{row['seconds']:.3g}"}
        | {kind: f"{seconds:.3f} ({seconds / row['seconds']:.0%})" for kind, seconds in row["kinds"].items()}
        for row in rows
    ]
    show("Our training step of MaPLe, seconds by kind of operation", machine, table)
    print(f"written: {write(chosen.output, machine, 'profile', rows)}")
    return 0


if __name__ == "__main__":
    run_program(main)
