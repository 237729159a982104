"""Where each step of a protocol writes, which classes it tests, which model it needs, and its ``train.py`` arguments.

These rules stand here alone: ``scripts/run.sh`` and ``python -m sweep`` both take them from this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from configs.facts import ROOT, methods, source_dataset

STEPS = ("base2new_train", "base2new_test", "reproduce", "xd_train", "xd_test", "reproduce_xd", "fewshot")


def is_zero_shot(method: str, root: Path = ROOT) -> bool:
    """Whether a method trains nothing: shots do not matter to it, and its tests need no model."""
    facts = methods(root).get(method)
    return facts is not None and facts.trains_nothing


@dataclass(frozen=True)
class Setting:
    """What a run computes, apart from the step.

    Attributes:
        method: as in ``python train.py --list``.
        config: file name in ``configs/trainers/<method>``, without ``.yaml``.
        dataset: file name in ``configs/datasets`` without ``.yaml``, or the path of a ``.yaml`` file.
        shots: training images per class.
        seed: of sampling, initialisation and order.
        output: root of all results.
        source: xd_test: the dataset that the model was trained on; "" for the protocol's own.
        weights: reproduce steps: the folder of a released model.
    """

    method: str
    config: str
    dataset: str
    shots: int
    seed: int
    output: str = "output"
    source: str = ""
    weights: str = ""

    @property
    def dataset_name(self) -> str:
        """The dataset's name in folders."""
        return Path(self.dataset).stem if self.dataset.endswith(".yaml") else self.dataset

    @property
    def dataset_file(self) -> str:
        """The dataset's config file, as ``train.py`` gets it."""
        return self.dataset if self.dataset.endswith(".yaml") else f"configs/datasets/{self.dataset}.yaml"

    @property
    def config_file(self) -> str:
        """The method's config file, as ``train.py`` gets it."""
        return f"configs/trainers/{self.method}/{self.config}.yaml"


@dataclass(frozen=True)
class Leg:
    """One call of ``train.py``.

    Attributes:
        folder: its output folder.
        classes: ``base``, ``new`` or ``all``.
        eval_only: nothing is trained.
        model_folder: run folder whose model is tested; "" where none is needed.
    """

    folder: str
    classes: str
    eval_only: bool = False
    model_folder: str = ""


def legs(step: str, setting: Setting, root: Path = ROOT) -> list[Leg]:
    """The ``train.py`` calls of one step: one, or two for ``reproduce``.

    Args:
        step: one of `STEPS`.
        setting: what is computed.
        root: the project's folder, whose methods and datasets count.

    Raises:
        ValueError: an unknown step, or a reproduce step without an existing weight folder.
    """
    s = setting
    tail = f"{s.dataset_name}/shots_{s.shots}/{s.method}/{s.config}/seed{s.seed}"
    transfer = f"{s.method}/{s.config}_{s.shots}shots"
    evaluation = f"{s.output}/evaluation/{transfer}/{s.dataset_name}/seed{s.seed}"

    def test(folder: str, classes: str, model_folder: str) -> Leg:
        return Leg(folder, classes, True, "" if is_zero_shot(s.method, root) else model_folder)

    if step in ("reproduce", "reproduce_xd") and not Path(s.weights or "?").is_dir():
        raise ValueError(f"WEIGHTS is '{s.weights}': expected the folder of a released model of seed {s.seed}.")
    if step == "base2new_train":
        return [Leg(f"{s.output}/base2new/train_base/{tail}", "base")]
    if step == "base2new_test":
        trained = f"{s.output}/base2new/train_base/{tail}"
        return [test(f"{s.output}/base2new/test_new/{tail}", "new", trained)]
    if step == "reproduce":
        places = (("test_base", "base"), ("test_new", "new"))
        return [test(f"{s.output}/base2new/{place}/{tail}", classes, s.weights) for place, classes in places]
    if step == "xd_train":
        return [Leg(f"{s.output}/{s.dataset_name}/{transfer}/seed{s.seed}", "all")]
    if step == "xd_test":
        return [test(evaluation, "all", f"{s.output}/{s.source or source_dataset(root).stem}/{transfer}/seed{s.seed}")]
    if step == "reproduce_xd":
        return [test(evaluation, "all", s.weights)]
    if step == "fewshot":
        return [Leg(f"{s.output}/fewshot/{tail}", "all")]
    raise ValueError(f"unknown step '{step}': expected one of {', '.join(STEPS)}.")


@dataclass(frozen=True)
class Call:
    """What is the same for all calls of a sweep or a script.

    Attributes:
        data: data root.
        options: KEY VALUE pairs, flat.
        force: run again where a run is complete.
        load_epoch: epoch to test, "" for the best or last.
    """

    data: str = "data"
    options: Sequence[str] = field(default_factory=tuple)
    force: bool = False
    load_epoch: str = ""


def train_arguments(leg: Leg, setting: Setting, call: Call) -> list[str]:
    """The arguments of ``train.py`` for a leg."""
    arguments = ["--trainer", setting.method, "--root", call.data, "--seed", str(setting.seed)]
    arguments += ["--output-dir", leg.folder, "--config-file", setting.config_file]
    arguments += ["--dataset-config-file", setting.dataset_file]
    if call.force:
        arguments.append("--force")
    if leg.eval_only:
        arguments.append("--eval-only")
        if leg.model_folder:
            arguments += ["--model-dir", leg.model_folder]
            arguments += ["--load-epoch", call.load_epoch] if call.load_epoch else []
    arguments += ["DATASET.NUM_SHOTS", str(setting.shots), "DATASET.SUBSAMPLE_CLASSES", leg.classes]
    return [*arguments, *call.options]
