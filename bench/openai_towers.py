"""OpenAI's towers with prompts put in by hand between the residual blocks, at full context length, and with additions
to the attention's products.

Straight from the equations, on the `clip.model` modules of the installed `openai-clip`; without prompts they are
`CLIP.encode_text` and `CLIP.encode_image`.

Symbols in the shapes: B images, C classes, L context length, d_l and d_v widths of the text and the vision tower,
d joint width, b context tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import clip
import torch
from clip.model import CLIP, ResidualAttentionBlock, VisionTransformer
from torch import Tensor

# What one block adds to its products "q", "k" and "v": functions of the products' common input, (tokens, N, width).
Deltas = Mapping[str, Callable[[Tensor], Tensor]]


def tokenize(clip_model: CLIP, texts: Sequence[str]) -> Tensor:
    """Token ids of `texts`, padded with zeros to the model's context length.

    Args:
        clip_model: gives the context length L and the device.
        texts: C strings.

    Returns:
        Long tensor (C, L).

    Raises:
        RuntimeError: a text does not fit into the context.
    """
    tokens = clip.tokenize(list(texts), context_length=clip_model.context_length)
    return tokens.long().to(clip_model.positional_embedding.device)


def prompt_texts(classnames: Sequence[str], words: str) -> list[str]:
    """`"<words> <name>."` for every class name, `_` read as a space."""
    return [f"{words} {name.replace('_', ' ')}." for name in classnames]


def attention(block: ResidualAttentionBlock, x: Tensor, delta: Deltas) -> Tensor:
    """The block's multi-head self-attention written out: softmax(q kᵀ / √d_h + mask) v, with `delta` added to q, k, v.

    Args:
        block: one residual block of either tower.
        x: its normed input (tokens, N, width).
        delta: the additions; a product that is not named gets none.

    Returns:
        (tokens, N, width), after the output projection.
    """
    attn = block.attn
    tokens, n, _ = x.shape
    heads = []
    parts = zip("qkv", attn.in_proj_weight.chunk(3), attn.in_proj_bias.chunk(3), strict=True)
    for name, weight, bias in parts:
        product = x @ weight.t() + bias
        if name in delta:
            product = product + delta[name](x)
        heads.append(product.reshape(tokens, n, attn.num_heads, -1).permute(1, 2, 0, 3))  # (N, heads, tokens, d_h)
    q, k, v = heads
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if block.attn_mask is not None:
        scores = scores + block.attn_mask.to(scores)
    mixed = (scores.softmax(dim=-1) @ v).permute(2, 0, 1, 3).reshape(tokens, n, -1)
    return attn.out_proj(mixed)


def run_block(block: ResidualAttentionBlock, x: Tensor, delta: Deltas | None) -> Tensor:
    """The residual block on x (tokens, N, width); OpenAI's own forward pass where there is no `delta`."""
    if delta is None:
        return block(x)
    x = x + attention(block, block.ln_1(x), delta)
    return x + block.mlp(block.ln_2(x))


def encode_text(
    clip_model: CLIP,
    embedded: Tensor,
    tokens: Tensor,
    deep: Sequence[Tensor | None] = (),
    deltas: Sequence[Deltas] = (),
) -> Tensor:
    """Text tower on given token embeddings, with per-layer prompts.

    Args:
        clip_model: the frozen model.
        embedded: (C, L, d_l), token embeddings with the shallow prompt already in its place, no positions added.
        tokens: (C, L), ids; only used to find the end-of-text token, which is the largest id.
        deep: tensors (b, d_l) or, one for each class, (C, b, d_l); number k (from 1) replaces positions 1..b before
            block k, None leaves them.
        deltas: of every block, or none at all.

    Returns:
        Text features (C, d), not normalised.
    """
    # `.type` as OpenAI has it: no-ops, unless the matrix weights are in a 16-bit type
    x = embedded.type(clip_model.dtype) + clip_model.positional_embedding.type(clip_model.dtype)  # (C, L, d_l)
    x = x.permute(1, 0, 2)  # (L, C, d_l)
    for k, block in enumerate(clip_model.transformer.resblocks):
        prompt = deep[k - 1] if 1 <= k <= len(deep) else None
        if prompt is not None:
            per_class = prompt.type(x.dtype).expand(x.shape[1], -1, -1).permute(1, 0, 2)  # (b, C, d_l)
            x = torch.cat([x[:1], per_class, x[1 + len(per_class) :]], dim=0)
        x = run_block(block, x, deltas[k] if deltas else None)
    x = clip_model.ln_final(x.permute(1, 0, 2)).type(clip_model.dtype)  # (C, L, d_l)
    return x[torch.arange(len(x), device=x.device), tokens.argmax(dim=-1)] @ clip_model.text_projection


def encode_image(
    clip_model: CLIP,
    images: Tensor,
    shallow: Tensor | None = None,
    deep: Sequence[Tensor] = (),
    deltas: Sequence[Deltas] = (),
) -> Tensor:
    """Image tower with vision prompts.

    Args:
        clip_model: the frozen model.
        images: (B, 3, H, W).
        shallow: (b, d_v), appended after the patch tokens, after the positions and before `ln_pre`, or None.
        deep: tensors (b, d_v); number k (from 1) replaces the last b tokens before block k.
        deltas: of every block, or none at all.

    Returns:
        Image features (B, d), not normalised.

    Raises:
        ValueError: prompts or deltas are given and the tower is not a ViT.
    """
    visual = clip_model.visual
    images = images.type(clip_model.dtype)
    if not isinstance(visual, VisionTransformer):
        if shallow is not None or len(deep) > 0:
            raise ValueError("vision prompts need a ViT, but the image tower is a ResNet: use a ViT backbone")
        if len(deltas) > 0:
            raise ValueError("deltas in blocks need a ViT, but the image tower is a ResNet: use a ViT backbone")
        return visual(images)
    batch = len(images)
    x = visual.conv1(images)  # (B, d_v, grid, grid)
    x = x.reshape(batch, x.shape[1], -1).permute(0, 2, 1)  # (B, patches, d_v)
    x = torch.cat([visual.class_embedding.type(x.dtype).expand(batch, 1, -1), x], dim=1)  # (B, 1 + patches, d_v)
    x = x + visual.positional_embedding.type(x.dtype)
    if shallow is not None:
        x = torch.cat([x, shallow.type(x.dtype).expand(batch, -1, -1)], dim=1)  # (B, 1 + patches + b, d_v)
    x = visual.ln_pre(x).permute(1, 0, 2)  # (tokens, B, d_v)
    for k, block in enumerate(visual.transformer.resblocks):
        if 1 <= k <= len(deep):
            prompt = deep[k - 1].type(x.dtype)
            per_image = prompt.unsqueeze(1).expand(-1, batch, -1)  # (b, B, d_v)
            x = torch.cat([x[: len(x) - len(prompt)], per_image], dim=0)
        x = run_block(block, x, deltas[k] if deltas else None)
    return visual.ln_post(x[0]) @ visual.proj


def cosine_logits(clip_model: CLIP, image_features: Tensor, text_features: Tensor) -> Tensor:
    """exp(logit_scale) times the cosine of every image (B, d) with every text (C, d): (B, C)."""
    image_features = image_features / image_features.norm(dim=-1, keepdim=True)
    text_features = text_features / text_features.norm(dim=-1, keepdim=True)
    return clip_model.logit_scale.exp() * image_features @ text_features.t()
