"""What others must know of a method: ``configs/trainers/<Trainer>/method.yaml``, beside its settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.strict import Node, checked, number_in, one_of, read_yaml

METHOD_FILE = "method.yaml"

PROTOCOLS = ("base2new", "xd", "dg", "fewshot", "ablation")
#: Protocols with models of their own: dg tests xd's models, the ablation is base-to-new's.
FAMILIES = ("base2new", "xd", "fewshot")
#: What a method is allowed to use. Figures are ranked within a board alone.
BOARDS = ("inductive", "llm-text", "training-free", "transductive")
#: Key of published averages over the benchmark, or over its targets.
AVERAGE = "Average"


@dataclass(frozen=True)
class Published:
    """Published figures in percent: ViT-B/16, 16 shots.

    Attributes:
        source: where they were printed.
        base2new: dataset, or "Average" → base, new, HM.
        xd: source, targets, perhaps "Average" → accuracy.
        dg: the same on the shifted datasets.
        ablation: base, new, HM of the design, averaged over the benchmark; () for none.
    """

    source: str
    base2new: Mapping[str, tuple[float, ...]]
    xd: Mapping[str, float]
    dg: Mapping[str, float]
    ablation: tuple[float, ...] = ()


@dataclass(frozen=True)
class Paper:
    """Where a method was published; ``arxiv`` is "" where there is no such id."""

    title: str
    venue: str
    year: int
    arxiv: str


@dataclass(frozen=True)
class RowFacts:
    """A row of tables: a method with its usual settings, or with one that makes it another design.

    Attributes:
        method: the method.
        name: what sets the row apart from the method's others; "" for the method itself.
        place: order in tables; sparse, so that another fits between.
        trains: what trains, in words.
        parameters: how many trainable parameters at ViT-B/16, as text.
        tables: protocols whose default table has the row.
        design: its name in the ablation; "" for the method's.
        published: published figures.
        settings: () for the method's usual ones; else those of this row, that of sweeps first.
        where: recorded config keys (dotted) → values by which its runs are told; without them, the settings' names do.
    """

    method: str
    name: str
    place: int
    trains: str
    parameters: str
    tables: tuple[str, ...]
    design: str
    published: Published | None
    settings: tuple[str, ...] = ()
    where: Mapping[str, object] | None = None

    @property
    def entry(self) -> str:
        """The row as ``python -m sweep --methods`` takes it."""
        return f"{self.method}:{self.settings[0]}" if self.settings else self.method

    def is_of(self, setting: str, config: Mapping[str, Any]) -> bool:
        """Whether a run with this setting and recorded config belongs to this row (of several)."""
        told = [(_dotted(config, key), value) for key, value in (self.where or {}).items()]
        recorded = [(found, value) for found, value in told if found is not None]
        if recorded:
            return all(found == value for found, value in recorded)
        return setting in self.settings


@dataclass(frozen=True)
class Rule:
    """A setting, and the runs that it is for: these datasets, at most so many shots; () and 0 are no condition."""

    setting: str
    datasets: tuple[str, ...] = ()
    max_shots: int = 0

    def fits(self, dataset: str, shots: int) -> bool:
        """Whether the setting is for such a run."""
        return (not self.datasets or dataset in self.datasets) and (not self.max_shots or shots <= self.max_shots)


@dataclass(frozen=True)
class MethodFacts:
    """What ``method.yaml`` says.

    Attributes:
        name: as it is registered; also the folder's name.
        board: one of `BOARDS`.
        paper: None for what was not published.
        settings: "default" or one of `FAMILIES` → rules, of which the first that fits counts.
        draws: whether its result goes by the seed (images that are sampled, numbers that are drawn). If not, one seed
            is enough.
        trains_nothing: it sees no training image: shots do not matter, and a test needs no model.
        known_classes_only: it has nothing to say about classes that it was not trained on.
        colour: in figures; "" for one from the palette.
        row: the method itself.
        rows: further rows of it.
    """

    name: str
    board: str
    paper: Paper | None
    settings: Mapping[str, tuple[Rule, ...]]
    draws: bool
    trains_nothing: bool
    known_classes_only: bool
    colour: str
    row: RowFacts
    rows: tuple[RowFacts, ...] = ()

    def setting(self, family: str, dataset: str, shots: int) -> str:
        """The setting of a run for which none is named: a file name of the method's folder, without .yaml."""
        rules = self.settings.get(family) or self.settings["default"]
        return next(rule.setting for rule in rules if rule.fits(dataset, shots))

    def row_of(self, setting: str, config: Mapping[str, Any]) -> RowFacts:
        """The row that a run belongs to, by its setting's name and recorded config."""
        return next((row for row in self.rows if row.is_of(setting, config)), self.row)


