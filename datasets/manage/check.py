"""`python -m datasets check`: is a dataset there, whole and as expected; if not, what is wrong and how to mend it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dassl.utils.tools import read_image

from ..base import Benchmark
from ..classes import check_classes
from ..facts import Facts, Finding
from ..listing import missing_files, subfolders
from ..splits import Split
from ..text import counted, some
from .unpack import locate, looks_like_html

READY, INCOMPLETE, MISSING = "ready", "incomplete", "missing"


@dataclass
class Report:
    """What `check` found out about one dataset."""

    stem: str
    status: str = READY
    summary: str = ""
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{self.stem:16} {self.status:11} {self.summary}".rstrip()]
        for finding in self.findings:
            lines += [f"  - {finding.problem}", f"    fix: {finding.fix}"]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)


def check(dataset: type[Benchmark], root: Path, *, deep: bool = False) -> Report:
    """Check one dataset under the data root.

    Args:
        dataset: its class.
        root: the data root.
        deep: decode every image as well.

    Returns:
        The report; nothing is raised for what is wrong with the files.
    """
    facts = dataset.facts
    folder = root / facts.folder
    prepare = f"python -m datasets prepare {facts.stem}"
    report = Report(facts.stem)
    if not folder.is_dir():
        report.status = MISSING
        other = _other_spelling(facts, dataset.__name__, root)
        if other is not None:
            report.findings.append(Finding(f"there is no {folder}, but there is {other}", f"mv {other} {folder}"))
        else:
            report.findings.append(Finding(f"there is no {folder}", f"{prepare}, or set DATA or --root"))
        return report
    found = report.findings
    found += _web_pages(facts, folder)
    absent = [name for name in facts.needed_folders if not (folder / name).is_dir()]
    found += [_absent_folder(facts, folder, name, prepare) for name in absent]
    found += _doubled(facts, folder)
    found += dataset.mistakes(folder)
    if absent:
        report.status = INCOMPLETE if any(folder.iterdir()) and len(absent) < len(facts.needed_folders) else MISSING
        return report
    try:
        split = dataset.read_lists(folder)
    except (OSError, ValueError, LookupError) as error:
        problem, _, command = str(error).partition("; run: ")
        if not found:
            found.append(Finding(problem, command if command and " check " not in command else prepare))
    else:
        report.summary = summary(split)
        found += check_counts(facts, split)
        found += untrained_classes(facts, split)
        found += check_images(split, folder / facts.images, facts.stem, deep=deep)
    report.status = INCOMPLETE if found else READY
    return report


def summary(split: Split) -> str:
    """How many classes and images there are."""
    classes = len({item.label for item in split.train})
    if split.train is split.test:
        return f"{classes} classes, {len(split.test)} test images"
    return f"{classes} classes, {len(split.train)} train, {len(split.val)} val, {len(split.test)} test images"


def _web_pages(facts: Facts, folder: Path) -> list[Finding]:
    names = [
        download.file for download in (*facts.downloads, *facts.raw, *([facts.fallback] if facts.fallback else []))
    ]
    return [
        Finding(
            f"{folder / name} is a web page (HTML), not the file: the server showed a notice instead of sending it",
            f"delete it and run: python -m datasets prepare {facts.stem}",
        )
        for name in dict.fromkeys(names)
        if (folder / name).is_file() and looks_like_html(folder / name)
    ]


def _absent_folder(facts: Facts, folder: Path, name: str, prepare: str) -> Finding:
    """An images folder is not there: look for it under the name it had, or elsewhere in the dataset's folder."""
    place = folder / name
    problem = f"there is no images folder {place}"
    for download in facts.downloads:
        for source, target in download.moves:
            if target == name and source not in (name, ".") and (folder / source).is_dir():
                return Finding(
                    f"{problem}: {folder / source} still has its archive's name", f"mv {folder / source} {place}"
                )
    elsewhere = locate(folder, name)
    if elsewhere is not None and elsewhere.is_dir():
        return Finding(f"{problem}, but there is {elsewhere}", f"mv {elsewhere} {place}")
    archives = [folder / download.file for download in facts.downloads if download.kind == "archive"]
    unopened = [archive for archive in archives if archive.is_file() and not looks_like_html(archive)]
    if unopened:
        return Finding(f"{problem}: {unopened[0]} is not unpacked", f"{prepare} unpacks it")
    return Finding(problem, prepare)


