"""The cache folder: what was found out once about a dataset and need not be found out again.

It lies outside the data root, so that data roots can be read-only: $MAPLE_CACHE, or ~/.cache/maple_prompts. Everything
in it is JSON, keyed by a digest of what it was made from, and can be deleted at any time.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from .splits import write_text_whole

VARIABLE = "MAPLE_CACHE"


def cache_dir() -> Path:
    """The cache folder (which need not exist yet)."""
    return Path(os.environ.get(VARIABLE) or "~/.cache/maple_prompts").expanduser()


def read_cached(name: str) -> Any | None:
    """The JSON stored as `name` (a relative path), or None if there is none or it is damaged."""
    try:
        return json.loads((cache_dir() / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        print(f"Cache file {cache_dir() / name} is unreadable ({error}): made again", file=sys.stderr)
        return None


def write_cached(name: str, content: Any) -> None:
    """Store JSON as `name`. A cache that cannot be written costs time, not the run: it is said and passed over."""
    file = cache_dir() / name
    try:
        write_text_whole(file, json.dumps(content, separators=(",", ":")))
    except OSError as error:
        print(f"Cache file {file} cannot be written ({error}): set {VARIABLE} to a writable folder", file=sys.stderr)
