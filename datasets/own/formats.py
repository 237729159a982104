"""Which files of one's own are images: by the endings of the formats that the installed Pillow reads."""

from __future__ import annotations

import os
from functools import cache

from PIL import Image, features

# Pillow knows these by their first bytes, but has no decoder for them, or leaves the work to another program.
_NOT_DECODED = frozenset(("BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"))
# formats that a build of Pillow may come without, by the name of the feature
_OPTIONAL = {"AVIF": "avif", "JPEG": "jpg", "JPEG2000": "jpg_2000", "WEBP": "webp"}
# stereo photographs, which Pillow's JPEG reader opens
_AS_JPEG = ".mpo"
#: Endings of images that Pillow may not read. Such a file is left out, and said to be.
_KNOWN = frozenset(
    (".arw", ".avif", ".cr2", ".cr3", ".dcm", ".dng", ".eps", ".exr", ".hdr", ".heic", ".heif", ".hif", ".jp2", ".jxl")
    + (".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".srw", ".svg", ".webp")
)


@cache
def readable_suffixes() -> frozenset[str]:
    """Endings, in small letters, of the image formats that the installed Pillow decodes by itself."""
    Image.init()
    missing = {name for name, feature in _OPTIONAL.items() if name in Image.OPEN and not features.check(feature)}
    formats = set(Image.OPEN) - _NOT_DECODED - missing
    endings = {ending for ending, name in Image.registered_extensions().items() if name in formats}
    return frozenset(endings | ({_AS_JPEG} if "JPEG" in formats else set()))


def suffix(name: str) -> str:
    """A file name's ending, in small letters."""
    return os.path.splitext(name)[1].lower()


def is_unreadable_image(name: str) -> bool:
    """Whether a file is an image by its ending, of a format that Pillow does not read."""
    return suffix(name) in _KNOWN - readable_suffixes()
