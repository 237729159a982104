"""`python -m datasets prepare`: download, verify, unpack, put into place, then check."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dassl.utils import atomic_path, lock_output_dir

from ..base import Benchmark
from ..facts import Download
from ..wordnet import CLASSNAMES
from . import classnames
from .download import check_space, fetch, verify
from .unpack import locate, looks_like_html, move_into, unpack

_DOWNLOADS = ".downloads"
_UNPACKING = ".unpacking-"


def prepare(
    dataset: type[Benchmark],
    root: Path,
    *,
    archives: Path | None = None,
    force: bool = False,
    keep: bool = False,
    raw: bool = False,
) -> None:
    """Bring a dataset into place under the data root.

    Args:
        dataset: its class.
        root: the data root; made if missing.
        archives: a further folder in which to look for archives that are already downloaded.
        force: get everything again, also what is there.
        keep: keep the downloaded archives.
        raw: also get what is needed to make a split of one's own.

    Raises:
        OSError: no source worked, or the disk is too small. Names the way by hand where there is one.
        An archive that is damaged, unsafe or not what was expected counts as not to be had.
    """
    facts = dataset.facts
    folder = root / facts.folder
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [*facts.downloads, *(facts.raw if raw else ())]
    needed = [download for download in wanted if force or dataset.needs(download, folder)]
    problems = []
    if needed:
        places = [folder, root, *([archives] if archives else [])]
        with _alone(facts.stem, folder):
            _check_disk(folder, needed, places)
            problems = _bring(dataset, needed, root, places, keep=keep)
    try:
        dataset.arrange(folder)
    except (OSError, ValueError) as error:
        problems.append(str(error).removeprefix(f"{facts.stem}: "))
    if problems:
        raise OSError(f"{facts.stem}: {' '.join(problems)}")


def _bring(
    dataset: type[Benchmark], needed: list[Download], root: Path, places: list[Path], *, keep: bool
) -> list[str]:
    """Get what is needed, by way of the repackaged dataset if it must be. Returns what could not be had, and why."""
    facts, folder = dataset.facts, places[0]
    problems = []
    # a repackaged copy may be named like the original (in another case, which some disks do not tell apart)
    names = {download.file.lower() for download in facts.downloads}
    own_name = facts.fallback is not None and facts.fallback.file.lower() not in names
    if facts.fallback and own_name and (given := _at_hand(facts.fallback, places)):
        # the user has brought the repackaged dataset: no need to try its other sources
        _install(facts.fallback, given, folder, extras=needed)
        needed = [download for download in needed if dataset.needs(download, folder)]
    for download in needed:
        try:
            _get(download, root, places, keep=keep)
        except (OSError, ValueError) as error:
            problems.append(str(error))
    lacking = [download for download in facts.downloads if dataset.needs(download, folder)]
    if problems and facts.fallback and lacking:
        print(f"{facts.stem}: {problems[0]}", flush=True)
        print(f"{facts.stem}: trying the repackaged dataset {facts.fallback.file}", flush=True)
        try:
            _fetch_and_install(facts.fallback, folder, keep=keep, extras=lacking)
        except (OSError, ValueError) as error:
            return [*problems, str(error)]
        if not any(dataset.needs(download, folder) for download in facts.downloads):
            return []
    return problems


@contextmanager
def _alone(stem: str, folder: Path) -> Iterator[None]:
    """One process at a time prepares a dataset; it clears away what a killed one left half unpacked."""
    waiting = folder / _DOWNLOADS
    try:
        lock = lock_output_dir(waiting)
    except RuntimeError:
        raise RuntimeError(f"{stem}: another process is preparing {folder}; wait for it to end") from None
    try:
        for left in folder.glob(f"{_UNPACKING}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        if [entry.name for entry in waiting.iterdir()] == [".lock"]:
            shutil.rmtree(waiting)
        lock.release()


def _check_disk(folder: Path, needed: Sequence[Download], places: Sequence[Path]) -> None:
    """An archive and its content lie on the disk at the same time; already compressed images shrink little."""
    to_load = sum(download.size for download in needed if _at_hand(download, places) is None)
    to_unpack = sum(download.size for download in needed if download.kind == "archive")
    check_space(folder, to_load + to_unpack)


def _at_hand(download: Download, places: Sequence[Path]) -> Path | None:
    """A file of that name that the user has put somewhere."""
    for place in (*places, places[0] / _DOWNLOADS):
        if (place / download.file).is_file() and download.kind == "archive":
            return place / download.file
    return None


def _get(download: Download, root: Path, places: Sequence[Path], *, keep: bool) -> None:
    """Find or fetch one download and put its content into place."""
    folder = places[0]
    given = _at_hand(download, places)
    if given is not None and looks_like_html(given):
        raise OSError(f"{given} is a web page (HTML) and not the archive: delete it and run this again")
    if given is not None:
        try:
            verify(given, download)
        except ValueError as error:
            raise ValueError(f"{error}: delete {given} and run this again") from None
        print(f"{download.file}: found {given}", flush=True)
        _install(download, given, folder)
        return
    if download.file == CLASSNAMES:
        _get_classnames(download, root, folder)
        return
    _fetch_and_install(download, folder, keep=keep)


def _fetch_and_install(download: Download, folder: Path, *, keep: bool, extras: Sequence[Download] = ()) -> None:
    fetched = folder / _DOWNLOADS / download.file
    fetch(download, fetched)
    try:
        _install(download, fetched, folder, extras=extras)
    except ValueError:
        # it would fail the next time as well
        fetched.unlink()
        raise
    if not keep:
        fetched.unlink()


def _get_classnames(download: Download, root: Path, folder: Path) -> None:
    target = folder / CLASSNAMES
    copy = classnames.known_copy(root)
    if copy is not None and copy != target:
        print(f"{CLASSNAMES}: copied from {copy}", flush=True)
        copy_whole(copy, target)
        return
    try:
        fetch(download, target)
    except OSError as error:
        try:
            rebuilt = classnames.rebuild(root, target)
        except OSError as second:
            raise OSError(f"{error} {second}") from None
        if not rebuilt:
            raise OSError(
                f"{error} It could be rebuilt from the folders of all 1000 classes, once imagenet or imagenet_sketch "
                "is in place."
            ) from None
        print(f"{CLASSNAMES}: rebuilt from the class folders and CLIP's own list of names", flush=True)


def _install(download: Download, source: Path, folder: Path, extras: Sequence[Download] = ()) -> None:
    """Unpack into a temporary neighbour and move into place, so that a folder in place is a whole one.

    Args:
        download: what the file is.
        source: the file.
        folder: the dataset's folder.
        extras: single files (the split file) to take from the archive as well if they are in it, and right.
    """
    if download.kind == "file":
        for _, place in download.moves:
            copy_whole(source, folder / place)
        return
    with tempfile.TemporaryDirectory(prefix=_UNPACKING, dir=folder) as temporary:
        tree = Path(temporary)
        unpack(source, tree, nested_tars=download.nested == "*.tar")
        if download.nested and download.nested != "*.tar":
            inner = locate(tree, download.nested)
            if inner is not None:
                unpack(inner, tree / "nested")
                inner.unlink()
        for name, place in download.moves:
            found = tree if name == "." else locate(tree, name)
            if found is None:
                raise ValueError(f"{source} does not hold {name}: it is not the archive that was expected")
            if found == tree:
                (folder / place).mkdir(parents=True, exist_ok=True)
            move_into(found, folder / place)
        for extra in extras:
            found = locate(tree, extra.file) if extra.kind == "file" else None
            if found is not None:
                verify(found, extra)
                move_into(found, folder / extra.moves[0][1])


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file; it appears whole or not at all, and an error names it."""
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)
