"""Floating-point operations by formula: those of the usual implementation, and those that the function needs.

One multiply-add counts as two. Frozen weights: a training step is each matrix product forward and once more for the
gradient of its input (never for its weight), and attention forward (two products) and backward (four).
LayerNorm, softmax and activations are not counted, nor is the learner's own arithmetic (under 0.1 % of a step).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.job import Dims


@dataclass(frozen=True)
class Product:
    """`count` products of a (rows, n_in) matrix with an (n_in, n_out) weight; `trains`: backward as well."""

    rows: int
    n_in: int
    n_out: int
    count: int
    trains: bool = True

    def flops(self, training: bool) -> int:
        passes = 2 if training and self.trains else 1
        return 2 * self.rows * self.n_in * self.n_out * self.count * passes


@dataclass(frozen=True)
class Work:
    """Matrix products with weights, and the forward operations of attention's products among activations."""

    products: tuple[Product, ...]
    attention: int
    attention_trains: bool = True

    def flops(self, training: bool) -> int:
        passes = 3 if training and self.attention_trains else 1
        return sum(product.flops(training) for product in self.products) + passes * self.attention


def _blocks(rows: int, width: int, count: int, trains: bool) -> tuple[Product, ...]:
    """`count` whole blocks on `rows` tokens: queries, keys, values; output; MLP. 24 · width² per token."""
    sizes = ((width, 3 * width), (width, width), (width, 4 * width), (4 * width, width))
    return tuple(Product(rows, n_in, n_out, count, trains) for n_in, n_out in sizes if rows and count)


def _readout_block(rows: int, read: int, width: int, trains: bool) -> tuple[Product, ...]:
    """The last block where only `read` of `rows` rows are read: keys and values of all, the rest of those alone."""
    return (
        Product(rows, width, 2 * width, 1, trains),
        Product(read, width, width, 2, trains),
        Product(read, width, 4 * width, 1, trains),
        Product(read, 4 * width, width, 1, trains),
    )


def vision_work(dims: Dims, images: int, prompt_tokens: int, *, readout: bool, trains: bool = True) -> Work:
    """The image tower on `images` images.

    Args:
        dims: the model's.
        images: B.
        prompt_tokens: b vision prompts appended to the patches.
        readout: the last block computes the class token's row only.
        trains: gradients flow through it.
    """
    width, tokens = dims.vision_width, 1 + dims.patches + prompt_tokens
    rows, layers = images * tokens, dims.vision_layers
    products = (
        Product(images * dims.patches, 3 * dims.patch_size**2, width, 1, trains=False),
        *_blocks(rows, width, layers - 1 if readout else layers, trains),
        *(_readout_block(rows, images, width, trains) if readout else ()),
        Product(images, width, dims.embed_dim, 1, trains),
    )
    queries = images * (tokens * (layers - 1) + (1 if readout else tokens))
    return Work(products, 4 * queries * tokens * width, trains)


def usual_text_work(dims: Dims, sequences: int) -> Work:
    """The text tower on `sequences` sequences of the full context length."""
    width, length = dims.text_width, dims.context_length
    rows = sequences * length
    products = (
        *_blocks(rows, width, dims.text_layers, True),
        Product(sequences, width, dims.embed_dim, 1),
    )
    return Work(products, 4 * rows * length * width * dims.text_layers)


def packed_text_work(dims: Dims, prefix: int, suffixes: Sequence[int], copies: int = 1) -> Work:
    """The text tower on a shared prefix and packed suffixes.

    Args:
        dims: the model's.
        prefix: P, tokens common to all classes.
        suffixes: tokens of each class after the prefix.
        copies: 1, or the number of images where each has its own prompts.
    """
    width, layers = dims.text_width, dims.text_layers
    classes = len(suffixes)
    rows = prefix + sum(suffixes)
    products = (
        *_blocks(copies * rows, width, layers - 1, True),
        *_readout_block(copies * rows, copies * classes, width, True),
        Product(copies * classes, width, dims.embed_dim, 1),
    )
    pairs = prefix * prefix + sum(length * (prefix + length) for length in suffixes)
    read = sum(prefix + length for length in suffixes)
    return Work(products, copies * 4 * width * (pairs * (layers - 1) + read))


def usual_bytes(dims: Dims, sequences: int, prompted_images: int) -> int:
    """Rough peak memory of the usual implementation's float32 training step, to see beforehand whether it fits.

    Measured at ViT-B/16's size: about 22 saved values of the width per token and layer, and 1.5 GB apart from them,
    most of it the weights (held once, and once more while they are made).
    """
    text = sequences * dims.context_length * dims.text_layers * dims.text_width
    vision = prompted_images * (1 + dims.patches) * dims.vision_layers * dims.vision_width
    return 1_500_000_000 + 4 * 22 * (text + vision)
