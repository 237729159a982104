"""Both sides of one measurement, checked against each other before they are compared in speed."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.job import Job
from bench.runner import Line, difference, measure, peak_bytes


def gemm_share(job: Job, result: dict[str, Any]) -> dict[str, Any]:
    """What part of the machine's matrix-product speed a measurement reached.

    The speed is that of the job's own matrix products, each run alone, now, on as many threads: operations per second
    of the whole work over operations per second of the products, by PyTorch's `matmul` (`share_of_gemm`) and by the
    call that our side makes (`share_of_our_call`, the harder measure where that call is the faster one).
    """
    products = tuple(tuple(product) for product in result["products"])
    gemm = measure(job.with_(side="gemm", products=products))
    speed = result["flops"] / result["seconds"]
    return {
        "gemm_flops_per_second": gemm["flops_per_second"],
        "gemm_seconds": gemm["seconds"],
        "our_call_flops_per_second": gemm["our_call_flops_per_second"],
        "share_of_gemm": speed / gemm["flops_per_second"],
        "share_of_our_call": speed / gemm["our_call_flops_per_second"],
    }


def _slim(result: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in result.items() if k != "products"} | {"peak_bytes": peak_bytes(result)}


class Pairs:
    """Runs pairs of jobs; a usual job that several of ours are compared with runs once."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._usual: dict[Job, tuple[dict[str, Any], Path]] = {}
        self._count = 0

    def _file(self) -> Path:
        self._count += 1
        return Path(self._folder.name) / f"{self._count}.npz"

    def usual(self, job: Job) -> tuple[dict[str, Any], Path]:
        """The usual side of `job` and the file of its tensors."""
        plain = job.with_(side="usual", chunk=0, recompute=False, compiled=False)
        if plain not in self._usual:
            file = self._file()
            self._usual[plain] = (measure(plain.with_(save=str(file))), file)
        return self._usual[plain]

    def ours(self, job: Job, *, share: bool = True) -> dict[str, Any]:
        """Our side alone, with its share of the matrix-product speed if asked for."""
        result = measure(job.with_(side="ours"))
        return _slim(result) | (gemm_share(job, result) if share else {})

    def pair(self, job: Job, usual_precision: str, *, share: bool = True) -> dict[str, Any]:
        """Both sides, their difference and their ratios.

        Returns:
            the job's size; `ours`, `usual`: what each measured; `difference`; `refused`: why there is no ratio, or
            None; `speedup` and `memory_ratio`, usual over ours, None where refused.
        """
        file = self._file()
        result = measure(job.with_(side="ours", save=str(file)))
        ours = _slim(result) | (gemm_share(job, result) if share else {})
        usual, usual_file = self.usual(job.with_(precision=usual_precision))
        apart = difference(usual_file, file)
        file.unlink()
        refused = apart.refusal(job.precision)
        row = size_of(job) | {"ours": ours, "usual": _slim(usual), "usual_precision": usual_precision}
        row |= {"difference": asdict(apart), "refused": refused, "line": None}
        row |= {"speedup": None, "memory_ratio": None}
        if refused is None:
            row |= _ratios(ours, row["usual"])
        return row

    def against_line(self, job: Job, seconds: Line, memory: Line, *, share: bool = True) -> dict[str, Any]:
        """Our side measured, the usual one read off lines through sizes that were measured."""
        ours = self.ours(job, share=share)
        usual = {"seconds": seconds.at(job.classes), "peak_bytes": memory.at(job.classes)}
        row = size_of(job) | {"ours": ours, "usual": usual, "difference": None, "refused": None}
        return row | {"line": list(seconds.through)} | _ratios(ours, usual)


def size_of(job: Job) -> dict[str, Any]:
    """The entries of a row that say what was measured."""
    names = ("task", "method", "dims", "precision", "classes", "batch", "n_ctx", "depth", "images", "steps")
    return {name: getattr(job, name) for name in (*names, "chunk", "recompute", "compiled")}


def _ratios(ours: dict[str, Any], usual: dict[str, Any]) -> dict[str, float]:
    return {
        "speedup": usual["seconds"] / ours["seconds"],
        "memory_ratio": usual["peak_bytes"] / ours["peak_bytes"],
    }


def cells(row: dict[str, Any], unit: str = "step") -> dict[str, str]:
    """A row of the printed table; figures from a line are marked with `~`."""
    ours, usual, apart = row["ours"], row["usual"], row["difference"]
    mark = "~" if row["line"] else ""
    ratio = "refused" if row["refused"] else f"{mark}{row['speedup']:.1f}"
    logits = "–"
    if apart:  # judged absolutely in float32, relatively in 16 bits
        logits = f"{apart['logits']:.0e}" if row["precision"] == "fp32" else f"{apart['logits_relative']:.0e} rel."
    memory = "refused" if row["refused"] else f"{mark}{row['memory_ratio']:.1f}"
    shown = {
        "classes": str(row["classes"]),
        "precision": row["precision"],
        f"usual s/{unit}": f"{mark}{usual['seconds']:.3g}",
        f"ours s/{unit}": f"{ours['seconds']:.3g}",
        "ratio": ratio,
        "usual GB": f"{mark}{usual['peak_bytes'] / 1e9:.2f}",
        "ours GB": f"{ours['peak_bytes'] / 1e9:.2f}",
        "memory ratio": memory,
        "usual TFLOP": f"{usual['flops'] / 1e12:.3g}" if "flops" in usual else "–",
        "ours TFLOP": f"{ours['flops'] / 1e12:.3g}",
        "share of GEMM": f"{ours['share_of_gemm']:.2f}" if "share_of_gemm" in ours else "–",
        "share of our call": f"{ours['share_of_our_call']:.2f}" if "share_of_our_call" in ours else "–",
        "logits differ": logits,
        "gradients differ": f"{apart['gradient']:.0e}" if apart else "–",
    }
    return shown
