"""What was found of images of one's own, and the sentences on it: the same ones for training and for `check`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ..facts import Finding
from ..text import counted, some


@dataclass
class Found:
    """Images as they lie.

    Attributes:
        parts: train, val, test ("" where they are still to be cut) → class folder or label → paths of images.
        findings: what must be mended before they can be used.
        notes: what is left out, or good to know.
    """

    parts: dict[str, dict[str, list[str]]]
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add_two_labels(self, what: str, cases: Sequence[str]) -> None:
        """Take note of images that have two labels, if there are any.

        Args:
            what: image, or folder of images.
            cases: each of them, with where it has which label.
        """
        if cases:
            problem = f"{counted(len(cases), what)} with two labels: {some(cases)}"
            self.findings.append(Finding(problem, "leave each image in one class"))

    def add_two_parts(self, what: str, cases: Mapping[str, Collection[str]]) -> None:
        """Take note of images that are in two parts: an accuracy on images of the training is none.

        Args:
            what: image, or folder of images.
            cases: each of them → its parts.
        """
        leaked = [case for case, parts in cases.items() if {"train", "test"} <= set(parts)]
        if leaked:
            problem = f"{counted(len(leaked), what)} in train and in test: {some(leaked)}"
            self.findings.append(Finding(problem, "leave each image in one of the two"))
        for part in ("train", "test"):
            shared = [case for case, parts in cases.items() if set(parts) == {part, "val"}]
            if shared:
                self.notes.append(f"{counted(len(shared), what)} in val and in {part}: {some(shared)}")
