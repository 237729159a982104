"""Evaluation of a trained model, all images, against the usual implementation: `python -m bench.evaluate`.

The usual implementation computes the class features again for every batch; ours once, which is in its time (CoCoOp:
once per image, on both sides).
"""

from __future__ import annotations

from bench.pairs import Pairs, cells
from bench.results import base_job, describe_machine, parser, run_program, show, usual_precision, write
from bench.step import refusals

TARGET = 3.0


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--method", choices=["maple", "cocoop"], default="maple")
    options.add_argument("--classes", type=int, default=500)
    options.add_argument("--images", type=int, default=1000)
    options.add_argument("--batch", nargs="+", type=int, default=[100], help="images per batch")
    chosen = options.parse_args()
    job = base_job(chosen, task="evaluate", classes=chosen.classes, images=chosen.images)
    if chosen.method == "maple":
        job = job.with_(depth=min(9, job.size().text_layers))
    else:
        job = job.with_(method="cocoop", n_ctx=4, depth=1)
    machine = describe_machine(job)
    pairs = Pairs()
    jobs = [job.with_(batch=batch, precision=p) for batch in chosen.batch for p in chosen.precision]
    rows = [pairs.pair(each, usual_precision(each.precision, each.device)) for each in jobs]
    table = []
    for row in rows:
        shown = {"batch": str(row["batch"])} | cells(row, "run")
        shown["usual images/s"], shown["ours images/s"] = (
            f"{row[side]['images_per_second']:.3g}" for side in ("usual", "ours")
        )
        del shown["gradients differ"]
        table.append(shown)
    name = {"maple": "MaPLe", "cocoop": "CoCoOp"}[chosen.method]
    show(f"{name}, evaluation of {chosen.images} images", machine, table)
    for row in rows:
        by_count = row["usual"]["flops"] / row["ours"]["flops"]
        print(f"batch {row['batch']}, {row['precision']}: the operations alone allow {by_count:.1f} times at one speed")
    print(f"written: {write(chosen.output, machine, 'evaluate', rows, target=TARGET)}")
    return refusals(rows)


if __name__ == "__main__":
    run_program(main)
