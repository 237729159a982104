"""The paper's protocols: their methods, datasets and shots, and the setting that each method has in them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from sweep.ask import registered_methods
from sweep.layout import ROOT, is_zero_shot

BENCHMARKS = (
    *("imagenet", "caltech101", "oxford_pets", "stanford_cars", "oxford_flowers", "food101"),
    *("fgvc_aircraft", "sun397", "dtd", "eurosat", "ucf101"),
)
VARIANTS = ("imagenetv2", "imagenet_sketch", "imagenet_a", "imagenet_r")
LANGUAGE_ONLY = "vit_b16_c2_ep5_batch4_4ctx_language_only"

#: A method's setting where a protocol has none of its own.
_CONFIGS = {
    "ZeroshotCLIP": "vit_b16",
    "ZeroshotCLIP2": "vit_b16",
    "LinearProbe": "vit_b16",
    "CoOp": "vit_b16_ep50_ctxv1",
    "CoCoOp": "vit_b16_c4_ep10_batch1_ctxv1",
    "IVLP": "vit_b16_c2_ep5_batch4_2+2ctx",
    "VPT": "vit_b16_c2_ep5_batch4_4",
    "MaPLe": "vit_b16_c2_ep5_batch4_2ctx",
}
_TRANSFER_CONFIGS = {"MaPLe": "vit_b16_c2_ep5_batch4_2ctx_cross_datasets"}

#: A classifier over numbered classes has nothing to say about classes that it was not trained on.
KNOWS_ITS_CLASSES_ONLY = frozenset({"LinearProbe"})


@dataclass(frozen=True)
class Protocol:
    """A protocol of the paper.

    Attributes:
        methods: the rows of its table, each a method or METHOD:CONFIG.
        datasets: what it is about; for xd and dg the targets.
        shots: images per class.
        other_classes: models are tested on classes that they were not trained on.
        report: arguments of ``python -m reporting``; ``{}`` is the output folder.
    """

    methods: tuple[str, ...]
    datasets: tuple[str, ...]
    report: tuple[str, ...]
    shots: tuple[int, ...] = (16,)
    other_classes: bool = True

    @property
    def is_transfer(self) -> bool:
        """Whether models trained on a source are tested on the datasets."""
        return self.report[0] in ("xd", "dg")


PROTOCOLS = {
    "base2new": Protocol(
        ("ZeroshotCLIP", "CoOp", "CoCoOp", "MaPLe"), BENCHMARKS, ("base2new", "{}/base2new")
    ),  # table 3
    "xd": Protocol(("CoOp", "CoCoOp", "MaPLe"), BENCHMARKS[1:], ("xd", "{}")),  # table 4
    "dg": Protocol(("ZeroshotCLIP", "CoOp", "CoCoOp", "MaPLe"), VARIANTS, ("dg", "{}")),  # table 5
    "fewshot": Protocol(
        ("ZeroshotCLIP", "LinearProbe", "CoOp", "CoCoOp", "VPT", "IVLP", "MaPLe"),
        BENCHMARKS,
        ("fewshot", "{}/fewshot"),
        shots=(1, 2, 4, 8, 16),
        other_classes=False,
    ),
    "ablation": Protocol(
        ("VPT", f"IVLP:{LANGUAGE_ONLY}", "IVLP", "MaPLe"),
        BENCHMARKS,
        ("ablation", "{}/base2new", "--methods", "VPT", "IVLP", "MaPLe"),
    ),  # table 1
}


def names_in(folder: Path, kind: str, name: str, suffix: str = "") -> None:
    """Check that a folder has an entry.

    Raises:
        ValueError: it has none; the sentence names the nearest one.
    """
    if (folder / (name + suffix)).exists():
        return
    known = sorted(path.name.removesuffix(suffix) for path in folder.glob("*" + suffix)) if folder.is_dir() else []
    near = difflib.get_close_matches(name, known, 1, 0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    raise ValueError(f"unknown {kind} '{name}': {hint}{folder} has {', '.join(known) or 'nothing'}.")


def all_methods(root: Path = ROOT) -> tuple[list[str], list[str]]:
    """Every method that is registered and has settings, the paper's first.

    Returns:
        The methods, and a note for each that lacks one of the two.

    Raises:
        RuntimeError: ``train.py`` does not tell what is registered.
    """
    folder = root / "configs" / "trainers"
    registered = set(registered_methods(root))
    configured = {path.name for path in folder.iterdir() if any(path.glob("*.yaml"))}
    notes = [
        *(f"all is without {name}, which has no settings in {folder / name}" for name in registered - configured),
        *(f"{folder / name} is left out: no method {name} is registered" for name in configured - registered),
    ]
    found = sorted(registered & configured)
    methods = [name for name in _CONFIGS if name in found] + [name for name in found if name not in _CONFIGS]
    return methods, sorted(notes)


def default_config(step: str, method: str, dataset: str, shots: int, root: Path = ROOT) -> str:
    """The setting that a step uses for a method when none is named.

    CoOp's few-shot epochs go by shots, and are 50 on ImageNet (CoOp paper, section 4.1). A method that is not in the
    paper has a default when it has just one setting besides ``quickstart``.

    Raises:
        ValueError: there is no default.
    """
    if step == "fewshot" and method == "CoOp":
        epochs = 50 if dataset == "imagenet" or shots == 1 else 100 if shots <= 4 else 200
        return "vit_b16" if epochs == 200 else f"vit_b16_ep{epochs}"
    if step in ("xd_train", "xd_test", "reproduce_xd") and method in _TRANSFER_CONFIGS:
        return _TRANSFER_CONFIGS[method]
    if method in _CONFIGS:
        return _CONFIGS[method]
    folder = root / "configs" / "trainers" / method
    found = sorted(path.stem for path in folder.glob("*.yaml") if path.stem != "quickstart")
    if len(found) == 1:
        return found[0]
    raise ValueError(
        f"which setting of {method}? Give CFG to a script, or --methods {method}:CONFIG to a sweep; "
        f"{folder} has {', '.join(path.stem for path in sorted(folder.glob('*.yaml'))) or 'none'}."
    )


def may_run(protocol: Protocol, method: str) -> bool:
    """Whether a method has a place in a protocol."""
    return not (protocol.other_classes and method in KNOWS_ITS_CLASSES_ONLY)


__all__ = [
    "BENCHMARKS",
    "PROTOCOLS",
    "VARIANTS",
    "Protocol",
    "all_methods",
    "default_config",
    "is_zero_shot",
    "may_run",
    "names_in",
]
