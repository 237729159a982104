"""What a run is asked for, for comparison with the record in its folder (`dassl.records`)."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dassl.data.datasets import build_dataset
from dassl.records import RECORD_FILE, Question, Source, data_of, nested_config, sha256
from dassl.records.settings import flat
from dassl.utils.rng import set_random_seed

from .build import TRAINER_REGISTRY, nodes_of

#: Setting → what else its value says, and the file that it names.
Files = Mapping[str, tuple[str, Path]]


def file_digests(files: Files) -> dict[str, str]:
    """Setting → digest of the file that it names, with what else its value says."""
    return {key: says + sha256(file) for key, (says, file) in files.items()}


def build_question(
    cfg: Any, defaults: Any, files: Files, *, eval_only: bool, model_dir: str, load_epoch: int | None
) -> tuple[Question, Any]:
    """What is asked for, with the data as they are now. Builds the dataset, but neither loaders nor a model.

    Args:
        cfg: the config.
        defaults: the config before anything was set.
        files: of settings that name one.
        eval_only: a model is tested, none is trained.
        model_dir: the model's folder, or "".
        load_epoch: the model's epoch, or None.

    Returns:
        The question, and the dataset.
    """
    if cfg.SEED >= 0:
        set_random_seed(cfg.SEED)  # as before a run: a dataset may draw from the global generators
    with contextlib.redirect_stdout(io.StringIO()):
        dataset = build_dataset(cfg)
    question = Question(
        config=nested_config(cfg),
        defaults=nested_config(defaults),
        data=data_of(dataset),
        nodes=nodes_of(TRAINER_REGISTRY.get(cfg.TRAINER.NAME)),
        files=file_digests(files),
        eval_only=eval_only,
        model_dir=model_dir,
        load_epoch=load_epoch,
    )
    return question, dataset


def sources_of(
    cfg: Any,
    dataset: Any,
    files: Files,
    project: Path,
    *,
    weights: Mapping[str, Any],
    model_dir: str,
    load_epoch: int | None,
) -> list[Source] | None:
    """What the answer depends on beside the command line and its config files.

    Args:
        cfg: the config.
        dataset: the run's dataset; its ``list_sources``, where it has that, says what its lists are read from.
        files: of settings that name one.
        project: the folder of ``train.py``.
        weights: those that were tested, from `dassl.records.weights_of`; empty where that is not known.
        model_dir: the folder that was named for them, or "".
        load_epoch: the epoch that was asked for, or None.

    Returns:
        The sources; None where they are not all known, so that a repeated command must be compared in full.
    """
    lists = getattr(dataset, "list_sources", lambda: None)()
    named = dict(flat(nested_config(cfg)))
    if lists is None or any(str(named[key]).startswith("~") for key in files):  # which another user's home would change
        return None
    sources = [*lists, *_defaults_code(cfg, dataset, project)]
    for _, file in files.values():
        place = "" if file.is_absolute() else "work"
        sources.append(_in_project(file, project) if not place else Source("content", place, str(file), large=True))
    for path in weights.get("files") or ():
        sources.append(Source("content", "model_dir", path, large=True))
        if load_epoch is None:
            sources.append(Source("checkpoint", "model_dir", os.path.dirname(path)))
    if model_dir and not weights:
        sources.append(Source("content", "model_dir", RECORD_FILE))
    return sources


def _defaults_code(cfg: Any, dataset: Any, project: Path) -> Iterable[Source]:
    """The files that set the defaults of keys: the engine's, the method's and its kin's, and those of both packages."""
    trainer = TRAINER_REGISTRY.get(cfg.TRAINER.NAME)
    kin = [each.__module__ for each in getattr(trainer, "__mro__", [trainer])]  # a function may be registered, too
    modules = [name for name in kin if not name.startswith(("dassl.", "builtins", "typing"))]
    packages = [name.partition(".")[0] for name in (*modules, type(dataset).__module__)]
    names = dict.fromkeys(["dassl.config.defaults", *modules, *packages])
    files = (getattr(sys.modules.get(name), "__file__", None) for name in names)
    return [_in_project(Path(file), project) for file in files if file]


def _in_project(file: Path, project: Path) -> Source:
    if file.is_relative_to(project):
        return Source("content", "project", str(file.relative_to(project)), large=True)
    return Source("content", "", str(file), large=True)
