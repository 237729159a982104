"""Top-k accuracy of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


@torch.no_grad()
def compute_accuracy(output: Any, target: Tensor, topk: Sequence[int] = (1,)) -> list[Tensor]:
    """Share of samples whose label is among the k largest scores.

    Args:
        output: scores (batch, classes); of a list or tuple the first is taken.
        target: labels (batch,).
        topk: values of k; one larger than the number of classes counts as all of them.

    Returns:
        For each k a tensor of one element, in percent.
    """
    scores = output[0] if isinstance(output, (list, tuple)) else output
    largest = min(max(topk), scores.shape[1])
    hits = scores.topk(largest, dim=1).indices.eq(target.view(-1, 1))  # (batch, largest)
    share = 100.0 / max(1, target.shape[0])
    return [hits[:, :k].sum(dtype=torch.float32).mul(share).reshape(1) for k in topk]