def setting_names(folder: Path) -> list[str]:
    """The settings in a method's folder."""
    return sorted(path.stem for path in folder.glob("*.yaml") if path.name != METHOD_FILE)


def read_method(path: Path) -> MethodFacts:
    """Read one ``method.yaml``.

    Raises:
        ValueError: a mistake in it; the sentence names file and key.
    """
    node = Node(read_yaml(path), str(path))
    name = node.take("name", str)
    if name != path.parent.name:
        raise ValueError(f"{path}: name is '{name}': expected '{path.parent.name}', as the folder is called.")
    facts = MethodFacts(
        name=name,
        board=one_of(node.take("board", str), BOARDS, f"{path}: board"),
        paper=_paper(node.node("paper")),
        settings=_settings(Node(node.take("settings", dict), f"{path}: settings"), path),
        draws=node.take("draws", bool, True),
        trains_nothing=node.take("trains_nothing", bool, False),
        known_classes_only=node.take("known_classes_only", bool, False),
        colour=node.take("colour", str, ""),
        row=_row(node, name, ""),
        rows=tuple(
            _further_row(Node(each, f"{path}: rows, number {number}"), name, path)
            for number, each in enumerate(node.take("rows", list, []), 1)
        ),
    )
    if facts.colour and not re.fullmatch(r"#[0-9a-f]{6}", facts.colour):
        raise ValueError(f"{path}: colour is '{facts.colour}': expected six hex digits, as in '#7c5cff'.")
    node.done()
    return facts


def _dotted(config: Mapping[str, Any], key: str) -> object:
    found: Any = config
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _paper(node: Node | None) -> Paper | None:
    if node is None:
        return None
    found = Paper(node.take("title", str), node.take("venue", str), node.take("year", int), node.take("arxiv", str, ""))
    node.done()
    return found


def _settings(node: Node, path: Path) -> dict[str, tuple[Rule, ...]]:
    found: dict[str, tuple[Rule, ...]] = {"default": (_rule(node.take("default", str), node.where, path),)}
    for family in FAMILIES:
        given: Any = node.take(family, object, None)
        where = f"{node.where}: {family}"
        if given is not None:
            each = given if isinstance(given, list) else [given]
            found[family] = tuple(_rule(one, where, path) for one in each)
            if not each or found[family][-1] != Rule(found[family][-1].setting):
                raise ValueError(f"{where}: the last setting has a condition: expected one for all other runs.")
    node.done()
    return found


def _rule(given: object, where: str, path: Path) -> Rule:
    if isinstance(given, str):
        return Rule(_setting(given, where, path))
    node = Node(given, where)
    found = Rule(
        _setting(node.take("setting", str), where, path), node.words("datasets"), node.take("max_shots", int, 0)
    )
    node.done()
    return found


def _setting(name: str, where: str, path: Path) -> str:
    return one_of(name, setting_names(path.parent), where)


def _further_row(node: Node, method: str, path: Path) -> RowFacts:
    name = node.take("name", str)
    settings = tuple(_setting(each, f"{node.where}: settings", path) for each in node.words("settings"))
    if not settings:
        raise ValueError(f"{node.where}: settings is missing or empty: expected the settings that make this row.")
    found = _row(node, method, name, settings, node.take("where", dict, {}))
    node.done()
    return found


def _row(
    node: Node, method: str, name: str, settings: tuple[str, ...] = (), where: Mapping[str, object] | None = None
) -> RowFacts:
    return RowFacts(
        method=method,
        name=name,
        place=node.take("place", int),
        trains=node.take("trains", str),
        parameters=node.take("parameters", str),
        tables=node.words("tables", PROTOCOLS),
        design=node.take("design", str, ""),
        published=_published(node.node("published")),
        settings=settings,
        where=where,
    )


def _published(node: Node | None) -> Published | None:
    if node is None:
        return None
    triples, figures = node.node("base2new"), {key: node.node(key) for key in ("xd", "dg")}
    ablation = node.take("ablation", list, [])
    found = Published(
        source=node.take("source", str),
        base2new=triples.rest(_triple) if triples else {},
        xd=figures["xd"].rest(_percent) if figures["xd"] else {},
        dg=figures["dg"].rest(_percent) if figures["dg"] else {},
        ablation=_triple(ablation, f"{node.where}: ablation") if ablation else (),
    )
    node.done()
    return found


def _percent(value: object, where: str) -> float:
    return number_in(value, where, 0, 100)


def _triple(value: object, where: str) -> tuple[float, ...]:
    numbers: list[object] = checked(value, list, where)
    if len(numbers) != 3:
        raise ValueError(f"{where} has {len(numbers)} numbers: expected base, new and harmonic mean.")
    return tuple(_percent(number, where) for number in numbers)
