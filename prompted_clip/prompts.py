"""`Prompts`: what a learner hands to the encoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

TextAxis = Literal["shared", "class", "image"]


@dataclass(frozen=True)
class LateTokens:
    """Tokens that a tower has from a later block on: before it they do not exist.

    They carry no positional embedding and move none. In the text tower they stand behind start-of-text, which does not
    see them; they see it and the earlier ones of themselves, and everything behind them sees them. They are the same
    for all classes. In a vision transformer they stand last, behind shallow prompts.
    Notation: b tokens, D the tower's width, B images.

    Args:
        start: the first block that has them, counted from 0.
        tokens: what begins there, (b, D), or a set per image, (B, b, D) (text: with ``text_axis="image"``).
        deep: for i = 1, 2, … what replaces their rows before block start + i, shaped like ``tokens``, or None to let
            that block have the rows as they come.
        keep: for each of ``deep`` (or one for all) the share of the old rows that stays, in [0, 1].
    """

    start: int
    tokens: Tensor
    deep: Sequence[Tensor | None] = ()
    keep: float | Sequence[float] = 0.0

    @property
    def n_tokens(self) -> int:
        return self.tokens.shape[-2]

    def enter(self, x: Tensor, k: int, place: int) -> Tensor:
        """The residual stream as block k gets it.

        Args:
            x: (N, L, D), or (1, L, D) where it is still the same for all images.
            k: the block.
            place: the row where the tokens stand.

        Returns:
            (N, L + b, D) at block ``start``, where the tokens are inserted; else x with their rows replaced, or x.
        """
        if k == self.start:
            return splice(x, self.tokens, place, place)
        prompts, keep = deep_prompts(self.deep, self.keep, k - self.start)
        if prompts is None:
            return x
        return splice(x, prompts, place, place + self.n_tokens, keep)

    def check(self, tower: str, *, width: int, layers: int, n_images: int | None = None) -> None:
        """Check against a tower; ``n_images``: the leading axis of tokens per image, None where there may be none."""
        last = self.start + len(self.deep)
        if self.start < 0 or last >= layers:
            raise ValueError(
                f"The late {tower} tokens enter at blocks {self.start} to {last}: the {tower} tower has blocks 0 to"
                f" {layers - 1}."
            )
        _check_keep(f"late {tower} tokens", self.keep, len(self.deep))
        for i, tensor in enumerate([self.tokens, *self.deep]):
            if tensor is not None:
                tail = (_n_tokens(self.tokens), width)
                expected = tail if tensor.dim() != 3 or n_images is None else (n_images, *tail)
                _check_shape(f"late {tower} tokens of block {self.start + i}", tensor, expected)


@dataclass(frozen=True)
class Prompts:
    """Prompt tokens for the two towers; any part may be absent.

    Shallow prompts enter with the token sequence; deep prompts replace the prompt rows before block k = 1, 2, ….
    Notation: b context tokens, b_v vision prompt tokens, C classes, B images, d_l / d_v tower widths.

    Args:
        text: shallow text prompts, (b, d_l); or (C, b, d_l) with ``text_axis="class"``, (B, b, d_l) with ``"image"``.
        text_deep: for k = 1 … J−1 the text prompts that enter before block k, (b, d_l) or with the same leading axis;
            None lets block k have the rows as they come.
        vision: shallow vision prompts, (b_v, d_v) or one set per image, (B, b_v, d_v).
        vision_deep: for k = 1 … J−1 the vision prompts that enter before block k, shaped like ``vision``, or None.
        text_axis: what the leading axis of three-dimensional text prompts runs over. Prompts per class, shallow or
            deep, need `class_prompts` with ``per_class=True``: what differs by class cannot be shared.
        text_keep: for each of ``text_deep`` (or one for all) the share of the old rows that stays, in [0, 1]: the
            block gets (1 − keep) · prompts + keep · rows.
        vision_keep: the same for ``vision_deep``.
        text_late: tokens that the text tower has from a later block on.
        vision_late: tokens that the vision transformer has from a later block on.
    """

    text: Tensor | None = None
    text_deep: Sequence[Tensor | None] = ()
    vision: Tensor | None = None
    vision_deep: Sequence[Tensor | None] = ()
    text_axis: TextAxis = "shared"
    text_keep: float | Sequence[float] = 0.0
    vision_keep: float | Sequence[float] = 0.0
    text_late: LateTokens | None = None
    vision_late: LateTokens | None = None

    def of_classes(self, members: Sequence[int]) -> Prompts:
        """The prompts of some of the classes."""
        if self.text_axis != "class":
            return self

        def pick(prompts: Tensor | None) -> Tensor | None:
            return prompts[list(members)] if prompts is not None and prompts.dim() == 3 else prompts

        return replace(self, text=pick(self.text), text_deep=[pick(prompts) for prompts in self.text_deep])

    def check_text(self, *, width: int, layers: int, n_ctx: int, n_classes: int, shared_slots: bool = False) -> None:
        """Check the text part against a text tower and the class prompts it is to fill.

        Args:
            width, layers: of the tower.
            n_ctx, n_classes, shared_slots: of the class prompts (see `ClassPrompts`).

        Raises:
            ValueError: naming the part that does not fit, the shape found and the shape expected.
        """
        axis = self.text_axis
        if axis not in ("shared", "class", "image"):
            raise ValueError(f"text_axis is {axis!r}: expected 'shared', 'class' or 'image'.")
        if self.text is None and n_ctx:
            raise ValueError(f"The class prompts have {n_ctx} context slots, but no shallow text prompts were given.")
        if not n_ctx and any(prompts is not None for prompts in self.text_deep):
            raise ValueError(
                "Deep text prompts were given for class prompts without context slots: there are no rows to replace."
                " Tokens that begin at a later block are LateTokens."
            )
        if len(self.text_deep) >= layers:
            raise ValueError(f"Text prompt depth {len(self.text_deep) + 1} is above the text tower's {layers} layers.")
        _check_keep("deep text prompts", self.text_keep, len(self.text_deep))
        leading = [len(p) for p in (self.text, *self.text_deep) if p is not None and p.dim() == 3]
        late = self.text_late
        if axis == "class" and leading and shared_slots and n_classes > 1:
            raise ValueError(
                "The text prompts differ by class, but context slots lie in the prefix that all classes share: make the"
                " class prompts with per_class=True."
            )
        if axis == "image" and late is not None and late.tokens.dim() == 3:
            leading.append(len(late.tokens))
        if axis != "shared" and not leading and self.text is None:
            raise ValueError(f"text_axis is {axis!r}, but no text prompts have that axis.")
        tail = (n_ctx, width)
        size = n_classes if axis == "class" else leading[0] if leading else "images"
        for k, prompts in enumerate((self.text, *self.text_deep)):
            if prompts is not None:
                has_axis = axis != "shared" and (prompts.dim() == 3 or not leading)
                what = f"text prompts of layer {k}" if k else "text prompts"
                _check_shape(what, prompts, (size, *tail) if has_axis else tail)
        if late is not None:
            late.check("text", width=width, layers=layers, n_images=leading[0] if axis == "image" else None)

    def check_vision(self, *, width: int, layers: int, n_images: int) -> None:
        """Check the vision part against a vision transformer and a batch.

        Raises:
            ValueError: naming the part that does not fit, the shape found and the shape expected.
        """
        if self.vision is None and any(prompts is not None for prompts in self.vision_deep):
            raise ValueError(
                "Deep vision prompts were given without shallow ones: there are no rows to replace. Tokens that begin"
                " at a later block are LateTokens."
            )
        if len(self.vision_deep) >= layers:
            raise ValueError(
                f"Vision prompt depth {len(self.vision_deep) + 1} is above the vision tower's {layers} layers."
            )
        _check_keep("deep vision prompts", self.vision_keep, len(self.vision_deep))
        for k, prompts in enumerate((self.vision, *self.vision_deep)):
            if prompts is not None and self.vision is not None:
                tail = (_n_tokens(self.vision), width)
                what = f"vision prompts of layer {k}" if k else "vision prompts"
                _check_shape(what, prompts, (n_images, *tail) if prompts.dim() == 3 else tail)
        if self.vision_late is not None:
            self.vision_late.check("vision", width=width, layers=layers, n_images=n_images)


class TowerOutput(NamedTuple):
    """What a tower computed. Rows are those after its last LayerNorm, before the projection; None where there are none.

    Attributes:
        features: (B, d) image features, or (C, d) or (B, C, d) text features; not normalised.
        prompts: rows of the prompts. Vision: (B, b_v, d_v). Text, each class's context: (C, b, d_l) or (B, C, b, d_l).
        late: rows of the late tokens. Vision: (B, b, d_v). Text: (b, d_l) or (B, b, d_l).
        patches: (B, patches, d) patch rows, projected as the class token's row is.
    """

    features: Tensor
    prompts: Tensor | None = None
    late: Tensor | None = None
    patches: Tensor | None = None


def deep_prompts(deep: Sequence[Tensor | None], keep: float | Sequence[float], k: int) -> tuple[Tensor | None, float]:
    """What is to enter before block k, and the share of the old rows that stays; None if it is all of them."""
    if not 1 <= k <= len(deep):
        return None, 1.0
    share = keep[k - 1] if isinstance(keep, Sequence) else keep
    return (None if share == 1 else deep[k - 1]), share


def blend(prompts: Tensor, rows: Tensor, keep: float) -> Tensor:
    """(1 − keep) · prompts + keep · rows."""
    return (1 - keep) * prompts + keep * rows


def splice(x: Tensor, prompts: Tensor, start: int, stop: int, keep: float = 0.0) -> Tensor:
    """(N or 1, L, D) with rows start … stop − 1 replaced by prompts, (b, D) or (N, b, D)."""
    prompts = prompts.to(x.dtype)
    if prompts.dim() == 2:
        prompts = prompts[None]
    n = max(len(x), len(prompts))
    prompts = prompts.expand(n, -1, -1)
    if len(x) != n:
        x = x.expand(n, -1, -1)
    if keep:
        prompts = blend(prompts, x[:, start:stop], keep)
    parts = [x[:, :start], prompts] + ([x[:, stop:]] if stop < x.shape[1] else [])
    return torch.cat(parts, dim=1)


def _n_tokens(prompts: Tensor) -> int | str:
    return prompts.shape[-2] if prompts.dim() > 1 else "tokens"


def _check_shape(what: str, tensor: Tensor, expected: tuple[int | str, ...]) -> None:
    """Compare shapes; a word in ``expected`` stands for any number."""
    found = tuple(tensor.shape)
    if len(found) != len(expected) or any(isinstance(e, int) and e != f for e, f in zip(expected, found, strict=True)):
        wanted = "(" + ", ".join(map(str, expected)) + ")"
        raise ValueError(f"The {what} have shape {found}: expected {wanted}.")


def _check_keep(what: str, keep: float | Sequence[float], n: int) -> None:
    shares = keep if isinstance(keep, Sequence) else [keep] * n
    if len(shares) != n:
        raise ValueError(
            f"{len(shares)} shares to keep were given for the {n} {what}: expected one each, or one number."
        )
    for share in shares:
        if not 0 <= share <= 1:
            raise ValueError(f"The {what} keep a share of {share}: expected a number from 0 to 1.")
