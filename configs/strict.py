"""Reading YAML that people write: a mistake in it is one sentence with the file, the key and the nearest known key."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times as fast
_WORDS = {str: "text", int: "a whole number", bool: "true or false", list: "a list", dict: "keys with values"}
_REQUIRED = object()
T = TypeVar("T")


class _Loader(_LOADER):
    """A safe loader that refuses a key that stands twice; YAML itself lets the last one win."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for place, key in enumerate(keys):
            if key in keys[:place]:
                raise yaml.MarkedYAMLError(problem=f"the key {key} stands twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def near(name: object, known: Iterable[str]) -> str:
    """ "did you mean X? " where a known name is close, else ""."""
    found = difflib.get_close_matches(str(name), list(known), 1, 0.5)
    return f"did you mean {found[0]}? " if found else ""


def one_of(name: str, known: Iterable[str], where: str) -> str:
    """The name itself.

    Raises:
        ValueError: it is none of the known ones.
    """
    known = list(known)
    if name not in known:
        raise ValueError(f"{where} is '{name}': {near(name, known)}expected one of {', '.join(known) or 'none'}.")
    return name


def number_in(value: object, where: str, low: float, high: float) -> float:
    """The value as a float.

    Raises:
        ValueError: it is no number from ``low`` to ``high``.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{where} is {value!r}: expected a number from {low:g} to {high:g}.")
    return float(value)


class Node:
    """The keys of a mapping, taken one by one; `done` sees that none is left.

    Args:
        content: the mapping.
        where: file and key, for messages.

    Raises:
        ValueError: it is no mapping.
    """

    def __init__(self, content: object, where: str) -> None:
        self.where = where
        self._content = dict(checked(content, dict, where))
        self._known: list[str] = []

    def take(self, key: str, kind: type[T], default: Any = _REQUIRED) -> T:
        """The value of a key.

        Raises:
            ValueError: it is missing and has no default, or of another type.
        """
        self._known.append(key)
        if key not in self._content:
            if default is _REQUIRED:
                raise ValueError(f"{self.where}: the key {key} is missing{self._instead(key)}.")
            return default
        return checked(self._content.pop(key), kind, f"{self.where}: {key}")

    def words(self, key: str, known: Iterable[str] | None = None) -> tuple[str, ...]:
        """A list of texts, () where the key is missing; each one of the known ones where those are given.

        Raises:
            ValueError: something else.
        """
        where = f"{self.where}: {key}"
        found = tuple(checked(word, str, where) for word in self.take(key, list, []))
        return found if known is None else tuple(one_of(word, known, where) for word in found)

    def node(self, key: str) -> Node | None:
        """The mapping of a key, None where the key is missing."""
        content: dict[str, Any] | None = self.take(key, dict, None)
        return None if content is None else Node(content, f"{self.where}: {key}")

    def rest(self, read: Callable[[object, str], T]) -> dict[str, T]:
        """All keys that are left, each value read by a function of the value and its place."""
        found = {str(key): read(value, f"{self.where}: {key}") for key, value in self._content.items()}
        self._content = {}
        return found

    def done(self) -> None:
        """See that no key is left.

        Raises:
            ValueError: one is; the sentence names the nearest known one.
        """
        for key in self._content:
            raise ValueError(
                f"{self.where}: unknown key {key}: {near(key, self._known)}expected {', '.join(self._known)}."
            )

    def _instead(self, key: str) -> str:
        """What may have been meant for a missing key."""
        found = difflib.get_close_matches(key, map(str, set(self._content) - set(self._known)), 1, 0.6)
        return f" (there is {found[0]})" if found else ""


def checked(value: object, kind: type[T], where: str) -> T:
    """The value itself.

    Raises:
        ValueError: it is not of that type.
    """
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        hint = ", in quotes" if kind is str and value is not None else ""
        raise ValueError(f"{where} is {value!r}: expected {_WORDS[kind]}{hint}.")
    return value


def read_yaml(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        ValueError: it cannot be read, or is no YAML.
    """
    try:
        return yaml.load(path.read_bytes(), Loader=_Loader)
    except (OSError, UnicodeError) as error:
        raise ValueError(f"{path}: cannot be read ({error}).") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise ValueError(f"{path}: no YAML{line} ({getattr(error, 'problem', None) or error}).") from error
