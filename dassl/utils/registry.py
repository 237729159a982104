"""Names to objects: how datasets, trainers and evaluators are found."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any


def nearest_name(name: str, names: Iterable[str]) -> str | None:
    """The entry of `names` most like `name` (case apart), or None when none is similar."""
    lower = {str(known).lower(): str(known) for known in names}
    close = difflib.get_close_matches(str(name).lower(), list(lower), n=1, cutoff=0.5)
    return lower[close[0]] if close else None


def check_availability(requested: str, available: Iterable[str], note: str = "") -> None:
    """Refuse a name that is not among the available ones.

    Args:
        requested: the name asked for.
        available: the names there are.
        note: the message's end.

    Raises:
        ValueError: `requested` is not available; the message lists what is and names the nearest.
    """
    available = list(available)
    if requested in available:
        return
    near = nearest_name(requested, available)
    hint = f"; did you mean {near!r}?" if near else ""
    raise ValueError(f"{requested!r} is not available; expected one of {sorted(available)}{hint}{note}")


class Registry:
    """A table of named objects.

    A registrant is usually a class: for `DATASET_REGISTRY` one that is called with the config and returns a
    `DatasetBase`; for `TRAINER_REGISTRY` one that is called with the config and returns a `TrainerBase`.

    Args:
        name: what the registry is called in errors, e.g. ``"TRAINER"``.

    Example:
        >>> R = Registry("R")
        >>> @R.register()
        ... class Thing: ...
        >>> R.get("Thing") is Thing
        True
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._obj_map: dict[str, Any] = {}
        self._broken: dict[str, str] = {}

    def register(self, obj: Any = None, force: bool = False) -> Any:
        """Register `obj` under its ``__name__``; without `obj`, act as a decorator.

        Args:
            obj: a class or function, or None.
            force: replace an earlier registration of the same name.

        Returns:
            `obj` itself, or the decorator.

        Raises:
            KeyError: the name is taken and `force` is False.
        """
        if obj is None:
            return self._decorator(force)
        self._add(obj.__name__, obj, force)
        return obj

    def _decorator(self, force: bool) -> Callable[[Any], Any]:
        def wrap(obj: Any) -> Any:
            self._add(obj.__name__, obj, force)
            return obj

        return wrap

    def _add(self, name: str, obj: Any, force: bool) -> None:
        if name in self._obj_map and not force:
            other = self._obj_map[name]
            raise KeyError(
                f"{name!r} is already registered in {self._name} (by module {getattr(other, '__module__', '?')}); "
                f"registered are {self.registered_names()}"
            )
        self._obj_map[name] = obj

    def get(self, name: str) -> Any:
        """The object registered under `name`.

        Raises:
            KeyError: there is none; the message lists the names there are and the nearest of them.
        """
        if name not in self._obj_map:
            near = nearest_name(name, self._obj_map)
            hint = f"; did you mean {near!r}?" if near else ""
            raise KeyError(
                f"{name!r} is not registered in {self._name}; there are {self.registered_names()}{hint}{self.left_out}"
            )
        return self._obj_map[name]

    @property
    def left_out(self) -> str:
        """What was left out and why, as the end of a message about a name that is not there; "" if nothing was."""
        return "".join(f"; {source} is left out, as it is broken: {why}" for source, why in self._broken.items())

    def leave_out(self, module: str, source: str, why: str) -> None:
        """Take out what a broken module has registered; whoever asks for a name that is not there is told of it.

        Args:
            module: the module's dotted name.
            source: its file, for the message.
            why: what is wrong with it.
        """
        for name in [name for name, obj in self._obj_map.items() if getattr(obj, "__module__", "") == module]:
            del self._obj_map[name]
        self._broken[source] = why

    def registered_names(self) -> list[str]:
        """The registered names, in order of registration."""
        return list(self._obj_map)

    def __contains__(self, name: object) -> bool:
        return name in self._obj_map
