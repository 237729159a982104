"""`Adapters`: what a learner adds inside the frozen blocks, a value beside `Prompts`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

#: Rows in, rows out, each for itself: (…, D_in) → (…, D_out).
Adapter = Callable[[Tensor], Tensor]

#: The products with frozen weights that a block has.
PRODUCTS = ("q", "k", "v", "out", "fc", "proj")


@dataclass(frozen=True)
class BlockAdapter:
    """What is added inside one block.

    All of it works row by row: a block computes only the rows that somebody reads, and rows that are the same for all
    classes once. So a dropout draws one mask for all classes in the prefix that they share.

    A module is called in the format of its own parameters, a function in float32 (float64 if the tower is float64);
    what it returns is cast where it enters.

    Args:
        branch: ln_1(x) (…, D) → (…, D), added to the block's output; x is the block's input.
        delta: for any of `PRODUCTS`, that product's input → what is added to its output. "q", "k", "v" and "out" of the
            attention: (…, D) → (…, D). "fc" and "proj" of the MLP: (…, D) → (…, MLP width), and back.
    """

    branch: Adapter | None = None
    delta: Mapping[str, Adapter] = field(default_factory=dict)

    def has(self, *products: str) -> bool:
        """Whether something is added to one of these products."""
        return any(product in self.delta for product in products)

    def add(self, product: str, out: Tensor, x: Tensor, scale: float = 1.0) -> Tensor:
        """A product's output, plus ``scale`` times what is added to it, given its input."""
        return out + _run(product, self.delta[product], x, out, scale) if product in self.delta else out

    def beside(self, normed: Tensor) -> Tensor | None:
        """The branch's output, given ln_1(x)."""
        return None if self.branch is None else _run("branch", self.branch, normed, normed)


#: Nothing is added.
NOTHING = BlockAdapter()


@dataclass(frozen=True)
class Adapters:
    """What is added inside blocks of the two towers, by number of the block, counted from 0.

    Parameters of the learner get their gradients wherever these use them; the frozen weights stay as they are.

    Args:
        text: for some blocks of the text tower what is added there.
        vision: for some blocks of the vision transformer what is added there.
    """

    text: Mapping[int, BlockAdapter] = field(default_factory=dict)
    vision: Mapping[int, BlockAdapter] = field(default_factory=dict)

    def check(self, tower: str, *, layers: int) -> None:
        """Check the part of a tower, "text" or "vision".

        Raises:
            ValueError: a block that the tower does not have, or a product that a block does not have.
        """
        for k, block in (self.text if tower == "text" else self.vision).items():
            if not 0 <= k < layers:
                raise ValueError(f"An adapter is for block {k}: the {tower} tower has blocks 0 to {layers - 1}.")
            for product in block.delta:
                if product not in PRODUCTS:
                    raise ValueError(
                        f"The adapter of block {k} of the {tower} tower adds to {product!r}: expected one of"
                        f" {', '.join(PRODUCTS)}."
                    )


def wide(x: Tensor) -> Tensor:
    """In float32 at least."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _run(what: str, adapter: Adapter, x: Tensor, out: Tensor, scale: float = 1.0) -> Tensor:
    """``scale`` times the adapter's output, to be added to ``out``."""
    x = wide(x)
    if isinstance(adapter, nn.Module):
        own = next((p.dtype for p in adapter.parameters() if p.is_floating_point()), x.dtype)
        x = x.to(own)
    added = adapter(x)
    if added.shape != out.shape:
        raise ValueError(
            f"The adapter at {what!r} turns {tuple(x.shape)} into {tuple(added.shape)}: expected {tuple(out.shape)}."
        )
    return (added if scale == 1 else scale * added).to(out.dtype)
