"""The result of a run folder: from its run record, or from the log where there is no record (older or other code)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, pstdev

from dassl.records import RECORD_FILE, is_number
from reporting.records import is_passed_over, read_record

LOG_NAME = "log.txt"
END_MARKERS = ("Finish training", "Finished training")  # the engine prints the first, some released logs the second
_RECORD_KEYS = {"error": "error_rate"}  # log keyword → record key, where they differ
_COUNTS = ("total", "correct")


@dataclass(frozen=True)
class SeedResult:
    """What one run folder says: a value with the file it is from, or the reason why there is none."""

    folder: Path
    value: float | None
    source: str = ""
    reason: str = ""


@dataclass
class Experiment:
    """The run folders of one setting. ``spread`` is the population standard deviation over the seeds with a value."""

    folder: Path
    seeds: list[SeedResult] = field(default_factory=list)

    @property
    def values(self) -> list[float]:
        return [seed.value for seed in self.seeds if seed.value is not None]

    @property
    def mean(self) -> float:
        return fmean(self.values)

    @property
    def spread(self) -> float:
        return pstdev(self.values)

    @property
    def half_ci95(self) -> float:
        """Half of the normal 95 % interval of the mean: 1.96 · std / √n, as the public parser has it."""
        return 1.96 * self.spread / len(self.values) ** 0.5


def is_count(keyword: str) -> bool:
    """Whether a keyword is a number of images rather than a percentage."""
    return keyword in _COUNTS


def _result(folder: Path, keyword: str, value: float, source: str) -> SeedResult:
    """A figure as a result, unless it should be a percentage and cannot be one."""
    if is_count(keyword) or 0 <= value <= 100:
        return SeedResult(folder, value, source)
    return SeedResult(folder, None, reason=f"{source} says {keyword} {value:g}%, which is no percentage")


def newest_log(folder: Path) -> Path | None:
    """The log of the latest start in a folder.

    A run that is started again in a folder with a log writes ``log.txt-<time of the start>`` beside it, so the
    greatest time is the newest and the bare ``log.txt`` the oldest.
    """
    logs = [path for path in (folder / LOG_NAME, *folder.glob(f"{LOG_NAME}-*")) if path.is_file()]
    return max(logs, key=_number_aware, default=None)


def read_log(path: Path, keyword: str, test_only: bool) -> float:
    """The last figure of a log: after its last end-of-training marker, or anywhere in the log of a test-only run.

    Args:
        path: the log.
        keyword: as printed, e.g. ``accuracy`` for lines such as ``* accuracy: 81.0%``.
        test_only: the run did not train, so no end marker is to be expected.

    Returns:
        The figure; thousands separators are understood.

    Raises:
        ValueError: there is none; the message is the reason.
    """
    pattern = re.compile(rf"\* {re.escape(keyword)}: *(\d[\d,]*(?:\.\d+)?) *%?\s*$")
    ended, value, anywhere = test_only, None, False
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if not test_only and any(marker in line for marker in END_MARKERS):
            ended, value = True, None
        found = pattern.search(line)
        if found:
            anywhere = True
            if ended:
                value = float(found.group(1).replace(",", ""))
    if value is not None:
        return value
    if ended:
        raise ValueError(
            f"{path.name} has no line '* {keyword}: …'" + ("" if test_only else " after the training's end")
        )
    hint = "; it has results, so if it only tested, give --test-log" if anywhere else ""
    raise ValueError(f"{path.name} has no end of training ('{END_MARKERS[0]}'): the run broke off{hint}")


def read_seed(folder: Path, keyword: str = "accuracy", test_only: bool = False, split: str = "test") -> SeedResult:
    """The result of one run folder, from its record where there is one, else from its newest log."""
    record = folder / RECORD_FILE
    if record.is_file():
        try:
            metrics = read_record(record).metrics
        except ValueError as error:
            return SeedResult(folder, None, reason=str(error))
        value = metrics.get(split, {}).get(_RECORD_KEYS.get(keyword, keyword))
        if is_number(value):
            return _result(folder, keyword, float(value), RECORD_FILE)
        have = sorted({k for k, v in metrics.get(split, {}).items() if is_number(v)})
        return SeedResult(
            folder, None, reason=f"{RECORD_FILE} has no '{keyword}' of split '{split}', it has: {', '.join(have)}"
        )
    log = newest_log(folder)
    if log is None:
        return SeedResult(
            folder, None, reason=f"neither {RECORD_FILE} nor {LOG_NAME}: the run did not start or is gone"
        )
    try:
        return _result(folder, keyword, read_log(log, keyword, test_only), log.name)
    except (OSError, ValueError) as error:
        return SeedResult(folder, None, reason=str(error))


def _number_aware(path: Path) -> list[tuple[int, str]]:
    """Sort key that puts seed2 before seed10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name) if part]


def _subfolders(folder: Path) -> list[Path]:
    found = [path for path in folder.iterdir() if path.is_dir() and not is_passed_over(path.name)]
    return sorted(found, key=_number_aware)


def is_run_folder(folder: Path) -> bool:
    """Whether a folder holds, or by its name should hold, one run."""
    named = re.fullmatch(r"seed\d+", folder.name) is not None
    return named or (folder / RECORD_FILE).is_file() or newest_log(folder) is not None


def read_experiment(folder: Path, keyword: str = "accuracy", test_only: bool = False) -> Experiment:
    """Read the seeds directly below a folder (or the folder itself, where it is a single run).

    Raises:
        FileNotFoundError: the folder does not exist or holds no runs; the message says what to give instead.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; give the one that holds seed1, seed2, …")
    runs = [path for path in _subfolders(folder) if is_run_folder(path)]
    if not runs and is_run_folder(folder):
        runs = [folder]
    if not runs:
        deeper = any(is_run_folder(run) for path in _subfolders(folder) for run in _subfolders(path))
        hint = "they are one folder deeper, give --multi-exp" if deeper else "give the one that holds seed1, seed2, …"
        raise FileNotFoundError(f"{folder}: no run folders directly below; {hint}")
    return Experiment(folder, [read_seed(run, keyword, test_only) for run in runs])


def read_experiments(folder: Path, keyword: str = "accuracy", test_only: bool = False) -> Sequence[Experiment]:
    """Read every experiment folder below a folder.

    Raises:
        FileNotFoundError: the folder does not exist, or holds seeds instead of experiments, or neither.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; give the one that holds the experiments' folders")
    children = _subfolders(folder)
    if any(is_run_folder(path) for path in children):
        raise FileNotFoundError(f"{folder}: holds runs, not experiments; leave --multi-exp out, or give its parent")
    experiments = [path for path in children if any(is_run_folder(run) for run in _subfolders(path))]
    if not experiments:
        raise FileNotFoundError(f"{folder}: no experiment folders with runs below; give the one that holds them")
    return [read_experiment(path, keyword, test_only) for path in experiments]
