"""Causal attention on packed class prompts: the prefix to itself, each class's suffix to the prefix and to itself.

Two forms of the same function, each with the read-out of the end-of-text rows that the last layer needs:

- by length: classes with suffixes of one length form a dense block, one call per length. No padding is computed; best
  where arithmetic is dear and calls are cheap, on a CPU.
- padded: suffixes padded to the longest, one call under a mask. Best where calls are dear, on a GPU.

Shapes: N images with prompts of their own (or 1), P prefix rows, T suffix rows, C classes, S longest suffix, h heads of
width e.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from prompted_clip.classnames import ClassPrompts


def attend_by_length(classes: ClassPrompts, qkv: Tensor) -> Tensor:
    """(N, P + T, 3, h, e) queries, keys, values → (N, P + T, h · e)."""
    n, prefix = len(qkv), classes.prefix_length
    out, keys, values = _prefix(classes, qkv)
    outs = [out]
    start = prefix
    for count, length in classes.blocks:
        stop = start + count * length
        q, k, v = qkv[:, start:stop].unflatten(1, (count, length)).permute(3, 0, 1, 4, 2, 5)  # (N, c, h, s, e) each
        mask = torch.ones(length, prefix + length, dtype=torch.bool, device=qkv.device).tril(prefix)
        out = F.scaled_dot_product_attention(
            q.flatten(0, 1), _behind(keys, k), _behind(values, v), attn_mask=mask
        )  # (N · c, h, s, e)
        outs.append(out.transpose(1, 2).reshape(n, count * length, -1))
        start = stop
    return torch.cat(outs, dim=1)


def read_out_by_length(classes: ClassPrompts, query: Tensor, keys_values: Tensor) -> Tensor:
    """Queries of the end-of-text rows (N, C, h, e), keys and values (N, P + T, 2, h, e) → (N, C, h · e).

    These rows come last in their class, so they attend to all of its prefix and suffix, without a mask.
    """
    n, prefix = len(query), classes.prefix_length
    keys, values = keys_values[:, :prefix].permute(2, 0, 3, 1, 4)
    outs = []
    start, first = prefix, 0
    for count, length in classes.blocks:
        stop = start + count * length
        k, v = keys_values[:, start:stop].unflatten(1, (count, length)).permute(3, 0, 1, 4, 2, 5)
        q = query[:, first : first + count].flatten(0, 1)[:, :, None]  # (N · c, h, 1, e)
        out = F.scaled_dot_product_attention(q, _behind(keys, k), _behind(values, v))
        outs.append(out.reshape(n, count, -1))
        start, first = stop, first + count
    return torch.cat(outs, dim=1)


def attend_padded(classes: ClassPrompts, qkv: Tensor) -> Tensor:
    """(N, P + T, 3, h, e) queries, keys, values → (N, P + T, h · e)."""
    n, padding = len(qkv), classes.padding
    out, keys, values = _prefix(classes, qkv)
    rows = qkv[:, padding.rows]  # (N, C, S, 3, h, e)
    q, k, v = rows.permute(3, 0, 1, 4, 2, 5)  # (N, C, h, S, e) each
    mask = padding.causal.expand(n, -1, -1, -1, -1).flatten(0, 1)
    suffixes = F.scaled_dot_product_attention(
        q.flatten(0, 1), _behind(keys, k), _behind(values, v), attn_mask=mask
    )  # (N · C, h, S, e)
    suffixes = suffixes.transpose(1, 2).reshape(n, -1, out.shape[-1])  # (N, C · S, h · e)
    return torch.cat([out, suffixes.index_select(1, padding.places)], dim=1)


def read_out_padded(classes: ClassPrompts, query: Tensor, keys_values: Tensor) -> Tensor:
    """Queries of the end-of-text rows (N, C, h, e), keys and values (N, P + T, 2, h, e) → (N, C, h · e)."""
    n, padding = len(query), classes.padding
    keys, values = keys_values[:, : classes.prefix_length].permute(2, 0, 3, 1, 4)
    k, v = keys_values[:, padding.rows].permute(3, 0, 1, 4, 2, 5)
    mask = padding.present.expand(n, -1, -1, -1, -1).flatten(0, 1)
    q = query.flatten(0, 1)[:, :, None]
    out = F.scaled_dot_product_attention(q, _behind(keys, k), _behind(values, v), attn_mask=mask)
    return out.reshape(n, classes.n_classes, -1)


def _prefix(classes: ClassPrompts, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The prefix's own attention, (N, P, h · e), and its keys and values, (N, h, P, e)."""
    q, k, v = qkv[:, : classes.prefix_length].permute(2, 0, 3, 1, 4)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2), k, v


def _behind(prefix: Tensor, suffix: Tensor) -> Tensor:
    """(N, h, P, e) and (N, c, h, s, e) → (N · c, h, P + s, e)."""
    shared = prefix[:, None].expand(-1, suffix.shape[1], -1, -1, -1)
    return torch.cat([shared, suffix], dim=3).flatten(0, 1)
