"""Features of the run's own backbone as it came, without prompts, adapters or gradient: a teacher is no second CLIP."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from prompted_clip import Backbone, text_prompts

#: What becomes of the features of a class's texts: their mean, the mean of the normalised ones, all of them.
Reduce = Literal["mean", "normalised mean", "none"]


class Frozen:
    """Features of a frozen CLIP, each computed once.

    Args:
        backbone: whose features; another backbone than the run's serves as well.
        chunk: texts per pass of the text tower, 0 for all of one template at once.
    """

    def __init__(self, backbone: Backbone, *, chunk: int = 0) -> None:
        self.backbone = backbone
        self.chunk = chunk
        self._texts: dict[tuple, Tensor] = {}
        self._images: tuple[Tensor, int, Tensor] | None = None

    @torch.no_grad()
    def text(self, texts: Sequence[Sequence[str]], reduce: Reduce = "mean") -> Tensor:
        """Class features.

        Args:
            texts: for each of C classes its T texts, whole prompts (`fill` makes them of templates).
            reduce: "mean" of the features, "normalised mean" of the normalised ones, or "none".

        Returns:
            (C, d), or (C, T, d) with "none"; not normalised, on the backbone's device.

        Raises:
            ValueError: no text, classes with different numbers of texts, or an unknown ``reduce``.
        """
        key = (tuple(tuple(each) for each in texts), reduce)
        if key not in self._texts:
            self._texts[key] = self._reduced(self._all(texts), reduce)
        return self._texts[key]

    @torch.no_grad()
    def image(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised images → (B, d) features, not normalised; those of the last batch are remembered."""
        last = self._images
        if last is None or last[0] is not images or last[1] != images._version:
            last = self._images = (images, images._version, self.backbone.encode_image(images))
        return last[2]

    def _all(self, texts: Sequence[Sequence[str]]) -> Tensor:
        """(C, T, d)."""
        counts = sorted({len(each) for each in texts})
        if not counts or counts[0] == 0:
            raise ValueError("Frozen text features were asked for without a text: expected one per class at least.")
        if len(counts) > 1:
            raise ValueError(
                f"The classes have {counts[0]} to {counts[-1]} texts: expected the same number for every class."
            )
        length = self.backbone.spec.context_length
        columns = []
        for column in zip(*texts, strict=True):  # one template at a time: its words are a prefix that all classes share
            prompts = text_prompts(column, context_length=length).to(self.backbone.device)
            columns.append(self.backbone.encode_text(prompts, chunk=self.chunk))
        return torch.stack(columns, dim=1)

    @staticmethod
    def _reduced(features: Tensor, reduce: Reduce) -> Tensor:
        if reduce == "none":
            return features
        if reduce == "mean":
            return features.mean(dim=1)
        if reduce == "normalised mean":
            return F.normalize(features, dim=-1).mean(dim=1)
        raise ValueError(f"reduce is {reduce!r}: expected 'mean', 'normalised mean' or 'none'.")


def fill(templates: Sequence[str], classnames: Sequence[str]) -> list[list[str]]:
    """The texts of every class: each template with the class's name in place of ``{}``; ``_`` becomes a space."""
    return [[template.format(name.replace("_", " ")) for template in templates] for name in classnames]


def read_descriptions(path: str | Path, classnames: Sequence[str]) -> list[list[str]]:
    """The texts of every class from a JSON file of descriptions, ``{"class name": ["sentence", …], …}``.

    Args:
        path: the file. Its names have spaces for ``_``; names of other classes are passed over.
        classnames: the run's classes.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no such object, or a class without sentences; the class is named.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of descriptions {path}: expected JSON, class name → sentences.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read as JSON ({error}): expected class name → sentences.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}: expected an object, class name → sentences.")
    found = {str(name).replace("_", " "): sentences for name, sentences in content.items()}
    texts = []
    for name in (name.replace("_", " ") for name in classnames):
        sentences = found.get(name)
        if not isinstance(sentences, list) or not sentences or not all(isinstance(each, str) for each in sentences):
            raise ValueError(f"{path} has no sentences for the class {name!r}: expected a list of at least one.")
        texts.append(sentences)
    return texts
