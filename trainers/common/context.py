"""Shallow text prompts before the class name, and random prompts: how CoOp, CoCoOp, MaPLe, IVLP and VPT start."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from prompted_clip import Backbone, ClassPrompts, class_prompts, encode_words

#: Standard deviation of prompts that start at random (all methods of the paper).
INIT_STD = 0.02

#: More context tokens than this, and CTX_INIT is not used to initialise them.
MAX_INIT_WORDS = 4


def check_count(name: str, value: int, low: int, high: int, limit: str) -> None:
    """Check a number of tokens or layers from the config.

    Raises:
        ValueError: outside low … high; ``limit`` says where ``high`` comes from.
    """
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}: expected {low} to {high} ({limit}).")


def init_context(
    backbone: Backbone, classnames: list[str], *, n_ctx: int, ctx_init: str
) -> tuple[nn.Parameter, ClassPrompts]:
    """Shallow text prompts before the class name, as CoOp, CoCoOp, MaPLe and IVLP make them.

    With ``ctx_init`` and at most 4 context tokens, the context starts as the embeddings of the template's first
    ``n_ctx`` tokens and the template's other words stay in the prompt, frozen. Otherwise it starts as N(0, 0.02²).

    Args:
        backbone: the frozen CLIP.
        classnames: one name per class.
        n_ctx: b, context tokens.
        ctx_init: template words, or "".

    Returns:
        the context, (b, d_l) float32, and the class prompts with its slots.

    Raises:
        ValueError: no context token, more than fit, or more than ``ctx_init`` has words for.
    """
    spec = backbone.spec
    # start, a word, the full stop and end-of-text need a place as well
    check_count("N_CTX", n_ctx, 1, spec.context_length - 4, f"the text tower has {spec.context_length} positions")
    words = encode_words(ctx_init) if ctx_init and n_ctx <= MAX_INIT_WORDS else []
    if words and len(words) < n_ctx:
        raise ValueError(f"N_CTX is {n_ctx}, but CTX_INIT {ctx_init!r} has {len(words)} tokens to start from.")
    if words:
        context = backbone.embed_tokens(words[:n_ctx])
    else:
        context = random_prompts(n_ctx, spec.text_width)
    classes = class_prompts(classnames, context_length=spec.context_length, n_ctx=n_ctx, frozen_tokens=words[n_ctx:])
    return nn.Parameter(context.to("cpu")), classes


def words_or_random(
    backbone: Backbone, *, n_ctx: int, ctx_init: str, copies: tuple[int, ...] = ()
) -> tuple[nn.Parameter, int]:
    """A context that starts as the embeddings of words, all of them learnable, or at random.

    Args:
        backbone: the frozen CLIP.
        n_ctx: b, context tokens; with ``ctx_init`` its number of tokens counts instead.
        ctx_init: words that the context starts from; otherwise N(0, 0.02²).
        copies: leading axes, (C,) for a context per class.

    Returns:
        the context, (*copies, b, d_l) float32, and b.

    Raises:
        ValueError: ``n_ctx`` out of range.
    """
    spec = backbone.spec
    words = encode_words(ctx_init) if ctx_init else []
    # a number that cannot be is a mistake, also where the words' number counts in its place
    check_count("N_CTX", n_ctx, 1, spec.context_length - 4, f"the text tower has {spec.context_length} positions")
    if words:
        return nn.Parameter(backbone.embed_tokens(words).cpu().expand(*copies, -1, -1).clone()), len(words)
    return nn.Parameter(random_prompts(*copies, n_ctx, spec.text_width)), n_ctx


def random_prompts(*shape: int) -> Tensor:
    """Prompts drawn from N(0, 0.02²), float32, from PyTorch's global generator (which the run's seed sets)."""
    return torch.empty(*shape).normal_(std=INIT_STD)
