"""How long runs take, from the records of finished ones.

    python -m sweep.times DIR [DIR ...]      # condense the records below DIR into configs/trainers/*/times.json

These files stand with the methods, so that a plan can say how long its runs took elsewhere. Runs finished in the plan's
own folders come first.
"""

from __future__ import annotations

import json
import math
import os
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from configs.facts import ROOT
from dassl.records import RECORD_FILE
from sweep.layout import is_zero_shot
from sweep.plan import Run
from sweep.state import read_record

FILE = "times.json"
_ABOUT = "seconds of training and testing, median over seeds; python -m sweep.times DIR"


class Kind(NamedTuple):
    """Runs of one kind take about the same time on one machine."""

    eval_only: bool
    classes: str
    method: str
    config: str
    dataset: str
    shots: int


class Timing(NamedTuple):
    """How long a run took, and on what."""

    seconds: float
    device: str


@dataclass
class Estimate:
    """A sum of estimates.

    Attributes:
        seconds: of the runs that could be estimated, one after the other.
        rough: how many of them come from the same method and setting on other data.
        unknown: how many there is nothing to go by for.
        devices: where the times were taken.
    """

    seconds: float = 0.0
    rough: int = 0
    unknown: int = 0
    devices: set[str] = field(default_factory=set)


def timing_of(record: Mapping[str, Any], root: Path = ROOT) -> tuple[Kind, Timing] | None:
    """Kind and time of a finished run: training and testing, without the start of the program.

    Args:
        record: of the run.
        root: the project's folder, whose methods count.

    Returns:
        None for a record that does not tell.
    """
    try:
        method, dataset = record["method"], record["dataset"]
        if not (isinstance(method, str) and isinstance(dataset, str)):
            return None
        protocol, cost = record["protocol"], record["cost"]
        shots = 0 if is_zero_shot(method, root) else int(protocol["shots"])
        kind = Kind(
            bool(protocol["eval_only"]),
            str(protocol["subsample_classes"]),
            method,
            str(protocol["config"]),
            dataset,
            shots,
        )
        seconds = float(cost["train_seconds"] or 0) + float(cost["eval_seconds"] or 0)
        timing = Timing(seconds, str(record["environment"]["device_name"]))
        return (kind, timing) if 0 <= seconds < math.inf else None
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return None


class Times:
    """Times by kind of run.

    Args:
        elsewhere: times of other machines, used where there are none of this one.
    """

    def __init__(self, elsewhere: Mapping[Kind, Timing] | None = None) -> None:
        self._elsewhere = dict(elsewhere or {})
        self._here: dict[Kind, list[Timing]] = defaultdict(list)
        self._names: dict[Path, str] = {}

    def add(self, record: Mapping[str, Any], seconds: float | None = None, root: Path = ROOT) -> None:
        """Take in a finished run; ``seconds`` is its time from start to end of the process, where that is known."""
        found = timing_of(record, root)
        if found is not None:
            kind, timing = found
            self._here[kind].append(timing._replace(seconds=seconds or timing.seconds))

    def estimate(self, runs: Iterable[Run], root: Path) -> Estimate:
        """The time of some runs."""
        result = Estimate()
        similar = self._by_method()
        for run in runs:
            timing = self.of(run, root)
            if timing is None:
                kind = self.kind(run, root)
                timing = similar.get((kind.eval_only, kind.method, kind.config))
                result.rough += timing is not None
            if timing is None:
                result.unknown += 1
            else:
                result.seconds += timing.seconds
                result.devices.add(timing.device)
        return result

    def of(self, run: Run, root: Path) -> Timing | None:
        """The time of runs of the same kind, or None."""
        kind = self.kind(run, root)
        here = self._here.get(kind)
        if here:
            return Timing(statistics.median(t.seconds for t in here), here[-1].device)
        return self._elsewhere.get(kind)

    def kind(self, run: Run, root: Path) -> Kind:
        """The kind of a planned run, with the dataset's name as records have it."""
        s = run.setting
        path = root / s.dataset_file
        if path not in self._names:
            self._names[path] = recorded_name(path)
        shots = 0 if is_zero_shot(s.method, root) else s.shots
        return Kind(run.leg.eval_only, run.leg.classes, s.method, s.config, self._names[path], shots)

    def _by_method(self) -> dict[tuple[bool, str, str], Timing]:
        groups: dict[tuple[bool, str, str], list[Timing]] = defaultdict(list)
        known = {**self._elsewhere, **{kind: timings[-1] for kind, timings in self._here.items()}}
        for kind, timing in known.items():
            groups[kind.eval_only, kind.method, kind.config].append(timing)
        return {
            key: Timing(statistics.mean(t.seconds for t in group), group[-1].device) for key, group in groups.items()
        }


def read_elsewhere(root: Path = ROOT) -> dict[Kind, Timing]:
    """The times that come with the methods of the project in a folder."""
    found = {}
    for path in sorted((root / "configs" / "trainers").glob(f"*/{FILE}")):
        for entry in json.loads(path.read_text(encoding="utf-8"))["runs"]:
            timing = Timing(entry.pop("seconds"), entry.pop("device"))
            found[Kind(method=path.parent.name, **entry)] = timing
    return found


def condense(folders: Iterable[Path]) -> dict[str, list[dict[str, Any]]]:
    """Times of all finished runs below some folders, by method: the median over seeds of each kind, with its device.

    Raises:
        ValueError: there is no finished run.
    """
    found: dict[tuple[Kind, str], list[float]] = defaultdict(list)
    for folder in folders:
        for path in sorted(folder.rglob(RECORD_FILE)):
            timing = timing_of(read_record(path.parent) or {})
            if timing is not None:
                found[timing[0], timing[1].device].append(timing[1].seconds)
    if not found:
        raise ValueError(
            f"no finished run below {', '.join(map(str, folders))}: expected folders with a {RECORD_FILE} in them."
        )
    entries: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for (kind, device), seconds in sorted(found.items()):
        entry = {**kind._asdict(), "seconds": round(statistics.median(seconds), 2), "device": device}
        entries[entry.pop("method")].append(entry)
    return entries


def recorded_name(file: Path) -> str:
    """What records call a YAML's dataset: its NAME, or where there is a PATH (own images) its TITLE or file name."""
    text = file.read_text(encoding="utf-8")

    def value(key: str) -> str:
        found = re.search(rf"^\s+{key}:[ \t]*([\"']?)(.*?)\1[ \t]*(#.*)?$", text, re.MULTILINE)
        return found[2] if found else ""

    return (value("TITLE") if value("PATH") else value("NAME")) or file.stem


def main(root: Path = ROOT) -> int:
    """Write the times of the records below the folders of the command line to their methods."""
    folders = [Path(name) for name in sys.argv[1:]]
    try:
        content = condense(folders)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for method, entries in content.items():
        folder = root / "configs" / "trainers" / method
        if not folder.is_dir():
            print(f"{len(entries)} kinds of runs of {method} left out: there is no folder {folder}")
            continue
        lines = ",\n  ".join(json.dumps(entry) for entry in entries)
        temporary = folder / f".{FILE}.part"
        temporary.write_text(f'{{"about": {json.dumps(_ABOUT)},\n "runs": [\n  {lines}\n]}}\n', encoding="utf-8")
        os.replace(temporary, folder / FILE)
        print(f"{len(entries)} kinds of runs written to {folder / FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
