"""The registry of trainers."""

from __future__ import annotations

from typing import Any

from dassl.utils.registry import Registry, check_availability

#: Classes that are called with the config and return a trainer (see `dassl.engine.TrainerX`). Their names are the rows
#: of result tables.
TRAINER_REGISTRY = Registry("TRAINER")


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
