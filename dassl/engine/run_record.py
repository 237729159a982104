"""The record of a finished run: the file that says that it is complete."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dassl.records import RECORD_FILE, SCHEMA_VERSION, data_of, nested_config
from dassl.records.folder import COMPLETE
from dassl.utils.distributed import is_main_process
from dassl.utils.tools import cpu_name, write_json

from .run_state import remove_state, utc_now


def build_run_record(
    trainer: Any,
    config: str = "",
    eval_only: bool = False,
    model_dir: str = "",
    load_epoch: int | None = None,
    weights: Mapping[str, Any] | None = None,
    files: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The record of a run, from what its trainer has stored.

    Args:
        trainer: a trainer that has finished `train`, or `test` alone.
        config: stem of the method's config file, e.g. ``vit_b16_c2_ep5_batch4_2ctx``.
        eval_only: the run trained nothing.
        model_dir: folder the weights came from, or "".
        load_epoch: epoch of the weights that were loaded, or None.
        weights: which weights were tested, from `dassl.records.weights_of`, or None.
        files: setting → digest of the file that it names, where it names one.

    Returns:
        A dict of plain JSON types. Accuracies are percentages at full precision.
    """
    cfg = nested_config(trainer.cfg)
    dataset = trainer.dm.dataset
    digests = trainer._run_state.data.get("digests")
    return {
        "schema_version": SCHEMA_VERSION,
        "status": COMPLETE,
        "method": cfg["TRAINER"]["NAME"],
        "dataset": getattr(dataset, "title", "") or cfg["DATASET"]["NAME"],
        "backbone": cfg["MODEL"]["BACKBONE"]["NAME"],
        "protocol": {
            "shots": cfg["DATASET"]["NUM_SHOTS"],
            "subsample_classes": cfg["DATASET"].get("SUBSAMPLE_CLASSES", "all"),
            "seed": cfg["SEED"],
            "epoch_loaded": load_epoch,
            "model_dir": str(model_dir or ""),
            "eval_only": bool(eval_only),
            "config": config,
        },
        "config": cfg,
        "config_digest": config_digest(cfg),
        "data": data_of(dataset, digests),
        "weights": dict(weights or {}),
        "files": dict(files or {}),
        "metrics": _metrics(trainer),
        "history": list(trainer._run_state.history),
        "trainable_parameters": trainable_parameters(trainer),
        "cost": _cost(trainer, eval_only),
        "environment": _environment(trainer),
        "start_utc": trainer._run_state.start_utc,
        "end_utc": utc_now(),
    }


def write_run_record(
    trainer: Any,
    config: str = "",
    eval_only: bool = False,
    model_dir: str = "",
    load_epoch: int | None = None,
    weights: Mapping[str, Any] | None = None,
    files: Mapping[str, str] | None = None,
) -> Path:
    """Write the record into the output folder, whole or not at all, and remove the rolling resume file.

    Call it once, when everything else is done: its existence says that the run is complete.

    Args:
        trainer: see `build_run_record`.
        config: likewise.
        eval_only: likewise.
        model_dir: likewise.
        load_epoch: likewise.
        weights: likewise.
        files: likewise.

    Returns:
        The file's path.
    """
    path = Path(trainer.output_dir) / RECORD_FILE
    record = build_run_record(trainer, config, eval_only, model_dir, load_epoch, weights, files)
    if is_main_process():
        write_json(record, str(path))
        if not eval_only:
            remove_state(trainer.output_dir)
    return path


def config_digest(cfg: dict[str, Any]) -> str:
    """First 12 hex digits of the SHA-256 of a config as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(cfg, sort_keys=True).encode()).hexdigest()[:12]


def trainable_parameters(trainer: Any) -> int:
    """Number of scalars with `requires_grad` in all models that a trainer has registered, each counted once."""
    models = [model for model in trainer._models.values() if isinstance(model, nn.Module)]
    unique = {id(p): p for model in models for p in model.parameters() if p.requires_grad}
    return sum(p.numel() for p in unique.values())


def _metrics(trainer: Any) -> dict[str, Any]:
    results = dict(trainer._run_state.results)
    full = getattr(trainer.evaluator, "full_result", None)
    if not results and full is not None:
        results[trainer.cfg.TEST.SPLIT] = full  # a plugin's own `test`
    return results


def _cost(trainer: Any, eval_only: bool) -> dict[str, Any]:
    run = trainer._run_state
    trained = not eval_only and run.steps > 0 and run.train_seconds > 0
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cuda = trainer.device.type == "cuda"
    return {
        "train_seconds": run.train_seconds if trained else None,
        "eval_seconds": run.eval_seconds if run.results else None,
        "seconds_per_step": run.train_seconds / run.steps if trained else None,
        "images_per_second": run.images / run.train_seconds if trained else None,
        "peak_rss_bytes": rss if sys.platform == "darwin" else rss * 1024,
        "peak_cuda_bytes": torch.cuda.max_memory_allocated() if cuda else None,
    }


def _environment(trainer: Any) -> dict[str, Any]:
    device = trainer.device
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name(),
        "git_commit": git_commit(),
        "command": " ".join([os.path.basename(sys.executable), *sys.argv]),
    }


def git_commit() -> str | None:
    """The commit that this code is checked out at; None outside of a git checkout."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).resolve().parent,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
