"""MaPLe's training step against the usual implementation, by number of classes: `python -m bench.step`.

Where the usual implementation does not fit into memory, a line through the sizes that do stands for it, marked `~`.
"""

from __future__ import annotations

import sys
from typing import Any

from bench.job import Job
from bench.pairs import Pairs, cells
from bench.results import base_job, describe_machine, parser, run_program, show, usual_precision, write
from bench.runner import Line, available_bytes, peak_bytes, usual_fits

#: Sizes that a line is drawn through.
LINE_SIZES = (50, 100, 200)

#: Targets on a CPU in float32 at batch 4: classes → at least this ratio.
RATIO_TARGETS = {50: 3.0, 100: 5.5, 200: 9.0, 500: 14.0}


def usual_lines(pairs: Pairs, job: Job, limit_bytes: int) -> tuple[Line, Line]:
    """Lines of the usual side's seconds and peak memory over classes, through `LINE_SIZES`.

    Raises:
        ValueError: fewer than two of the sizes fit.
    """
    points = {n: job.with_(classes=n) for n in LINE_SIZES if usual_fits(job.with_(classes=n), limit_bytes)}
    measured = {n: pairs.usual(point)[0] for n, point in points.items()}
    seconds = Line.fit({n: result["seconds"] for n, result in measured.items()})
    memory = Line.fit({n: float(peak_bytes(result)) for n, result in measured.items()})
    return seconds, memory


def measure_rows(pairs: Pairs, jobs: list[Job], limit_bytes: int, *, share: bool = True) -> list[dict[str, Any]]:
    """A row per job, the usual side measured where it fits and read off a line where it does not."""
    rows = []
    for job in jobs:
        beside = usual_precision(job.precision, job.device)
        if usual_fits(job, limit_bytes):
            rows.append(pairs.pair(job, beside, share=share))
        else:
            lines = usual_lines(pairs, job.with_(precision=beside), limit_bytes)
            rows.append(pairs.against_line(job, *lines, share=share) | {"usual_precision": beside})
    return rows


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures across rows: bytes per class of each side, and every precision's speed over our float32."""
    result: dict[str, Any] = {}
    for side in ("ours", "usual"):
        own = [r for r in rows if r["precision"] == "fp32" and not (side == "usual" and r["line"])]
        points = {r["classes"]: float(r[side]["peak_bytes"]) for r in own}
        if len(points) > 1:
            result[f"{side}_bytes_per_class"] = Line.fit(points).slope
    float32 = {r["classes"]: r["ours"]["seconds"] for r in rows if r["precision"] == "fp32"}
    for row in rows:
        if row["precision"] != "fp32" and row["classes"] in float32:
            row["speedup_over_our_fp32"] = float32[row["classes"]] / row["ours"]["seconds"]
    if 100 in float32 and 500 in float32:
        result["ours_500_over_100_classes"] = float32[500] / float32[100]
    return result


def report(rows: list[dict[str, Any]], figures: dict[str, Any], device: str) -> None:
    """Print what lies across rows, and each target with the figure reached."""
    for side in ("ours", "usual"):
        if f"{side}_bytes_per_class" in figures:
            print(f"memory per class, {side}: {figures[f'{side}_bytes_per_class'] / 1e6:.1f} MB")
    if "ours_500_over_100_classes" in figures:
        print(f"our step, 500 over 100 classes: {figures['ours_500_over_100_classes']:.2f}")
    for row in rows:
        if "speedup_over_our_fp32" in row:
            print(f"{row['precision']} over our fp32, {row['classes']} classes: {row['speedup_over_our_fp32']:.2f}")
        target = RATIO_TARGETS.get(row["classes"])
        on_target = device == "cpu" and row["precision"] == "fp32" and row["batch"] == 4 and row["dims"] == "vit_b16"
        if target and on_target and row["speedup"] is not None:
            verdict = "reached" if row["speedup"] >= target else "missed"
            print(f"target {target:g} times at {row['classes']} classes: {row['speedup']:.1f}, {verdict}")


def refusals(rows: list[dict[str, Any]]) -> int:
    """Print every refusal on stderr; the exit status."""
    refused = [row for row in rows if row["refused"]]
    for row in refused:
        print(f"bench: {row['classes']} classes, {row['precision']}: no ratio, {row['refused']}.", file=sys.stderr)
    return 1 if refused else 0


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--classes", nargs="+", type=int, default=[50, 100, 200, 500])
    options.add_argument("--batch", type=int, default=4)
    options.add_argument("--depth", type=int, default=None, help="prompted layers; at most the model's (9 by default)")
    chosen = options.parse_args()
    job = base_job(chosen, batch=chosen.batch)
    job = job.with_(depth=chosen.depth or min(9, job.size().text_layers))
    machine = describe_machine(job)
    jobs = [job.with_(precision=p, classes=n) for p in chosen.precision for n in chosen.classes]
    rows = measure_rows(Pairs(), jobs, available_bytes(machine, chosen.device))
    figures = summary(rows)
    show("MaPLe, one training step", machine, [cells(row) for row in rows])
    if any(row["line"] for row in rows):
        print("~ the usual implementation does not fit into memory here: a line through its sizes that do.")
    report(rows, figures, chosen.device)
    print(f"written: {write(chosen.output, machine, 'step', rows, summary=figures)}")
    return refusals(rows)


if __name__ == "__main__":
    run_program(main)
