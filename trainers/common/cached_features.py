"""Class features, computed again only when something that they depend on has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from prompted_clip.prompts import TowerOutput


@dataclass(frozen=True)
class _Kept:
    output: TowerOutput
    owners: Sequence[object]
    trains: tuple
    rests: tuple
    frozen: bool


class CachedFeatures:
    """Keeps the features of the last call.

    While gradients are recorded, features are kept only if they need none. Then nothing that trains is in them,
    whichever way a parameter may get into the text tower (prompts, hooks on its blocks), and an optimiser's step leaves
    them as they are. Features that do need gradients are computed at every call. Without gradients, features are kept
    until a parameter or buffer changes, trained or not.
    """

    def __init__(self) -> None:
        self._kept: _Kept | None = None

    def clear(self) -> None:
        """Forget them."""
        self._kept = None

    def get(
        self, compute: Callable[[], TowerOutput], modules: Iterable[nn.Module], owners: Sequence[object]
    ) -> TowerOutput:
        """The features.

        Args:
            compute: makes them; called in the present gradient mode.
            modules: whose parameters and buffers they may depend on.
            owners: what else they are made of; compared by identity.

        Returns:
            what ``compute`` returns or has returned.
        """
        trains, rests = _state(modules)
        recorded = torch.is_grad_enabled()
        kept = self._kept
        if (
            kept is not None
            and (kept.frozen or (not recorded and kept.trains == trains))
            and kept.rests == rests
            and all(old is new for old, new in zip(kept.owners, owners, strict=True))
        ):
            return kept.output
        output = compute()
        if not any(part is not None and part.requires_grad for part in output):
            self._kept = _Kept(output, owners, trains, rests, frozen=recorded)
        return output


def _state(modules: Iterable[nn.Module]) -> tuple[tuple, tuple]:
    """The identities and versions of all tensors of modules: of those that train, and of the others."""
    trains: list[tuple[int, int]] = []
    rests: list[tuple[int, int]] = []
    for module in modules:
        for parameter in module.parameters():
            # in-place updates (optimiser steps, loading) raise a tensor's version
            (trains if parameter.requires_grad else rests).append((id(parameter), parameter._version))
        rests += [(id(buffer), buffer._version) for buffer in module.buffers()]
    return tuple(trains), tuple(rests)
