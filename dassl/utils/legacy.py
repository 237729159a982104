"""Old checkpoints hold optimiser and scheduler objects. Here is what stands in for them: nothing that can act.

torch's weights-only unpickler asks by name for every class a file mentions. Names of the kinds below are answered
with an empty class made on the spot; the real class is never looked up, imported or called. All others are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

# What upstream's checkpoints were seen to mention besides tensors.
_INERT_PREFIXES = ("torch.optim.", "dassl.optim.", "numpy.", "yacs.config.")
_INERT_NAMES = (
    "_codecs.encode",
    "dict",
    "builtins.dict",
    "__builtin__.dict",
    "list",
    "builtins.list",
    "__builtin__.list",
)


class Inert:
    """Takes any arguments and any state, and forgets them."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Inert:
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def _empty_dict(*args: Any) -> dict:
    """Stands in for defaultdict: torch fills in the items afterwards, and does so for exactly this type."""
    return {}


# PyTorch 2.4 goes by __name__, later releases by __qualname__
_empty_dict.__module__, _empty_dict.__qualname__, _empty_dict.__name__ = "collections", "defaultdict", "defaultdict"


def placeholder_for(name: str) -> Any | None:
    """Something inert that answers to the dotted name, or None if the name must be refused."""
    if name == "collections.defaultdict":
        return _empty_dict
    if not name.startswith(_INERT_PREFIXES) and name not in _INERT_NAMES:
        return None
    module, _, leaf = name.rpartition(".")
    return type(leaf, (Inert,), {"__module__": module or "builtins", "__qualname__": leaf})


@contextmanager
def allowed_placeholders(stand_ins: Iterable[Any]) -> Iterator[None]:
    """Let torch's weights-only unpickler see these stand-ins, for the length of a block."""
    before = list(torch.serialization.get_safe_globals())  # PyTorch 2.4 hands out its own list
    torch.serialization.add_safe_globals(list(stand_ins))
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def without_placeholders(value: Any) -> Any:
    """A copy in which every stand-in has become None."""
    if isinstance(value, Inert):
        return None
    if isinstance(value, dict):
        return type(value)((k, without_placeholders(v)) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return type(value)(without_placeholders(v) for v in value)
    return value
