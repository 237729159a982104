"""The cache folder: what was found out once about a dataset and need not be found out again.

It lies outside the data root, so that data roots can be read-only: $MAPLE_CACHE, or ~/.cache/maple_prompts. Everything
in it can be deleted at any time. A file is two lines of JSON: the SHA-256 of the second, and the content. One that was
changed, be it by a disk or by hand, is not used but made again.
"""

from __future__ import annotations

import hashlib
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
    """The content stored as `name` (a relative path), or None if there is none or it is not as it was written."""
    try:
        head, _, text = (cache_dir() / name).read_text(encoding="utf-8").partition("\n")
        if head != _head(text):
            raise ValueError("its checksum is another: it was damaged or edited")
        return json.loads(text)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        reject_cached(name, str(error))
        return None


def reject_cached(name: str, reason: str) -> None:
    """Say that a stored file is not used."""
    print(f"Cache file {cache_dir() / name} is not used ({reason}): made again", file=sys.stderr)


def write_cached(name: str, content: Any) -> None:
    """Store JSON as `name`. A cache that cannot be written costs time, not the run: it is said and passed over."""
    file = cache_dir() / name
    text = json.dumps(content, separators=(",", ":"))
    try:
        write_text_whole(file, f"{_head(text)}\n{text}")
    except OSError as error:
        print(f"Cache file {file} cannot be written ({error}): set {VARIABLE} to a writable folder", file=sys.stderr)


def _head(text: str) -> str:
    return json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest()})
