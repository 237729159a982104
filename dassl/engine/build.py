"""The registry of trainers."""

from __future__ import annotations

from typing import Any

from dassl.utils.registry import Registry, check_availability

#: Classes that are called with the config and return a trainer (see `dassl.engine.TrainerX`). Their names are the rows
#: of result tables.
TRAINER_REGISTRY = Registry("TRAINER")


def nodes_of(trainer: type) -> tuple[str, ...] | None:
    """The nodes below cfg.TRAINER that a trainer reads: what its class says as ``node`` (one) and ``nodes`` (further).

    None where it says neither, as trainers written for upstream do: nothing is known then.
    """
    node, more = getattr(trainer, "node", None), getattr(trainer, "nodes", None)
    found = [node] if isinstance(node, str) else []
    found += [name for name in more if isinstance(name, str)] if isinstance(more, (tuple, list)) else []
    return tuple(dict.fromkeys(found)) or None


def build_trainer(cfg: Any) -> Any:
    """The trainer that ``cfg.TRAINER.NAME`` names, with data and model built.

    Raises:
        ValueError: there is no such trainer; the message lists those there are and the nearest.
    """
    name = cfg.TRAINER.NAME
    check_availability(name, TRAINER_REGISTRY.registered_names(), TRAINER_REGISTRY.left_out)
    if cfg.VERBOSE:
        print(f"Loading trainer: {name}")
    return TRAINER_REGISTRY.get(name)(cfg)
