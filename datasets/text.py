"""Reading the text files that datasets come with, and putting names into sentences."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def read_text(file: str | os.PathLike[str], newline: str | None = None) -> str:
    """A UTF-8 file's text, with or without a byte order mark.

    Args:
        file: the file.
        newline: as for `open`; "" keeps line ends as they are.

    Raises:
        ValueError: it is not UTF-8; names the file and the line.
    """
    try:
        with open(file, encoding="utf-8-sig", newline=newline) as stream:
            return stream.read()
    except UnicodeDecodeError:
        content = Path(file).read_bytes()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{file}, line {line}: the byte 0x{content[error.start]:02x} is not UTF-8; save the file in that encoding"
        ) from None


def some(names: Sequence[str], limit: int = 5) -> str:
    """The first of many names, for a sentence, each as `printable`."""
    return ", ".join(map(printable, names[:limit])) + (", ..." if len(names) > limit else "")


def counted(number: int, noun: str, plural: str = "") -> str:
    """ "1 image", "2 images", "2 classes"."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def printable(name: str) -> str:
    """A file's name for a sentence: line ends and the like, and bytes that are not UTF-8, as backslash and digits."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def is_utf8(name: str) -> bool:
    """Whether a file's name is UTF-8, so that it can be printed, recorded and be a class's name."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
