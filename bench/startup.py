"""How long a user waits for `train.py --help`, and for a run's first step: `python -m bench.startup`.

Seconds of the wall clock, from the start of the process. The first run also writes the quickstart's images as files.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.job import Job
from bench.results import describe_machine, run_program, show, write
from bench.runner import ROOT

#: Seconds that each may take.
TARGETS = {"help": 1.0, "first step": 5.0}


def seconds_of_help() -> float:
    """One call of `train.py --help`."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "train.py", "--help"], cwd=ROOT, capture_output=True, check=True)
    return time.perf_counter() - start


def seconds_to_first_step(root: Path, output: Path, backbone: str) -> float:
    """One run with a line for every step, stopped after its first.

    Args:
        root: data root; the images are written there when they are missing.
        output: the run's folder, new.
        backbone: a name or a weight file.

    Raises:
        RuntimeError: the run ended before a step.
    """
    command = [sys.executable, "-u", "train.py", "--trainer", "MaPLe", "--backbone", backbone]
    command += ["--root", str(root), "--output-dir", str(output), "TRAIN.PRINT_FREQ", "1"]
    start = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        assert run.stdout is not None
        last = ""
        for line in run.stdout:
            if line.startswith("epoch ["):
                seconds = time.perf_counter() - start
                run.kill()
                return seconds
            last = line.strip() or last
    raise RuntimeError(f"the run ended before its first step: {last}")


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    options.add_argument("--output", type=Path, default=ROOT / "bench" / "results", help="folder of the results")
    options.add_argument("--backbone", default="mini_clip", help="a name or a weight file")
    options.add_argument("--repeats", type=int, default=3)
    chosen = options.parse_args()
    machine = describe_machine(Job("describe", threads=os.cpu_count() or 1))
    measured: dict[str, list[float]] = {"help": [seconds_of_help() for _ in range(chosen.repeats)]}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        runs = [
            seconds_to_first_step(data, Path(folder) / f"run{index}", chosen.backbone)
            for index in range(chosen.repeats + 1)
        ]
    measured["first step, images still to be written"] = runs[:1]
    measured["first step"] = runs[1:]
    rows: list[dict[str, Any]] = []
    for what, seconds in measured.items():
        rows.append({"what": what, "seconds": statistics.median(seconds), "all_seconds": seconds})
        rows[-1]["target"] = TARGETS.get(what)
    table = [
        {"what": r["what"], "seconds": f"{r['seconds']:.2f}", "target": f"{r['target']:g}" if r["target"] else "–"}
        for r in rows
    ]
    show("Startup", machine, table)
    print(f"written: {write(chosen.output, machine, 'startup', rows, backbone=chosen.backbone)}")
    return 0


if __name__ == "__main__":
    run_program(main)
