"""CoCoOp's training step against the usual implementation: `python -m bench.cocoop`.

Every image has its own text prompts, so the text tower runs once per image and class.
"""

from __future__ import annotations

from bench.pairs import Pairs, cells
from bench.results import base_job, describe_machine, parser, run_program, show, usual_precision, write
from bench.step import refusals

TARGET = 8.0


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--classes", nargs="+", type=int, default=[100])
    options.add_argument("--batch", type=int, default=1)
    chosen = options.parse_args()
    job = base_job(chosen, method="cocoop", batch=chosen.batch, n_ctx=4, depth=1)
    machine = describe_machine(job)
    pairs = Pairs()
    jobs = [job.with_(classes=n, precision=p) for p in chosen.precision for n in chosen.classes]
    rows = [pairs.pair(each, usual_precision(each.precision, each.device)) for each in jobs]
    show(f"CoCoOp, one training step, batch {chosen.batch}", machine, [cells(row) for row in rows])
    print(f"written: {write(chosen.output, machine, 'cocoop', rows, target=TARGET)}")
    return refusals(rows)


if __name__ == "__main__":
    run_program(main)
