"""yacs' configuration node, with errors a person can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from yacs.config import CfgNode as _YacsNode


def iter_keys(node: dict, prefix: str = "") -> Iterator[str]:
    """Yield the dotted name of every key below `node`, sections included.

    Args:
        node: a configuration node or a plain nested dict.
        prefix: dotted name of `node` itself, ending with a dot, or "".

    Yields:
        Names such as ``"OPTIM"`` and ``"OPTIM.LR"``.
    """
    for key, value in node.items():
        name = f"{prefix}{key}"
        yield name
        if isinstance(value, dict):
            yield from iter_keys(value, name + ".")


def nearest_key(key: str, known: list[str]) -> str | None:
    """The known dotted key most like `key`, or None when nothing is similar.

    What counts is the last part; of several that are as near, the one whose section is nearer.

    Args:
        key: the unknown dotted key.
        known: the dotted keys there are.

    Returns:
        One of `known`, or None.
    """
    section, _, leaf = key.upper().rpartition(".")
    best, best_score = None, 0.0
    for name in known:
        known_section, _, known_leaf = name.upper().rpartition(".")
        likeness = _likeness(leaf, known_leaf)
        if not likeness:
            continue
        # halved: another section's key must be the better match by far
        score = likeness + difflib.SequenceMatcher(None, section, known_section).ratio() / 2
        if score > best_score:
            best, best_score = name, score
    return best


def _likeness(word: str, known: str) -> float:
    """How near a word is to a known one: 1 if equal; 0 if neither like it or a part of it, nor short for it."""
    ratio = difflib.SequenceMatcher(None, word, known).ratio()
    if ratio >= 0.7:
        return ratio
    parts = known.split("_")
    like_a_part = len(parts) > 1 and bool(difflib.get_close_matches(word, parts, n=1, cutoff=0.8))  # EPOCHS, MAX_EPOCH
    # LERNRATE for LR, PRECISION for PREC: the same first letter, and the others in their order
    shorter, longer = sorted((word, known), key=len)
    letters = iter(longer)
    short_for = len(shorter) > 1 and shorter[0] == longer[0] and all(letter in letters for letter in shorter)
    if not (like_a_part or short_for):
        return 0.0
    return (0.65 if like_a_part else 0.6) + ratio / 10  # EPOCHS is MAX_EPOCH rather than EPS


class CfgNode(_YacsNode):
    """A yacs node that refuses unknown keys with a suggestion and takes an int where a float is expected.

    Everything else (attribute access, freeze, clone, dump, ...) is yacs'.
    """

    def merge_from_file(self, cfg_filename: str) -> None:
        """Merge a YAML file into this tree.

        Args:
            cfg_filename: path of the file.

        Raises:
            FileNotFoundError: there is no such file.
            KeyError: the file has a key that this tree does not know; the nearest known key is named.
            ValueError: the file is not YAML or a value has the wrong type.
        """
        import yaml

        try:
            with open(cfg_filename, encoding="utf-8") as file:
                loaded = yaml.safe_load(file)
        except FileNotFoundError:
            raise FileNotFoundError(f"config file not found: {cfg_filename}") from None
        except yaml.YAMLError as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"config file {cfg_filename} is not valid YAML: {reason}") from None
        if loaded is None:
            return
        if not isinstance(loaded, dict):
            raise ValueError(f"config file {cfg_filename} must hold KEY: value pairs, found a {type(loaded).__name__}")
        self._merge_checked(loaded, f" in {cfg_filename}")

    def merge_from_other_cfg(self, cfg_other: dict) -> None:
        """Merge another tree (or a nested dict) into this one; errors as in `merge_from_file`."""
        self._merge_checked(cfg_other, "")

    def merge_from_list(self, cfg_list: list) -> None:
        """Merge ``[KEY, value, KEY, value, ...]``, as typed on a command line.

        Args:
            cfg_list: dotted keys and their values (strings are read as Python literals where they are such).

        Raises:
            KeyError: a key is unknown; the nearest known key is named.
            ValueError: the list has an odd length, or a value has the wrong type.
        """
        if len(cfg_list) % 2:
            raise ValueError(
                f"options come in pairs KEY VALUE, but {len(cfg_list)} words were given; the last is {cfg_list[-1]!r}"
            )
        for key, value in zip(cfg_list[0::2], cfg_list[1::2], strict=True):
            node: dict = {}
            inner = node
            *sections, leaf = str(key).split(".")
            for section in sections:
                inner[section] = {}
                inner = inner[section]
            inner[leaf] = value
            self._merge_checked(node, "")

    def _merge_checked(self, other: dict, where: str) -> None:
        """Check the keys of `other`, widen int to float, then let yacs merge (it checks the types)."""
        checked = self._checked(other, self, "", where)
        try:
            super().merge_from_other_cfg(_node_like(self, checked))
        except ValueError as error:
            raise ValueError(f"{error}{where}") from None

    def _checked(self, other: dict, known: dict, prefix: str, where: str) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in other.items():
            name = f"{prefix}{key}"
            if key not in known:
                if isinstance(known, _YacsNode) and known.is_new_allowed():
                    result[key] = value
                    continue
                while isinstance(value, dict) and len(value) == 1:  # a whole new section: name the key in it
                    (leaf, value) = next(iter(value.items()))
                    name = f"{name}.{leaf}"
                near = nearest_key(name, list(iter_keys(self)))
                hint = f"; did you mean {near}?" if near else ""
                raise KeyError(f"unknown config key {name}{where}{hint}")
            default = known[key]
            if isinstance(default, dict) != isinstance(value, dict):
                found = "a section" if isinstance(value, dict) else f"the value {value!r}"
                expected = "a section" if isinstance(default, dict) else f"a value like {default!r}"
                raise ValueError(f"config key {name}{where} takes {expected}, found {found}")
            if isinstance(default, dict):
                result[key] = _node_like(default, self._checked(value, default, name + ".", where))
            else:
                result[key] = self._widened(value, default)
        return result

    @classmethod
    def _decode_cfg_value(cls, value: Any) -> Any:
        # yacs would turn a node of its own class into one of this
        return value if isinstance(value, _YacsNode) else super()._decode_cfg_value(value)

    @classmethod
    def _widened(cls, value: Any, default: Any) -> Any:
        given, value = value, cls._decode_cfg_value(value)
        if isinstance(default, str) and isinstance(given, str) and value is not None:
            # a folder may be called 2024; in quotes, since yacs reads literals once more
            return repr(value if isinstance(value, str) else given)
        if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        return value


def _node_like(known: dict, content: dict[str, Any]) -> _YacsNode:
    """A node of the class of `known`: yacs merges only like into like, and a plugin's section may be of yacs' class."""
    node = type(known)() if isinstance(known, _YacsNode) else CfgNode()
    dict.update(node, content)  # not the constructor, which would turn the inner nodes into its own class
    return node
