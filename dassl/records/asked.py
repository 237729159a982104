"""What a command line of ``train.py`` asks for, apart from where things lie."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: What a config key looks like: dotted capitals, or one of the few without a dot that make sense on a command line.
CONFIG_KEY = re.compile(r"[A-Z][A-Z0-9_]*(\.[A-Z0-9_]+)+|DEVICE|USE_CUDA|VERBOSE|SEED|RESUME|OUTPUT_DIR")

#: Options that say where, not what; what lies there is compared by its digest.
_PLACES = ("root", "output_dir", "force", "resume", "model_dir")
_CONFIG_FILES = ("config_file", "dataset_config_file")
_SWITCHES = ("--force", "--eval-only", "--no-train", "--list")

DEFAULT_ROOT = "data"


def data_root(root: str | os.PathLike[str] = "", folder: str | os.PathLike[str] = "") -> Path:
    """The data root as an absolute path: `root`, else the environment variable DATA, else ``data``.

    Args:
        root: as it was given, or "".
        folder: the working folder that it starts from; "" for that of this process.
    """
    return Path(os.path.abspath(Path(folder, Path(root or os.environ.get("DATA") or DEFAULT_ROOT).expanduser())))


@dataclass(frozen=True)
class Asked:
    """A command line of ``train.py``.

    Attributes:
        options: its options by name, without dashes, as far as they were given.
        pairs: its KEY VALUE pairs, flat.
        folder: the working folder.
        project: the folder of ``train.py``.
    """

    options: Mapping[str, Any]
    pairs: Sequence[str]
    folder: Path
    project: Path

    @classmethod
    def from_arguments(cls, arguments: Sequence[str], project: Path) -> Asked:
        """Of arguments with full option names of one value each, as sweeps make them, for the project's folder."""
        options: dict[str, Any] = {}
        place = 0
        while place < len(arguments) and arguments[place].startswith("--"):
            name = arguments[place]
            key = name.removeprefix("--").replace("-", "_")
            if name in _SWITCHES:
                options[key] = True
            else:
                place += 1
                options[key] = arguments[place]
            place += 1
        return cls(options, list(arguments[place:]), project, project)

    def question(self) -> dict[str, Any]:
        """The options and pairs without those that say where; of config files the name without folder and suffix."""
        kept = {key: value for key, value in self.options.items() if key not in _PLACES}
        for key in _CONFIG_FILES:
            kept[key] = Path(kept[key]).stem
        texts = {key: value if isinstance(value, bool | list) else str(value) for key, value in kept.items()}
        return {"options": texts, "pairs": [str(word) for word in self.pairs]}

    def place(self, kind: str, root: str = "") -> Path:
        """A folder or file that this command line names.

        Args:
            kind: ``project``, ``work`` (the working folder), ``root`` (the data root), or the name of an option.
            root: the data root that the config files name, for the case that the command line names none.
        """
        if kind == "project":
            return self.project
        if kind == "work":
            return self.folder
        if kind == "root":
            return data_root(self._pair("DATASET.ROOT") or self.options.get("root") or root, self.folder)
        return Path(self.folder, Path(self.options[kind]).expanduser())

    @property
    def names_root(self) -> bool:
        """Whether the command line names the data root."""
        return bool(self._pair("DATASET.ROOT") or self.options.get("root"))

    def _pair(self, key: str) -> str:
        values = [value for name, value in zip(self.pairs[::2], self.pairs[1::2], strict=False) if name == key]
        return values[-1] if values else ""
