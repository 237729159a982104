"""Where results go: `bench/results/<machine>-<date>.json`, one list of runs per machine and day."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from bench.job import DIMS, Job
from bench.runner import ROOT, measure

PRECISIONS = ("fp32", "bf16", "fp16", "amp")


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that all benchmarks share."""
    result = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    result.add_argument("--dims", choices=DIMS, default="vit_b16", help="size of the model (random weights)")
    result.add_argument("--precision", nargs="+", choices=PRECISIONS, default=["fp32"], help="our side's precisions")
    result.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    result.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads")
    result.add_argument("--warmup", type=int, default=2, help="steps before the clock starts")
    result.add_argument("--steps", type=int, default=5, help="steps measured; the median counts")
    result.add_argument("--chunk", type=int, default=0, help="our side: classes per pass of the text tower, 0 for all")
    result.add_argument("--recompute", action="store_true", help="our side: activation checkpointing")
    result.add_argument("--compile", action="store_true", help="our side: torch.compile")
    result.add_argument("--seed", type=int, default=0)
    result.add_argument("--output", type=Path, default=ROOT / "bench" / "results", help="folder of the results")
    return result


def base_job(options: argparse.Namespace, **values: Any) -> Job:
    """The job that the common options describe; other fields by keyword."""
    common = {k: getattr(options, k) for k in ("dims", "device", "threads", "warmup", "steps", "seed")}
    ours = {"chunk": options.chunk, "recompute": options.recompute, "compiled": options.compile}
    return Job(side="ours", **(common | ours | values))


def usual_precision(precision: str, device: str) -> str:
    """The baseline's precision beside ours: on a CPU float32, its only practical one there; on a GPU the same
    (16 bits where ours is mixed)."""
    if device == "cpu":
        return "fp32"
    return "fp16" if precision == "amp" else precision


def describe_machine(job: Job) -> dict[str, Any]:
    """What the figures were measured on."""
    cpu = "cpu"
    try:
        text = Path("/proc/cpuinfo").read_text()
        found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
        cpu = found.group(1).strip() if found else cpu
    except FileNotFoundError:
        pass
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    machine = {"cpu": cpu, "cores": cores, "threads": job.threads, "load_before": os.getloadavg()[0]}
    machine["memory_bytes"] = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    seen = measure(job.with_(side="describe"))
    return machine | {k: v for k, v in seen.items() if not k.startswith("peak_")}


def machine_slug(machine: dict[str, Any]) -> str:
    """A short name for file names: the GPU, or the CPU and its number of cores."""
    name = machine["gpu"] or f"{machine['cpu']} {machine['cores']} cores"
    return re.sub(r"[^a-z0-9]+", "-", name.lower().replace("(r)", "").replace("(tm)", "")).strip("-")


def stem(machine: dict[str, Any]) -> str:
    """`<machine>-<date>`, the date in UTC."""
    return f"{machine_slug(machine)}-{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}"


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or None


def write(folder: Path, machine: dict[str, Any], benchmark: str, rows: Sequence[dict[str, Any]], **extra: Any) -> Path:
    """Add a run to today's file of this machine (written aside and renamed, so never half a file).

    Args:
        folder: of the results.
        machine: from `describe_machine`.
        benchmark: name of the program.
        rows: one dictionary per row of the table, with everything measured.
        extra: further entries of the run.

    Returns:
        The file.

    Raises:
        ValueError: the file that is there is not one of ours.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem(machine)}.json"
    content: dict[str, Any] = {"schema_version": 1, "runs": []}
    if path.exists():
        try:
            content = json.loads(path.read_text())
            content["runs"].append({})
            content["runs"].pop()
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is not a file of benchmark results: move it away and run again") from error
    run = {
        "benchmark": benchmark,
        "finished_utc": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": f"python -m bench.{benchmark} {shlex.join(sys.argv[1:])}".strip(),
        "git_commit": _commit(),
        "machine": machine,
        **extra,
        "rows": list(rows),
    }
    content["runs"].append(run)
    aside = path.with_suffix(".json.part")
    aside.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(aside, path)
    return path


def show(title: str, machine: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    """Print a table of ready-made cells under a heading that names the machine."""
    where = machine["gpu"] or f"{machine['cpu']}, {machine['threads']} threads"
    print(f"\n{title} ({where}, PyTorch {machine['torch']})")
    print(tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True))


def run_program(main: Callable[[], int]) -> None:
    """Exit with what `main` returns; what goes wrong is one line and status 2."""
    try:
        sys.exit(main())
    except (RuntimeError, ValueError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(2)
