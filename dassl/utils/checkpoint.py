"""Checkpoints: written whole or not at all, read without ever running code from the file."""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dassl.records.weights import BEST, NUMBERED, POINTER, checkpoint_name

from .files import atomic_path
from .legacy import allowed_placeholders, placeholder_for, without_placeholders

_noted: list[Path] | None = None


@contextmanager
def noted_checkpoints() -> Iterator[list[Path]]:
    """Within it, every checkpoint that `load_checkpoint` reads is added to the list; whoever asks for it."""
    global _noted
    outer, _noted = _noted, []
    try:
        yield _noted
    finally:
        _noted = outer


def save_torch(obj: Any, path: str | os.PathLike) -> None:
    """`torch.save` into a temporary neighbour, then a rename.

    Raises:
        OSError: the file could not be written; the file that was there before is untouched.
    """
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        try:
            torch.save(obj, file)
        except RuntimeError as error:
            # torch's writer turns a failed write into an error about its own file positions.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def load_checkpoint(fpath: str | os.PathLike) -> Any:
    """Read a checkpoint onto the CPU; tensors and plain data only.

    A file that refers to code is refused and nothing in it is run. Old checkpoints of upstream hold optimiser and
    scheduler *objects*; from those the tensors and numbers are read and the objects are left out (None).

    Args:
        fpath: the file.

    Returns:
        What was saved, usually a dict with ``state_dict`` and ``epoch``.

    Raises:
        FileNotFoundError: there is no such file; the message lists the checkpoints beside it.
        ValueError: the file is damaged, is no checkpoint, or carries code. Each in one sentence.
    """
    if fpath is None:
        raise ValueError("no checkpoint file was given (the path is None)")
    path = Path(fpath)
    if not path.is_file():
        raise FileNotFoundError(_missing(path))
    placeholders: dict[str, Any] = {}
    for _ in range(64):  # one round per class of a legacy file
        try:
            with allowed_placeholders(placeholders.values()):
                loaded = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            name = _refused_global(str(error))
            if name is None:
                raise ValueError(_damaged(path, error)) from None
            known = placeholder_for(name)
            if known is None or name in placeholders:
                raise ValueError(
                    f"checkpoint {path} refers to {name}, which is code and not data: refused, and nothing in it was "
                    "run; if you trust its source, load it there with weights_only=False and save its state_dict alone"
                ) from None
            placeholders[name] = known
            continue
        if placeholders:
            print(f"{path} holds objects of an older release ({', '.join(sorted(placeholders))}): left out")
            loaded = without_placeholders(loaded)
        if _noted is not None and path not in _noted:
            _noted.append(path)
        return loaded
    raise ValueError(f"checkpoint {path} refers to more than 64 classes: this is not a checkpoint of weights")


def checkpoint_files(folder: str | os.PathLike) -> list[str]:
    """Names of the checkpoints in a model's folder, sorted; none where there is no such folder."""
    folder = Path(folder)
    return sorted(p.name for p in folder.iterdir() if "model" in p.name and p.is_file()) if folder.is_dir() else []


def _missing(path: Path) -> str:
    beside = checkpoint_files(path.parent)
    if not path.parent.is_dir():
        return f"checkpoint not found: {path} (there is no folder {path.parent})"
    return f"checkpoint not found: {path} (the folder has {', '.join(beside) or 'no checkpoints'})"


def _refused_global(message: str) -> str | None:
    match = re.search(r"GLOBAL (\S+?)(?:\s|$)", message) or re.search(r"unrecognized function (.+)", message)
    return match.group(1) if match else None


def _damaged(path: Path, error: Exception) -> str:
    size = path.stat().st_size
    if size == 0:
        return f"checkpoint {path} is empty (0 bytes); it was not written to its end or not copied whole"
    with open(path, "rb") as file:
        head = file.read(64)
    truncated = head.startswith(b"PK") or isinstance(error, EOFError) or "unexpected EOF" in str(error)
    if truncated:
        return f"checkpoint {path} is damaged or incomplete ({size:,} bytes); copy or download it again"
    if head.lstrip().startswith((b"<", b"{", b"version https://git-lfs")):
        return f"{path} is no checkpoint but text (a web page, JSON or a Git LFS pointer?); download it again"
    return f"{path} is not a checkpoint that torch can load as weights ({size:,} bytes)"


