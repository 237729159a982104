"""The paper's protocols: their datasets and shots, and the methods that have a row in their tables.

Which methods and datasets these are, and the setting of each, is told by their own files (configs/facts.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from configs.facts import ROOT, group, in_place, methods, rows, source_dataset
from configs.method import setting_names
from configs.strict import near
from sweep.ask import registered_methods
from sweep.layout import is_zero_shot

#: Which of a method's settings a step uses.
_FAMILIES = {"xd_train": "xd", "xd_test": "xd", "reproduce_xd": "xd", "fewshot": "fewshot"}


@dataclass(frozen=True)
class Protocol:
    """A protocol of the paper.

    Attributes:
        name: its name.
        group: of the datasets that it is about; for xd and dg the targets.
        folder: of its runs, for ``python -m reporting``; ``{}`` is the output folder.
        shots: images per class.
        other_classes: models are tested on classes that they were not trained on.
        is_transfer: models trained on a source are tested on the datasets.
        shares_runs: its folder has other tables' methods as well, so its report must name its own.
    """

    name: str
    group: str
    folder: str
    shots: tuple[int, ...] = (16,)
    other_classes: bool = True
    is_transfer: bool = False
    shares_runs: bool = False

    def entries(self, root: Path = ROOT) -> list[str]:
        """The rows of its table, each a method or METHOD:CONFIG."""
        return [row.entry for row in rows(root) if self.name in row.tables]

    def datasets(self, root: Path = ROOT) -> list[str]:
        """The datasets that it is about; of xd all but the source."""
        source = source_dataset(root).stem if self.is_transfer else ""
        return [facts.stem for facts in group(self.group, root) if facts.stem != source]

    def report(self, root: Path = ROOT) -> list[str]:
        """The arguments of ``python -m reporting``."""
        own = [row.method for row in rows(root) if self.name in row.tables] if self.shares_runs else []
        return [self.name, self.folder, *(["--methods", *dict.fromkeys(own)] if own else [])]


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("base2new", "benchmark", "{}/base2new"),  # table 3
        Protocol("xd", "benchmark", "{}", is_transfer=True),  # table 4
        Protocol("dg", "shift", "{}", is_transfer=True),  # table 5
        Protocol("fewshot", "benchmark", "{}/fewshot", shots=(1, 2, 4, 8, 16), other_classes=False),
        Protocol("ablation", "benchmark", "{}/base2new", shares_runs=True),  # table 1
    )
}


def check_name(name: str, known: Sequence[str], kind: str, folder: Path) -> None:
    """Check that a folder has an entry.

    Raises:
        ValueError: it is none of the known ones; the sentence names the nearest one.
    """
    if name not in known:
        raise ValueError(
            f"unknown {kind} '{name}': {near(name, known)}{folder} has {', '.join(sorted(known)) or 'nothing'}."
        )


def all_methods(root: Path = ROOT) -> tuple[list[str], list[str]]:
    """Every method that is registered and has settings, by its place in tables.

    Returns:
        The methods, and a note for each that lacks one of the two.

    Raises:
        RuntimeError: ``train.py`` does not tell what is registered.
    """
    folder = root / "configs" / "trainers"
    registered = set(registered_methods(root))
    configured = {path.name for path in folder.iterdir() if setting_names(path)}
    notes = [
        *(f"all is without {name}, which has no settings in {folder / name}" for name in registered - configured),
        *(f"{folder / name} is left out: no method {name} is registered" for name in configured - registered),
    ]
    return in_place(registered & configured, methods(root)), sorted(notes)


def default_config(step: str, method: str, dataset: str, shots: int, root: Path = ROOT) -> str:
    """The setting that a step uses for a method when none is named: the method's facts tell.

    A method without facts has a default when it has just one setting besides ``quickstart``.

    Raises:
        ValueError: there is no default.
    """
    facts = methods(root).get(method)
    if facts is not None:
        return facts.setting(_FAMILIES.get(step, "base2new"), dataset, shots)
    folder = root / "configs" / "trainers" / method
    known = setting_names(folder)
    found = [name for name in known if name != "quickstart"]
    if len(found) == 1:
        return found[0]
    raise ValueError(
        f"which setting of {method}? Give CFG to a script, or --methods {method}:CONFIG to a sweep; "
        f"{folder} has {', '.join(known) or 'none'}."
    )


def may_run(protocol: Protocol, method: str, root: Path = ROOT) -> bool:
    """Whether a method has a place in a protocol."""
    facts = methods(root).get(method)
    return not (protocol.other_classes and facts is not None and facts.known_classes_only)


__all__ = [
    "PROTOCOLS",
    "Protocol",
    "all_methods",
    "check_name",
    "default_config",
    "is_zero_shot",
    "may_run",
]
