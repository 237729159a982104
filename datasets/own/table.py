"""A CSV file with the columns path, label and split: which images are of which class."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path

from ..facts import Finding
from ..listing import missing_files
from ..splits import PARTS
from ..text import counted, read_text, some
from .formats import readable_suffixes, suffix
from .found import Found

_COLUMNS = ("path", "label", "split")


def read_table(file: Path) -> Found:
    """Read a CSV file; its paths are absolute, or start at its folder.

    Args:
        file: absolute path of the .csv file.

    Returns:
        The images, paths as the file has them; labels in plain string order, rows in the file's order.

    Raises:
        ValueError: it is not such a file; names the line.
    """
    found = Found({})
    places: dict[str, dict[tuple[str, str], int]] = {}  # image → (part, label) → line
    paths: dict[str, str] = {}
    repeated = []
    folder = str(file.parent)
    for number, path, label, part in _rows(file):
        image = os.path.normpath(os.path.join(folder, path))
        paths.setdefault(image, path)
        lines = places.setdefault(image, {})
        if (part, label) in lines:
            repeated.append(f"{path} (lines {lines[part, label]} and {number})")
            continue
        lines[part, label] = number
        found.parts.setdefault(part, {}).setdefault(label, []).append(path)
    found.parts = {part: dict(sorted(classes.items())) for part, classes in found.parts.items()}
    if repeated:
        found.notes.append(f"{counted(len(repeated), 'row')} repeated, counted once: {some(repeated)}")
    several = {image: lines for image, lines in places.items() if len(lines) > 1}
    labelled = {image: lines for image, lines in several.items() if len({label for _, label in lines}) > 1}
    where = {
        image: ", ".join(f"{label} in line {line}" for (_, label), line in lines.items())
        for image, lines in labelled.items()
    }
    found.add_two_labels("image", [f"{paths[image]} ({lines})" for image, lines in where.items()])
    parts = {paths[image]: {part for part, _ in lines} for image, lines in several.items() if image not in labelled}
    found.add_two_parts("image", parts)
    missing = list(missing_files(paths.values(), file.parent))
    if missing:
        problem = f"{len(missing)} of {len(paths)} images are missing: {some(missing)}"
        fix = f"correct the column path (it starts at {file.parent}, or at / ), or delete the rows"
        found.findings.append(Finding(problem, fix))
    return found


def _rows(file: Path) -> Iterator[tuple[int, str, str, str]]:
    """(line, path, label, part) of each row; part is "" without the column split."""
    reader = csv.DictReader(io.StringIO(read_text(file, newline=""), newline=""))
    try:
        columns = [(column or "").strip().lower() for column in reader.fieldnames or []]
        if not {"path", "label"} <= set(columns):
            separated = "; separate them by commas" if len(columns) == 1 and {*";\t|"} & {*columns[0]} else ""
            raise ValueError(
                f"{file}: expected the columns path, label and split, found {', '.join(columns) or 'none'}{separated}"
            )
        reader.fieldnames = columns
        endings = readable_suffixes() | {""}
        for row in reader:
            number = reader.line_num
            path, label, part = ((row.get(column) or "").strip() for column in _COLUMNS)
            if None in row:
                raise ValueError(f"{file}, line {number}: expected {len(columns)} fields, found more; quote commas")
            if not path or not label or suffix(path) not in endings:
                raise ValueError(
                    f"{file}, line {number}: expected an image's path and its label, found {path!r}, {label!r}"
                )
            if "split" in columns and part not in PARTS:
                raise ValueError(f"{file}, line {number}: split is {part!r}, expected train, val or test")
            yield number, _slashes(path, file.parent), label, part
    except csv.Error as error:
        raise ValueError(f"{file}, after line {reader.line_num}: not CSV ({error})") from None


def _slashes(path: str, folder: Path) -> str:
    """A path written on Windows has backslashes; here they may also be part of a name."""
    return path if "\\" not in path or (folder / path).exists() else path.replace("\\", "/")
