"""Runs jobs in processes of their own and compares what two of them computed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.flops import usual_bytes
from bench.job import Job

ROOT = Path(__file__).resolve().parent.parent

#: The sides may differ by this much before a ratio is refused: float32, absolute for logits, relative for gradients.
FP32_TOLERANCE = 1e-4
#: The same for logits in 16-bit types, relative. Their gradients are reported, not judged.
HALF_TOLERANCE = 2e-2


def measure(job: Job) -> dict[str, Any]:
    """Run one job in a new process; says on stderr what runs.

    Raises:
        RuntimeError: the process failed, or was killed (for want of memory, as a rule).
    """
    label = {"gemm": "matrix products", "describe": "machine"}.get(job.side, f"{job.side}, {job.task} {job.method}")
    size = "" if job.side in ("gemm", "describe") else f", {job.classes} classes, batch {job.batch}, depth {job.depth}"
    print(f"bench: {label}{size}, {job.precision}, {job.device} …", end=" ", file=sys.stderr, flush=True)
    start = time.perf_counter()
    environment = dict(os.environ, OMP_NUM_THREADS=str(job.threads), MKL_NUM_THREADS=str(job.threads))
    with tempfile.TemporaryDirectory() as folder:
        job_file, result_file = Path(folder) / "job.json", Path(folder) / "result.json"
        job.write(job_file)
        command = [sys.executable, "-m", "bench.worker", str(job_file), str(result_file)]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            killed = done.returncode == -signal.SIGKILL
            last = (done.stderr.strip() or "no message").splitlines()[-1]
            reason = "killed, for want of memory as a rule" if killed else last
            print(f"\n{done.stderr}", file=sys.stderr)
            raise RuntimeError(f"the measurement of {label}{size} failed: {reason}")
        result: dict[str, Any] = json.loads(result_file.read_text())
    print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return result


@dataclass(frozen=True)
class Difference:
    """How far two sides are from each other on the same weights, parameters and images.

    Attributes:
        logits: largest absolute difference.
        logits_relative: norm of the difference over the norm of the reference.
        gradient: largest over the parameters, relative in the same sense; 0 where there are no gradients.
    """

    logits: float
    logits_relative: float
    gradient: float

    def refusal(self, precision: str) -> str | None:
        """Why no ratio may be printed, or None. Not-a-number is a refusal too."""
        if precision == "fp32":
            if self.logits <= FP32_TOLERANCE and self.gradient <= FP32_TOLERANCE:
                return None
            return (
                f"the two sides disagree: logits by {self.logits:.1e}, gradients by {self.gradient:.1e} relative,"
                f" {FP32_TOLERANCE:.0e} allowed"
            )
        if self.logits_relative <= HALF_TOLERANCE:
            return None
        return f"the two sides disagree: logits by {self.logits_relative:.1e} relative, {HALF_TOLERANCE:.0e} allowed"


def difference(reference: Path, other: Path) -> Difference:
    """Compare two files of logits and gradients.

    Raises:
        RuntimeError: the two do not hold the same tensors.
    """

    def relative(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.linalg.norm(a - b) / max(np.linalg.norm(a), np.finfo(np.float32).tiny))

    with np.load(reference) as a, np.load(other) as b:
        if {k: a[k].shape for k in a.files} != {k: b[k].shape for k in b.files}:
            raise RuntimeError("the two sides saved different tensors: they did not run the same job")
        gradients = [relative(a[k], b[k]) for k in a.files if k != "logits"]
        logits = float(np.abs(a["logits"] - b["logits"]).max())
        # max() drops a NaN that is not its first argument, so NaN is looked for
        worst = float("nan") if np.isnan(gradients).any() else max(gradients, default=0.0)
        return Difference(logits, relative(a["logits"], b["logits"]), worst)


def peak_bytes(result: dict[str, Any]) -> int:
    """Peak memory of a measurement on the device that it ran on."""
    return result["peak_cuda_bytes"] or result["peak_rss_bytes"]


def available_bytes(machine: dict[str, Any], device: str) -> int:
    """Memory that a measurement may use: the GPU's, or what the kernel says is available."""
    if device == "cuda":
        return int(machine["gpu_memory_bytes"])
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except FileNotFoundError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def usual_fits(job: Job, limit_bytes: int) -> bool:
    """Whether the usual implementation's training step fits into 80 % of a limit, by estimate.

    16-bit types are counted like float32: the estimate is rough, and this errs on the safe side.
    """
    maple = job.method == "maple"
    sequences = job.classes * (1 if maple else job.batch)
    return usual_bytes(job.size(), sequences, job.batch if maple else 0) < 0.8 * limit_bytes


@dataclass(frozen=True)
class Line:
    """A least-squares line through measured points, for sizes that do not fit."""

    slope: float
    intercept: float
    through: tuple[int, ...]

    def at(self, x: float) -> float:
        return self.slope * x + self.intercept

    @staticmethod
    def fit(points: dict[int, float]) -> Line:
        """Fit through at least two points.

        Raises:
            ValueError: fewer than two points.
        """
        if len(points) < 2:
            raise ValueError(f"a line needs two measured sizes or more, but there are {len(points)}")
        x = np.array(sorted(points), dtype=float)
        slope, intercept = np.polyfit(x, np.array([points[int(v)] for v in x]), 1)
        return Line(float(slope), float(intercept), tuple(sorted(points)))
