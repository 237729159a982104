"""Causal attention on packed class prompts: the prefix to itself, each class's suffix to the prefix and to itself.

Suffixes lie in windows of equal length (see `ClassPrompts`), so attention is one call on views of the packed rows,
under a mask that keeps the classes of a window apart. A call per suffix length computes fewer scores, and padding each
class computes more; both took about twice as long (docs/performance.md).

Shapes: N images with prompts of their own (or 1), P prefix rows, C classes, G windows of W rows, K reading places per
window, h heads of width e.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from prompted_clip.classnames import ClassPrompts

#: Up to so many keys the formula written out is faster on a CPU than its fused kernel, and what it saves is small.
PLAIN_KEYS = 64


def attend(classes: ClassPrompts, qkv: Tensor) -> Tensor:
    """(N, P + G · W, 3, h, e) queries, keys, values → (N, P + G · W, h · e)."""
    prefix, suffixes = _split(classes, qkv)
    q, k, v = prefix.permute(2, 0, 3, 1, 4)  # (N, h, P, e) each
    outs = [F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)]
    queries, keys, values = suffixes.permute(3, 0, 1, 4, 2, 5)  # (N, G, h, W, e) each
    outs.append(_attend_windows(queries, _behind(k, keys), _behind(v, values), classes.mask))
    return torch.cat(outs, dim=1)


def read_out(classes: ClassPrompts, query: Tensor, keys_values: Tensor) -> Tensor:
    """Queries of the end-of-text rows (N, C, h, e), keys and values (N, P + G · W, 2, h, e) → (N, C, h · e)."""
    prefix, suffixes = _split(classes, keys_values)
    k, v = prefix.permute(2, 0, 3, 1, 4)
    keys, values = suffixes.permute(3, 0, 1, 4, 2, 5)
    queries = query.index_select(1, classes.readers).unflatten(1, (classes.windows, -1)).transpose(2, 3)
    out = _attend_windows(queries, _behind(k, keys), _behind(v, values), classes.read_mask)  # (N, G · K, h · e)
    return out.index_select(1, classes.read_places)


def _split(classes: ClassPrompts, rows: Tensor) -> tuple[Tensor, Tensor]:
    """(N, P + G · W, …) → the prefix (N, P, …) and the windows (N, G, W, …).

    By one split, whose gradient is one concatenation: each slice would bring a matrix of zeros around its own.
    """
    prefix, suffixes = rows.split([classes.prefix_length, rows.shape[1] - classes.prefix_length], dim=1)
    return prefix, suffixes.unflatten(1, (classes.windows, -1))


def _attend_windows(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """(N, G, h, R, e), twice (N · G, h, P + W, e), and (G, 1, R, P + W) → (N, G · R, h · e)."""
    n = len(queries)
    mask = mask.expand(n, *mask.shape).flatten(0, 1)
    queries = queries.flatten(0, 1)
    if queries.device.type == "cpu" and keys.shape[-2] <= PLAIN_KEYS:
        scores = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(-1, -2)
        out = scores.masked_fill(~mask, -torch.inf).softmax(-1) @ values
    else:
        out = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
    return out.transpose(1, 2).reshape(n, -1, out.shape[1] * out.shape[3])


def _behind(prefix: Tensor, suffix: Tensor) -> Tensor:
    """(N, h, P, e) and (N, G, h, W, e) → (N · G, h, P + W, e)."""
    shared = prefix[:, None].expand(-1, suffix.shape[1], -1, -1, -1)
    return torch.cat([shared, suffix], dim=3).flatten(0, 1)
