"""Reading image files: what Pillow opens, as 8-bit RGB, or one sentence that names the file."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

# How to set upright an image of each orientation of the EXIF standard (1: it is).
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Formats without 32-bit integers: what Pillow opens as such has 16 bits.
_AT_MOST_16_BITS = ("PNG", "PPM")
_BITS, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # TIFF


def read_image(path: str, upright: bool = False) -> Image.Image:
    """Read an image file as RGB.

    8-bit images are what ``Image.convert("RGB")`` makes of them. 16-bit grey is brought to 8 bits by its whole range
    (value / 257, rounded: an 8-bit image stored as 16 bits comes back as it was), floats between 0 and 1 likewise
    (value * 255). Other floats and 32-bit integers have no range of their own and are refused.

    Args:
        path: the file.
        upright: turn the image as its EXIF orientation says.

    Returns:
        A decoded PIL image in mode RGB.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the file cannot be read as an image. Both messages name the path.
    """
    with opened_image(path) as image:
        image.load()  # some formats tell the orientation, or turn the image themselves, only then
        method = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1)) if upright else None
        rgb = _as_rgb(image)
        return rgb if method is None else rgb.transpose(method)


@contextmanager
def opened_image(path: str) -> Iterator[Image.Image]:
    """An image file, opened by Pillow. Whatever goes wrong with it inside the block is an OSError that names it.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
    """
    try:
        # opening a FIFO would wait for a writer, without end
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ValueError("it is not a regular file")
        with warnings.catch_warnings():
            # of large images and odd metadata, without the file's name; what cannot be read is an error
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                yield image
    except FileNotFoundError:
        raise FileNotFoundError(f"image file not found: {path}") from None
    except Exception as error:  # damaged files make Pillow's decoders raise errors of every kind
        raise OSError(f"cannot read image {path}: {_reason(error, path)}") from None


def _reason(error: Exception, path: str) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is empty" if os.stat(path).st_size == 0 else "it is no image of a format that Pillow reads"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    # Pillow repeats the path in some of its messages
    return str(error).replace(repr(str(path)), "it").replace(str(path), "it") or type(error).__name__


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in _AT_MOST_16_BITS):
        tags = getattr(image, "tag_v2", {})
        (bits,) = tags.get(_BITS, (16,))
        return _scaled(image, 2**bits - 1, inverted=tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO)
    if image.mode == "I":
        raise ValueError("its pixels are 32-bit integers, of which nothing tells the range: convert it to 8 bits first")
    if image.mode == "F":
        values = np.asarray(image)
        least, most = values.min(), values.max()
        if not 0 <= least <= most <= 1:  # nor if there is a NaN
            raise ValueError(
                f"its pixels are floats from {least:g} to {most:g}, expected 0 to 1: convert it to 8 bits first"
            )
        return _scaled(image, 1)
    return image.convert("RGB")


def _scaled(image: Image.Image, full: int, inverted: bool = False) -> Image.Image:
    """Grey values from 0 to `full` → 0 to 255, to the nearest."""
    # float32 is exact enough: no 16-bit value / 257 comes nearer than 1/514 to the middle between two levels
    grey = np.rint(np.asarray(image, dtype=np.float32) * np.float32(255 / full)).astype(np.uint8)
    return Image.fromarray(255 - grey if inverted else grey).convert("RGB")
