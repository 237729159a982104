"""Cost of MaPLe's training step against classes, batch and depth, with a plot: `python -m bench.scale`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.job import Job
from bench.pairs import Pairs, cells
from bench.results import base_job, describe_machine, parser, run_program, show, stem, write
from bench.runner import available_bytes
from bench.step import measure_rows, refusals

#: Names of model sizes on the plot.
TITLES = {"vit_b16": "ViT-B/16's size"}


def plot(rows: list[dict[str, Any]], machine: dict[str, Any], path: Path) -> None:
    """Seconds per step and peak memory over classes, both sides; what comes from a line is dashed."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    rows = sorted(rows, key=lambda row: row["classes"])
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6))
    for axis, key, scale, label in (
        (axes[0], "seconds", 1.0, "seconds per training step"),
        (axes[1], "peak_bytes", 1e-9, "peak memory, GB"),
    ):
        for side, colour in (("usual", "tab:gray"), ("ours", "tab:blue")):
            x = [row["classes"] for row in rows]
            y = [row[side][key] * scale for row in rows]
            measured = len(rows) if side == "ours" else sum(1 for row in rows if not row["line"])
            axis.plot(x[:measured], y[:measured], "o-", color=colour, label=side)
            if measured < len(rows):
                start = max(measured - 1, 0)
                axis.plot(x[start:], y[start:], "--", color=colour, label=f"{side}, by a line (does not fit)")
        axis.set(xscale="log", yscale="log", xlabel="classes", ylabel=label)
        axis.set_xticks(x, [str(value) for value in x])
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.minorticks_off()
        axis.grid(True, alpha=0.3)
    axes[0].legend()
    where = machine["gpu"] or f"{machine['cpu']}, {machine['threads']} threads"
    size = TITLES.get(rows[0]["dims"], rows[0]["dims"])
    title = f"MaPLe, {size}, batch {rows[0]['batch']}, {rows[0]['precision']} – {where}"
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--classes", nargs="+", type=int, default=[10, 50, 100, 200, 500, 1000], help="at batch 4")
    options.add_argument("--batches", nargs="+", type=int, default=[1, 4, 16, 64])
    options.add_argument("--depths", nargs="+", type=int, default=[1, 3, 6, 9, 12])
    options.add_argument("--fixed-classes", type=int, default=50, help="classes while batch or depth vary")
    chosen = options.parse_args()
    job = base_job(chosen)
    layers = job.size().text_layers
    job = job.with_(depth=min(9, layers))
    if any(not 1 <= depth <= layers for depth in chosen.depths):
        options.error(f"depths are 1 to {layers} in this model")
    machine = describe_machine(job)
    limit = available_bytes(machine, chosen.device)
    pairs = Pairs()
    all_rows: list[dict[str, Any]] = []
    plots = []
    for precision in chosen.precision:
        fixed = job.with_(precision=precision, classes=chosen.fixed_classes)
        sweeps: dict[str, list[Job]] = {
            "classes": [fixed.with_(classes=n) for n in chosen.classes],
            "batch": [fixed.with_(batch=n) for n in chosen.batches],
            "depth": [fixed.with_(depth=n) for n in chosen.depths],
        }
        for name, jobs in sweeps.items():
            rows = [row | {"sweep": name} for row in measure_rows(pairs, jobs, limit, share=False)]
            table = [{"batch": str(r["batch"]), "depth": str(r["depth"])} | cells(r) for r in rows]
            show(f"MaPLe, one training step by {name}, {precision}", machine, table)
            if name == "classes" and len(rows) > 1:
                path = chosen.output / f"{stem(machine)}-{precision}.png"
                plot(rows, machine, path)
                plots.append(path.name)
            all_rows += rows
    print(f"written: {write(chosen.output, machine, 'scale', all_rows, plots=plots)}")
    return refusals(all_rows)


if __name__ == "__main__":
    run_program(main)
