"""`Prompts`: what a learner hands to the encoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

TextAxis = Literal["shared", "class", "image"]


@dataclass(frozen=True)
class Prompts:
    """Prompt tokens for the two towers; any part may be absent.

    Shallow prompts enter with the token sequence; deep prompts replace the prompt rows before block k = 1, 2, ….
    Notation: b context tokens, b_v vision prompt tokens, C classes, B images, d_l / d_v tower widths.

    Args:
        text: shallow text prompts, (b, d_l); or (C, b, d_l) with ``text_axis="class"``, (B, b, d_l) with ``"image"``.
        text_deep: for k = 1 … J−1 the text prompts that enter before block k, each (b, d_l).
        vision: shallow vision prompts, (b_v, d_v) or one set per image, (B, b_v, d_v).
        vision_deep: for k = 1 … J−1 the vision prompts that enter before block k, shaped like ``vision``.
        text_axis: what the leading axis of a three-dimensional ``text`` runs over.
    """

    text: Tensor | None = None
    text_deep: Sequence[Tensor] = field(default_factory=tuple)
    vision: Tensor | None = None
    vision_deep: Sequence[Tensor] = field(default_factory=tuple)
    text_axis: TextAxis = "shared"

    def check_text(self, *, width: int, layers: int, n_ctx: int, n_classes: int) -> None:
        """Check the text part against a text tower and the class prompts it is to fill.

        Raises:
            ValueError: naming the part that does not fit, the shape found and the shape expected.
        """
        if self.text is None:
            if n_ctx or self.text_deep:
                raise ValueError(
                    f"The class prompts have {n_ctx} context slots, but no shallow text prompts were given."
                )
            return
        if self.text_axis not in ("shared", "class", "image"):
            raise ValueError(f"text_axis is {self.text_axis!r}: expected 'shared', 'class' or 'image'.")
        tail = (n_ctx, width)
        expected = {"shared": tail, "class": (n_classes, *tail), "image": (None, *tail)}[self.text_axis]
        _check_shape("text prompts", self.text, expected)
        if len(self.text_deep) >= layers:
            raise ValueError(f"Text prompt depth {len(self.text_deep) + 1} is above the text tower's {layers} layers.")
        for k, deep in enumerate(self.text_deep, start=1):
            _check_shape(f"text prompts of layer {k}", deep, tail)

    def check_vision(self, *, width: int, layers: int, n_images: int) -> None:
        """Check the vision part against a vision transformer and a batch.

        Raises:
            ValueError: naming the part that does not fit, the shape found and the shape expected.
        """
        if self.vision is None:
            if self.vision_deep:
                raise ValueError("Deep vision prompts were given without shallow ones: there are no rows to replace.")
            return
        tail = (self.vision.shape[-2], width)
        per_image = (n_images, *tail) if self.vision.dim() == 3 else tail
        _check_shape("vision prompts", self.vision, per_image)
        if len(self.vision_deep) >= layers:
            raise ValueError(
                f"Vision prompt depth {len(self.vision_deep) + 1} is above the vision tower's {layers} layers."
            )
        for k, deep in enumerate(self.vision_deep, start=1):
            _check_shape(f"vision prompts of layer {k}", deep, (n_images, *tail) if deep.dim() == 3 else tail)


def _check_shape(what: str, tensor: Tensor, expected: tuple[int | None, ...]) -> None:
    found = tuple(tensor.shape)
    if len(found) != len(expected) or any(e is not None and e != f for e, f in zip(expected, found, strict=True)):
        wanted = "(" + ", ".join("images" if e is None else str(e) for e in expected) + ")"
        raise ValueError(f"The {what} have shape {found}: expected {wanted}.")
