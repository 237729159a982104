"""Synthetic folders of runs for the tests of reporting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from configs import facts

OURS = {"CLIP": "ZeroshotCLIP"}  # the paper's name → ours
SIDES = {"train_base": "base", "test_new": "new"}


def write_run(
    folder: Path,
    method: str,
    dataset: str,
    accuracy: float,
    seed: int = 1,
    subsample: str = "all",
    config: str = "cfg",
    shots: int | None = 16,
    model_dir: str = "",
    eval_only: bool = False,
    backbone: str = "ViT-B/16",
    parameters: int = 1000,
    settings: dict[str, Any] | None = None,
    end_utc: str = "2024-01-01T00:00:00+00:00",
    **extra: Any,
) -> Path:
    """Write one run record in schema version 1 and return its path."""
    record = {
        "schema_version": 1,
        "status": "complete",
        "method": method,
        "dataset": dataset,
        "backbone": backbone,
        "protocol": {
            "shots": shots,
            "subsample_classes": subsample,
            "seed": seed,
            "epoch_loaded": None,
            "model_dir": model_dir,
            "eval_only": eval_only,
            "config": config,
        },
        "config": settings or {},
        "config_digest": "0123456789ab",
        "data": {"num_classes": 2, "classnames": ["zero", "one"], "num_train": 32, "num_val": 8, "num_test": 1000},
        "metrics": {
            "test": {
                "accuracy": accuracy,
                "error_rate": 100 - accuracy,
                "macro_f1": accuracy - 0.5,
                "total": 1000,
                "correct": round(accuracy * 10),
                "per_class": [],
            }
        },
        "history": [
            {"epoch": e, "loss": 2.0 / e, "acc": 50.0 + 5 * e, "lr": 0.002, "seconds": 1.0} for e in range(1, 4)
        ],
        "trainable_parameters": parameters,
        "cost": {
            "train_seconds": 12.5,
            "eval_seconds": 1.5,
            "seconds_per_step": 0.01,
            "images_per_second": 400.0,
            "peak_rss_bytes": 600_000_000,
            "peak_cuda_bytes": None,
        },
        "environment": {"python": "3.11", "torch": "2.0", "device": "cpu", "device_name": "a CPU", "git_commit": "abc"},
        "start_utc": "2024-01-01T00:00:00+00:00",
        "end_utc": end_utc,
    } | extra
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "run.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


def base2new_run(
    root: Path, method: str, dataset: str, side: str, accuracy: float, seed: int = 1, config: str = "cfg", **extra: Any
) -> Path:
    """Write a run of the base-to-new protocol at its usual place; ``side`` is train_base or test_new."""
    folder = root / side / dataset.lower() / "shots_16" / method / config / f"seed{seed}"
    return write_run(
        folder, method, dataset, accuracy, seed, SIDES[side], config, eval_only=side == "test_new", **extra
    )


def paper_figures() -> dict[str, Any]:
    """The paper's tables as the methods' files hold them, laid out as the paper has them."""
    names = {ours: printed for printed, ours in OURS.items()}
    source = facts.methods()["MaPLe"].row.published.source
    rows = [row for row in facts.rows() if row.published and row.published.source == source]
    name = lambda row: names.get(row.method, row.method)  # noqa: E731
    datasets = list(facts.methods()["MaPLe"].row.published.base2new)
    tables: dict[str, Any] = {
        "base_to_new": {d: {name(r): r.published.base2new[d] for r in rows if r.published.base2new} for d in datasets},
        "design_ablation": {row.design: row.published.ablation for row in rows if row.published.ablation},
    }
    tables["design_ablation"]["MaPLe"] = tables["base_to_new"]["Average"]["MaPLe"]
    for key, short in (("cross_dataset", "xd"), ("domain_generalization", "dg")):
        found = {name(row): getattr(row.published, short) for row in rows if getattr(row.published, short)}
        columns = list(found["MaPLe"])
        tables[key] = {"columns": columns} | {name: [each[c] for c in columns] for name, each in found.items()}
    return tables


def paper_base2new(root: Path, methods: list[str] | None = None) -> dict[str, Any]:
    """Write a run for each of the paper's base and new figures (one seed); return the paper's table."""
    table = paper_figures()["base_to_new"]
    for dataset, by_method in table.items():
        if dataset in ("columns", "Average"):
            continue
        for name, (base, new, _) in by_method.items():
            method = OURS.get(name, name)
            if methods is None or method in methods:
                base2new_run(root, method, dataset, "train_base", base)
                base2new_run(root, method, dataset, "test_new", new)
    return table


def transfer_runs(
    root: Path, method: str, source: str, accuracy: dict[str, float], seeds: tuple[int, ...] = (1, 2, 3), **extra: Any
) -> None:
    """Write the training run on a source and its evaluations; ``accuracy`` maps dataset to percent."""
    for seed in seeds:
        trained = root / source.lower() / method / "cfg_16shots" / f"seed{seed}"
        for dataset, value in accuracy.items():
            if dataset == source:
                write_run(trained, method, dataset, value, seed, **extra)
                continue
            folder = root / "evaluation" / method / f"cfg_16shots_{source}" / dataset.lower() / f"seed{seed}"
            write_run(
                folder,
                method,
                dataset,
                value,
                seed,
                shots=-1,
                eval_only=True,
                model_dir=str(trained),
                history=[],
                **extra,
            )


def fewshot_run(
    root: Path, method: str, dataset: str, shots: int, accuracy: float, seed: int = 1, **extra: Any
) -> Path:
    """Write a run of the few-shot protocol at its usual place."""
    config = extra.pop("config", "cfg")
    folder = root / dataset.lower() / f"shots_{shots}" / method / config / f"seed{seed}"
    return write_run(folder, method, dataset, accuracy, seed, config=config, shots=shots, **extra)
