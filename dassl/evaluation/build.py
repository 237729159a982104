"""The registry of evaluators."""

from __future__ import annotations

from typing import Any

from dassl.utils.registry import Registry, check_availability

#: Classes that are called with the config and keyword arguments and have `reset`, `process(output, label)` and
#: `evaluate() -> dict`, of which the first value is the one that "best on val" goes by.
EVALUATOR_REGISTRY = Registry("EVALUATOR")


def build_evaluator(cfg: Any, **kwargs: Any) -> Any:
    """The evaluator that ``cfg.TEST.EVALUATOR`` names.

    Raises:
        ValueError: there is no such evaluator.
    """
    check_availability(cfg.TEST.EVALUATOR, EVALUATOR_REGISTRY.registered_names())
    if cfg.VERBOSE:
        print(f"Loading evaluator: {cfg.TEST.EVALUATOR}")
    return EVALUATOR_REGISTRY.get(cfg.TEST.EVALUATOR)(cfg, **kwargs)
