"""How long runs take, from the records of finished ones.

    python -m sweep.times DIR [DIR ...]      # condense the records below DIR into sweep/times.json

That file ships with the project, so that a plan can say how long its runs took elsewhere. Runs finished in the plan's
own folders come first.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sweep.layout import is_zero_shot
from sweep.plan import Run
from sweep.state import read_record

ELSEWHERE = Path(__file__).with_name("times.json")


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


def timing_of(record: Mapping[str, Any]) -> tuple[Kind, Timing] | None:
    """Kind and time of a finished run: training and testing, without the start of the program.

    Returns:
        None for a record that does not tell.
    """
    try:
        protocol, cost = record["protocol"], record["cost"]
        shots = 0 if is_zero_shot(record["method"]) else int(protocol["shots"])
        kind = Kind(
            bool(protocol["eval_only"]),
            str(protocol["subsample_classes"]),
            str(record["method"]),
            str(protocol["config"]),
            str(record["dataset"]),
            shots,
        )
        seconds = float(cost["train_seconds"] or 0) + float(cost["eval_seconds"] or 0)
        return kind, Timing(seconds, str(record["environment"]["device_name"]))
    except (KeyError, TypeError, ValueError):
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

    def add(self, record: Mapping[str, Any], seconds: float | None = None) -> None:
        """Take in a finished run; ``seconds`` is its time from start to end of the process, where that is known."""
        found = timing_of(record)
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
        shots = 0 if is_zero_shot(s.method) else s.shots
        return Kind(run.leg.eval_only, run.leg.classes, s.method, s.config, self._names[path], shots)

    def _by_method(self) -> dict[tuple[bool, str, str], Timing]:
        groups: dict[tuple[bool, str, str], list[Timing]] = defaultdict(list)
        known = {**self._elsewhere, **{kind: timings[-1] for kind, timings in self._here.items()}}
        for kind, timing in known.items():
            groups[kind.eval_only, kind.method, kind.config].append(timing)
        return {
            key: Timing(statistics.mean(t.seconds for t in group), group[-1].device) for key, group in groups.items()
        }


def read_elsewhere(path: Path = ELSEWHERE) -> dict[Kind, Timing]:
    """The times that come with the project."""
    if not path.is_file():
        return {}
    entries = json.loads(path.read_text(encoding="utf-8"))["runs"]
    return {
        Kind(*(entry[name] for name in Kind._fields)): Timing(entry["seconds"], entry["device"]) for entry in entries
    }


def condense(folders: Iterable[Path]) -> dict[str, Any]:
    """Times of all finished runs below some folders: the median over seeds of each kind, with its device.

    Raises:
        ValueError: there is no finished run.
    """
    found: dict[tuple[Kind, str], list[float]] = defaultdict(list)
    for folder in folders:
        for path in sorted(folder.rglob("run.json")):
            timing = timing_of(read_record(path.parent) or {})
            if timing is not None:
                found[timing[0], timing[1].device].append(timing[1].seconds)
    if not found:
        raise ValueError(f"no finished run below {', '.join(map(str, folders))}: expected folders with run.json files.")
    entries = [
        {**kind._asdict(), "seconds": round(statistics.median(seconds), 2), "device": device}
        for (kind, device), seconds in sorted(found.items())
    ]
    return {"about": "seconds of training and testing, median over seeds; python -m sweep.times DIR", "runs": entries}


def recorded_name(file: Path) -> str:
    """What records call a YAML's dataset: its NAME, or where there is a PATH (own images) its TITLE or file name."""
    text = file.read_text(encoding="utf-8")

    def value(key: str) -> str:
        found = re.search(rf"^\s+{key}:[ \t]*([\"']?)(.*?)\1[ \t]*(#.*)?$", text, re.MULTILINE)
        return found[2] if found else ""

    return (value("TITLE") if value("PATH") else value("NAME")) or file.stem


def main() -> int:
    """Write `ELSEWHERE` from the records below the folders of the command line."""
    folders = [Path(name) for name in sys.argv[1:]]
    try:
        content = condense(folders)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    temporary = ELSEWHERE.with_suffix(".part")
    lines = ",\n  ".join(json.dumps(entry) for entry in content["runs"])
    temporary.write_text(f'{{"about": {json.dumps(content["about"])},\n "runs": [\n  {lines}\n]}}\n', encoding="utf-8")
    os.replace(temporary, ELSEWHERE)
    print(f"{len(content['runs'])} kinds of runs written to {ELSEWHERE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