def plain(value: Any, where: str = "") -> Any:
    """A copy of `value` made of types that a weights-only load accepts; other objects are left out, with a line.

    Dict and list subclasses become dicts and lists, NumPy scalars and arrays become numbers and tensors.
    """
    if isinstance(value, np.generic):  # before float: NumPy's float64 is one
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str, bytes, torch.dtype, torch.device, torch.Size)):
        return value
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    if isinstance(value, OrderedDict):
        return OrderedDict((k, plain(v, f"{where}[{k!r}]")) for k, v in value.items())
    if isinstance(value, Mapping):
        return {k: plain(v, f"{where}[{k!r}]") for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [plain(v, f"{where}[{i}]") for i, v in enumerate(value)]
        return tuple(items) if isinstance(value, tuple) else items
    print(f"Not saved: checkpoint entry {where or 'itself'} is a {type(value).__name__}, which cannot be loaded safely")
    return None


def strip_module_prefix(state_dict: Mapping[str, Any]) -> OrderedDict[str, Any]:
    """A state dict whose keys have no leading ``module.``."""
    return OrderedDict((key.removeprefix("module."), value) for key, value in state_dict.items())


def save_checkpoint(
    state: dict[str, Any],
    save_dir: str,
    is_best: bool = False,
    remove_module_from_keys: bool = True,
    model_name: str = "",
) -> None:
    """Write one model's checkpoint.

    Args:
        state: ``state_dict``, ``epoch`` (epochs done) and whatever else: ``optimizer``, ``scheduler``, ``val_result``.
        save_dir: the model's folder; made if missing.
        is_best: also write ``model-best.pth.tar``.
        remove_module_from_keys: take a leading ``module.`` from the keys of the state dict.
        model_name: file name; default ``model.pth.tar-<epoch>``. Names with a number are noted in the file
            ``checkpoint``, from which a run is resumed.

    Raises:
        OSError: the file could not be written; the earlier one is untouched.
    """
    content = {key: plain(value, key) for key, value in state.items()}
    if remove_module_from_keys:
        content["state_dict"] = strip_module_prefix(content["state_dict"])
    folder = Path(save_dir)
    name = model_name or f"{NUMBERED}{content['epoch']}"
    save_torch(content, folder / name)
    print(f"Checkpoint saved to {folder / name}")
    if name != BEST or not (folder / POINTER).exists():
        with atomic_path(folder / POINTER) as temporary:
            temporary.write_text(f"{name}\n", encoding="utf-8")
    if is_best and name != BEST:
        save_torch(content, folder / BEST)
        print(f"Best checkpoint saved to {folder / BEST}")


def resume_from_checkpoint(fdir: str, model: nn.Module, optimizer: Any = None, scheduler: Any = None) -> int:
    """Restore a model, and its optimiser and scheduler where given, from the newest checkpoint of a folder.

    Args:
        fdir: a model's folder, with the file ``checkpoint`` in it.
        model: changed in place.
        optimizer: changed in place when given and when the checkpoint holds its state.
        scheduler: likewise.

    Returns:
        The number of epochs done, i.e. the index of the epoch to go on with.

    Raises:
        FileNotFoundError: there is nothing to resume from.
        ValueError: the checkpoint is damaged or does not fit the model.
    """
    checkpoint = load_checkpoint(newest_checkpoint(fdir))
    load_state_dict(model, checkpoint["state_dict"], str(fdir))
    for name, target in (("optimizer", optimizer), ("scheduler", scheduler)):
        state = checkpoint.get(name)
        if target is None:
            continue
        if state is None:
            print(f"{fdir}: the checkpoint has no {name} state; the {name} starts afresh")
            continue
        target.load_state_dict(state)
    epoch = int(checkpoint["epoch"])
    print(f"Resumed from {fdir}, {epoch} epochs done")
    return epoch


def newest_checkpoint(fdir: str | os.PathLike) -> Path:
    """The file that a model folder's ``checkpoint`` names.

    Raises:
        FileNotFoundError: there is no such note, or the file it names is gone.
    """
    pointer = Path(fdir) / POINTER
    if not pointer.is_file():
        raise FileNotFoundError(f"nothing to resume from in {fdir}: it has no file {POINTER!r} that names a checkpoint")
    name = _pointed_at(pointer)
    if not (pointer.parent / name).is_file():
        raise FileNotFoundError(f"nothing to resume from in {fdir}: {pointer} names {name!r}, which is not there")
    return pointer.parent / name


def _pointed_at(pointer: Path) -> str:
    """The file name that stands in a pointer file; a folder before it is not followed."""
    lines = pointer.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return os.path.basename(lines[0]) if lines else ""


def find_checkpoint(source: str | os.PathLike, model_name: str, epoch: int | None = None) -> Path:
    """The checkpoint that a user means by a folder or a file.

    Args:
        source: a run's folder, with a folder of the model's name in it; that inner folder; or a checkpoint file.
        model_name: the model's name.
        epoch: of which epoch; None: the best on val, else the one that the file ``checkpoint`` names, else the one
            with the highest number.

    Returns:
        The file's path. With an epoch it may be missing, which `load_checkpoint` reports.

    Raises:
        FileNotFoundError: there is no such folder or file, or no checkpoint in it; says what there is.
        ValueError: `source` is a file of another epoch than `epoch`.
    """
    path = Path(source)
    if path.is_file():
        if epoch is not None and path.name != f"{NUMBERED}{epoch}":
            raise ValueError(
                f"{path} is one checkpoint, not that of epoch {epoch}: to choose by epoch, give its folder"
            )
        return path
    if not path.is_dir():
        raise FileNotFoundError(f"checkpoint not found: there is neither a folder nor a file {path}")
    folder = path / model_name
    if not folder.is_dir():
        if not checkpoint_files(path):
            inner = sorted(p.name for p in path.iterdir() if checkpoint_files(p))
            has = f"it has {', '.join(inner)}: another method's?" if inner else "and no checkpoint of its own"
            raise FileNotFoundError(f"checkpoint not found: {path} has no folder {model_name} ({has})")
        folder = path
    if epoch is not None:
        return folder / f"{NUMBERED}{epoch}"
    name = checkpoint_name(folder)
    if name is None:
        there = sorted(p.name for p in folder.iterdir())
        raise FileNotFoundError(
            f"checkpoint not found: {folder} has no {NUMBERED}<epoch>, of which the newest is taken or --load-epoch "
            f"chooses one (it has {', '.join(there[:5]) or 'nothing'}); give a file itself to load just that"
        )
    pointer = folder / POINTER
    if name != BEST and pointer.is_file() and _pointed_at(pointer) != name:
        print(f"{pointer} names {_pointed_at(pointer)!r}, which is not there: taking {name}, the newest that is")
    return folder / name


def load_state_dict(model: nn.Module, state_dict: Mapping[str, Any], source: str, strict: bool = True) -> None:
    """`model.load_state_dict` whose error is one sentence that names tensor, expected and found shape.

    Args:
        model: changed in place.
        state_dict: names to tensors; a leading ``module.`` is ignored.
        source: where the tensors come from, for the message.
        strict: refuse missing and unknown names too; shapes are always checked.

    Raises:
        ValueError: it does not fit.
    """
    found = strip_module_prefix(state_dict)
    expected = model.state_dict()
    for name in expected.keys() & found.keys():
        want, have = tuple(expected[name].shape), tuple(found[name].shape)
        if want != have:
            raise ValueError(f"{source} does not fit: tensor {name} should have shape {want}, found {have}")
    missing, unknown = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if strict and (missing or unknown):
        parts = [f"{label} {_some(names)}" for label, names in (("lacks", missing), ("has unknown", unknown)) if names]
        raise ValueError(f"{source} does not fit the model: it {' and '.join(parts)}")
    model.load_state_dict(found, strict=strict)


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