def _doubled(facts: Facts, folder: Path) -> list[Finding]:
    """Repackaged archives have a folder twice: cars_test/cars_test."""
    findings = []
    for name in facts.needed_folders:
        place = folder / name
        inner = place / place.name
        if inner.is_dir():
            fix = f"mv {place} {place}.outer && mv {place}.outer/{place.name} {place}"
            findings.append(
                Finding(f"{place} holds a folder of the same name, {inner}: the archive was repackaged", fix)
            )
    return findings


def _other_spelling(facts: Facts, name: str, root: Path) -> Path | None:
    """A folder under the root that is probably this dataset under a name of another spelling."""
    if not root.is_dir():
        return None
    for download in facts.downloads:
        for source, place in download.moves:
            # the archive's own folder, moved as a whole (FGVCAircraft's data/)
            if place == "." and (root / source).is_dir():
                return root / source
    wanted = {_plain(facts.stem), _plain(facts.folder), _plain(name)}
    return next((root / other for other in subfolders(root) if _plain(other) in wanted), None)


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


def check_counts(facts: Facts, split: Split) -> list[Finding]:
    """Compare class and image numbers with the known ones."""
    counts = facts.counts
    found = {"classes": len({item.label for item in split.train}), "test images": len(split.test)}
    known = {"classes": counts.classes, "test images": counts.test}
    if split.train is not split.test:
        found["training images"], known["training images"] = len(split.train), counts.train
        found["validation images"], known["validation images"] = len(split.val), counts.val or 0
    wrong = [f"{found[what]} {what}, expected {known[what]}" for what in known if found[what] != known[what]]
    if not wrong:
        return []
    return [Finding(f"{facts.split_file or 'the images folder'} gives {'; '.join(wrong)}", _fetch_again(facts))]


def untrained_classes(facts: Facts, split: Split) -> list[Finding]:
    """Classes without a training image, which training refuses."""
    try:
        check_classes(facts.stem, split.train, split.test, fix="")
    except ValueError as error:
        return [Finding(str(error).removesuffix("; "), _fetch_again(facts))]
    return []


def _fetch_again(facts: Facts) -> str:
    source = facts.split_file or "the images folder"
    return f"if {source} is not one you made yourself: python -m datasets prepare {facts.stem} --force"


def check_images(split: Split, images: Path, stem: str, *, deep: bool) -> list[Finding]:
    """Look for every listed image, listing each folder once; decode all of them if `deep`."""
    items = unique_paths(split)
    fix = f"python -m datasets prepare {stem} --force"
    missing = list(missing_files(items, images))
    findings = []
    if missing:
        problem = f"{len(missing)} of {len(items)} images are missing in {images}: {some(missing)}"
        findings.append(Finding(problem, fix))
    if deep:
        gone = set(missing)
        files = [os.path.join(images, path) for path in items if path not in gone]
        findings += broken_images(decode(files, lambda file: read_image(file) and None), f"delete them and run: {fix}")
    return findings


def unique_paths(split: Split) -> list[str]:
    """The paths of a split's images, each once."""
    return list(dict.fromkeys(item.path for part in split for item in part))


def broken_images(results: Sequence[Any], fix: str) -> list[Finding]:
    """What to say of the files whose result is an error."""
    broken = [str(result) for result in results if isinstance(result, OSError)]
    if not broken:
        return []
    return [Finding("\n    ".join([f"{counted(len(broken), 'image')} cannot be read:", *broken]), fix)]


def decode(files: Sequence[str], look: Callable[[str], Any]) -> list[Any]:
    """What `look`, which reads an image, says of each file; the error where it cannot be read."""

    def result(file: str) -> Any:
        try:
            return look(file)
        except OSError as error:
            return error

    # decoding releases the interpreter's lock; warnings are switched off here, since threads share the switch
    with ThreadPoolExecutor(os.cpu_count()) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # in portions: the pool takes in everything that it is given at once
        portions = (files[start : start + 4096] for start in range(0, len(files), 4096))
        results = chain.from_iterable(pool.map(result, portion) for portion in portions)
        return list(tqdm(results, total=len(files), desc="decode", unit="image", leave=False, disable=None))
