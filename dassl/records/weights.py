"""The weights that an evaluation tested: which checkpoint is meant, and whether it is still the same."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .data import sha256
from .folder import RECORD_FILE, read_record

#: File names in a model's folder.
BEST = "model-best.pth.tar"
POINTER = "checkpoint"  # the text file that names the newest
NUMBERED = "model.pth.tar-"  # and the number of epochs done
_NUMBERED = re.compile(re.escape(NUMBERED) + r"(\d+)")


def checkpoint_name(folder: str | os.PathLike, epoch: int | None = None) -> str | None:
    """The file of a model's folder that is meant by an epoch.

    Args:
        folder: the model's folder.
        epoch: None: the best on validation, else the one that the file ``checkpoint`` names, else the newest.

    Returns:
        Its name; None where there is none.
    """
    folder = Path(folder)
    if epoch is not None:
        name = f"{NUMBERED}{epoch}"
        return name if (folder / name).is_file() else None
    if (folder / BEST).is_file():
        return BEST
    try:
        named = (folder / POINTER).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        named = ""
    named = os.path.basename(named.splitlines()[0]) if named else ""
    if named and (folder / named).is_file():
        return named
    numbers = [int(found[1]) for path in folder.glob(f"{NUMBERED}*") if (found := _NUMBERED.fullmatch(path.name))]
    return f"{NUMBERED}{max(numbers)}" if numbers else None


def weights_of(model_dir: str, files: Iterable[str | os.PathLike]) -> dict[str, Any]:
    """What a record says of the weights that were loaded.

    Args:
        model_dir: the folder that was named.
        files: the checkpoints that were read.

    Returns:
        ``files``: path below `model_dir` → SHA-256; ``run``: SHA-256 of the record of the run that trained them, or
        None. Empty when nothing was read.
    """
    digests = {os.path.relpath(file, model_dir): sha256(file) for file in files}
    record = Path(model_dir, RECORD_FILE)
    return {"files": digests, "run": sha256(record) if record.is_file() else None} if digests else {}


def file_below(model_dir: str | os.PathLike, path: str) -> Path:
    """A file of `weights_of` now: below `model_dir`, which may also be the model's own folder or the file itself."""
    place = Path(model_dir)
    if place.is_file():
        return place
    own = place.name == os.path.dirname(path) and not (place / path).parent.is_dir()
    return place / os.path.basename(path) if own else place / path


def changed_weights(old: Mapping[str, Any], model_dir: str, epoch: int | None) -> Iterator[str]:
    """Yield what differs between the weights that a record is of and those that would be tested now.

    Weights that are gone count as the same as long as the record of the run that trained them is the same.

    Args:
        old: from `weights_of`.
        model_dir: the folder that is named now.
        epoch: the epoch that is asked for now, or None.
    """
    record = Path(model_dir, RECORD_FILE)
    same_run = old.get("run") is not None and record.is_file() and sha256(record) == old["run"]
    for path, digest in old["files"].items():
        file = file_below(model_dir, path)
        then = os.path.basename(path)
        now = file.name if Path(model_dir).is_file() else checkpoint_name(file.parent, epoch)
        if now is None:
            if not same_run or epoch not in (None, _epoch(then)):
                yield f"the weights {then} are no longer in {file.parent}"
        elif sha256(file.with_name(now)) != digest:
            yield f"weights: {then} → {now}" if now != then else f"the weights {now} have changed: trained again since"


def _epoch(name: str) -> int | None:
    found = _NUMBERED.fullmatch(name)
    return int(found[1]) if found else None


def trained_since(record: Mapping[str, Any], model_dir: str) -> bool:
    """Whether a model was trained again after a record was written that does not say which weights it is of."""
    trained = (read_record(model_dir) or {}).get("end_utc")
    return bool(trained) and str(trained) > str(record.get("end_utc") or "")
