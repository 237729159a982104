"""From what was asked for to the list of runs, each with the run that it needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from configs.dataset import dataset_stems
from configs.facts import ROOT, methods, source_dataset
from configs.method import setting_names
from sweep.layout import Call, Leg, Setting, is_zero_shot, legs, train_arguments
from sweep.recipes import PROTOCOLS, Protocol, all_methods, check_name, default_config, may_run

#: Keys that a sweep sets itself, and what to use in their place.
SET_BY_SWEEP = {
    "SEED": "--seeds",
    "OUTPUT_DIR": "--output",
    "DATASET.ROOT": "--data",
    "DATASET.NAME": "--datasets",
    "DATASET.NUM_SHOTS": "--shots",
    "DATASET.SUBSAMPLE_CLASSES": "the protocol",
    "TRAINER.NAME": "--methods",
    "RESUME": "nothing: broken runs are resumed",
}


@dataclass(frozen=True)
class Run:
    """One call of ``train.py``.

    Attributes:
        step: the protocol's step, as in ``scripts/run.sh``.
        setting: what it computes.
        leg: where it writes and what it tests.
        arguments: of ``train.py``.
    """

    step: str
    setting: Setting
    leg: Leg
    arguments: tuple[str, ...]

    @property
    def folder(self) -> str:
        """Its output folder, which is its identity."""
        return self.leg.folder

    @property
    def needs(self) -> str:
        """The folder of the run whose model it tests; "" for none."""
        return self.leg.model_folder

    @property
    def title(self) -> str:
        """A name for people."""
        s = self.setting
        shots = f", {s.shots} shots" if s.shots != 16 and not is_zero_shot(s.method) else ""
        return f"{self.step} {s.method} {s.dataset_name}{shots}, seed {s.seed}"


@dataclass
class Wanted:
    """What a sweep is asked for; empty means the protocol's own.

    Attributes:
        protocols: names in `PROTOCOLS`.
        methods: METHOD or METHOD:CONFIG, or ``all`` alone.
        datasets: names of configs/datasets, or .yaml files; targets for xd and dg.
        sources: xd and dg: what models are trained on.
        seeds: seeds.
        shots: images per class.
        config: setting of every method that names none.
        output: root of the results.
        call: data root and KEY VALUE pairs.
        root: the project's folder.
    """

    protocols: Sequence[str]
    methods: Sequence[str] = ()
    datasets: Sequence[str] = ()
    sources: Sequence[str] = ()
    seeds: Sequence[int] = (1, 2, 3)
    shots: Sequence[int] = ()
    config: str = ""
    output: str = "output"
    call: Call = field(default_factory=Call)
    root: Path = ROOT


@dataclass
class Plan:
    """The runs of a sweep, a run after the one that it needs.

    Attributes:
        wanted: what was asked for.
        runs: by folder.
        protocols: folders by protocol; a run may serve several.
        notes: what a reader of the plan should know.
    """

    wanted: Wanted
    runs: dict[str, Run] = field(default_factory=dict)
    protocols: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, protocol: str, run: Run) -> None:
        """Take a run in, once.

        Raises:
            ValueError: another run writes to the same folder.
        """
        known = self.runs.setdefault(run.folder, run)
        if known.setting.dataset != run.setting.dataset:
            raise ValueError(
                f"two runs would write to {run.folder}, on {known.setting.dataset} and {run.setting.dataset}: "
                "rename one of the files, whose names are the datasets' in folders and tables."
            )
        if known.arguments != run.arguments:
            raise ValueError(
                f"two runs would write to {run.folder}, with models of {known.needs} and {run.needs}: "
                "sweep one --source at a time, each with an --output of its own."
            )
        if run.folder not in self.protocols.setdefault(protocol, []):
            self.protocols[protocol].append(run.folder)

    def reports(self) -> list[list[str]]:
        """Arguments of ``python -m reporting`` for each protocol."""
        wanted = self.wanted
        return [[part.format(wanted.output) for part in PROTOCOLS[name].report(wanted.root)] for name in self.protocols]


def make_plan(wanted: Wanted) -> Plan:
    """Expand protocols x methods x datasets x shots x seeds.

    Methods that draw nothing run once, with the first seed; those that train nothing with the most shots alone.

    Raises:
        ValueError: an unknown protocol, method, setting or dataset, a key that the sweep sets, or runs that would write
            to the same folder.
        RuntimeError: all methods are asked for, and ``train.py`` does not tell them.
    """
    for key, value in zip(wanted.call.options[::2], wanted.call.options[1::2], strict=True):
        if key in SET_BY_SWEEP:
            raise ValueError(f"{key} {value}: a sweep sets this key itself; use {SET_BY_SWEEP[key]}.")
    plan, every = Plan(wanted), list[str]()
    if list(wanted.methods) == ["all"]:
        every, plan.notes = all_methods(wanted.root)
    for name in wanted.protocols:
        if name not in PROTOCOLS:
            raise ValueError(f"unknown protocol '{name}': expected {', '.join(PROTOCOLS)}.")
        for method, config in _methods(plan, name, every):
            for run in _runs(wanted, PROTOCOLS[name], method, config):
                plan.add(name, run)
    known = methods(wanted.root)
    if any(run.setting.method in known and not known[run.setting.method].draws for run in plan.runs.values()):
        plan.notes.append("zero-shot methods give the same for every seed: they run once")
    if not plan.runs:
        raise ValueError(f"nothing to run: none of the methods has a place in {', '.join(wanted.protocols)}.")
    return plan


def _methods(plan: Plan, name: str, every: Sequence[str]) -> list[tuple[str, str]]:
    """The methods of a protocol with their settings ("" for the default of each step), checked, each once."""
    wanted, protocol = plan.wanted, PROTOCOLS[name]
    asked = every or list(wanted.methods) or protocol.entries(wanted.root)
    chosen: list[tuple[str, str]] = []
    for entry in asked:
        method, _, config = entry.partition(":")
        if not wanted.methods and wanted.config:
            config = ""  # the paper's own settings give way to the one that was named
        config = config or wanted.config
        folder = wanted.root / "configs" / "trainers"
        check_name(method, [path.name for path in folder.glob("*")], "method", folder)
        if config:
            check_name(config, setting_names(folder / method), f"setting of {method}", folder / method)
        if not may_run(protocol, method, wanted.root):
            if method in wanted.methods:
                raise ValueError(f"{method} knows only the classes that it was trained on: it has no place in {name}.")
            plan.notes.append(f"{name} is without {method}, which knows only the classes that it was trained on")
        elif (method, config) not in chosen:
            chosen.append((method, config))
    return chosen


def _runs(wanted: Wanted, protocol: Protocol, method: str, config: str) -> Iterator[Run]:
    datasets = list(dict.fromkeys(wanted.datasets or protocol.datasets(wanted.root)))
    folder = wanted.root / "configs" / "datasets"
    for name in {*datasets, *(_sources(wanted) if protocol.is_transfer else ())}:
        if not name.endswith(".yaml"):
            check_name(name, dataset_stems(folder), "dataset", folder)
        elif not (wanted.root / name).is_file():
            raise ValueError(f"there is no dataset file {name}: expected a name of configs/datasets or a .yaml file.")
    shots = sorted(set(wanted.shots or protocol.shots))
    seeds = list(dict.fromkeys(wanted.seeds))
    facts = methods(wanted.root).get(method)
    for images in shots[-1:] if facts and facts.trains_nothing else shots:
        for seed in seeds[:1] if facts and not facts.draws else seeds:
            if protocol.is_transfer:
                yield from _transfer(wanted, method, config, datasets, images, seed)
                continue
            steps = ("fewshot",) if not protocol.other_classes else ("base2new_train", "base2new_test")
            for dataset in datasets:
                for step in steps:
                    yield _run(wanted, step, method, config, dataset, images, seed)


def _sources(wanted: Wanted) -> list[str]:
    return list(dict.fromkeys(wanted.sources)) or [source_dataset(wanted.root).stem]


def _transfer(wanted: Wanted, method: str, config: str, targets: Sequence[str], shots: int, seed: int) -> Iterator[Run]:
    for source in _sources(wanted):
        # without training, the source is one more target
        step = "xd_test" if is_zero_shot(method, wanted.root) else "xd_train"
        yield _run(wanted, step, method, config, source, shots, seed, source)
        for target in targets:
            if target != source:
                yield _run(wanted, "xd_test", method, config, target, shots, seed, source)


def _run(
    wanted: Wanted, step: str, method: str, config: str, dataset: str, shots: int, seed: int, source: str = ""
) -> Run:
    name = Path(dataset).stem
    chosen = config or default_config(step, method, name, shots, wanted.root)
    setting = Setting(method, chosen, dataset, shots, seed, wanted.output, Path(source).stem)
    (leg,) = legs(step, setting, wanted.root)
    return Run(step, setting, leg, tuple(train_arguments(leg, setting, wanted.call)))
