"""Every kind of image file is read as what it shows, or refused by name."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, features

from dassl.config import get_cfg_default
from dassl.data import DataManager
from dassl.data.data_manager import _decoded_bytes
from dassl.data.datasets import DATASET_REGISTRY, Datum
from dassl.utils import read_image

from .world import Shades, write_images

NOISE = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def pixels(path: Path, upright: bool = False) -> Any:
    return np.asarray(read_image(str(path), upright))


def tiff(values: Any, bits: int, kind: int = 1, order: str = "<", photometric: int = 1) -> bytes:
    """A grey TIFF, written by hand: `kind` is 1 for unsigned, 2 for signed, 3 for float values."""
    height, width = values.shape
    data = values.tobytes()
    if bits == 12:
        sixteen = np.unpackbits(values.astype(">u2").view(np.uint8).reshape(-1, 2), axis=1)
        data = np.packbits(sixteen[:, 4:].reshape(height, -1), axis=1).tobytes()
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 277: 1, 278: height, 339: kind}
    entries = {**tags, 273: 8 + 2 + 12 * (len(tags) + 2) + 4, 279: len(data)}
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, len(entries))
    for tag, value in sorted(entries.items()):
        long = tag in (273, 279)
        packed = struct.pack(f"{order}I", value) if long else struct.pack(f"{order}HH", value, 0)
        head += struct.pack(f"{order}HHI", tag, 4 if long else 3, 1) + packed
    return head + struct.pack("I", 0) + data


def test_as_grey_and_rgb(tmp_path: Path) -> None:
    Image.new("L", (4, 3), 7).save(tmp_path / "grey.png")
    image = read_image(str(tmp_path / "grey.png"))
    assert image.mode == "RGB" and image.size == (4, 3) and image.getpixel((0, 0)) == (7, 7, 7)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        *(("RGB", suffix) for suffix in ("jpg", "png", "gif", "webp", "bmp", "tif", "ppm")),
        *(("1", "png"), ("L", "jpg"), ("LA", "png"), ("P", "png"), ("RGBA", "png"), ("RGBA", "webp"), ("CMYK", "jpg")),
        *(("CMYK", "tif"), ("PA", "png")),
    ],
)
@pytest.mark.parametrize("upright", [False, True])
def test_eight_bits_are_what_pillow_makes_of_them(tmp_path: Path, mode: str, suffix: str, upright: bool) -> None:
    file = tmp_path / f"image.{suffix}"
    image = Image.fromarray(NOISE).convert("RGBA").convert("LA").convert("PA") if mode == "PA" else None
    image = image or Image.fromarray(NOISE).convert(mode)
    (image.convert("P") if mode == "PA" else image).save(file)
    with Image.open(file) as opened:
        assert np.array_equal(pixels(file, upright), np.asarray(opened.convert("RGB")))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 65535), min_size=1, max_size=50), st.sampled_from(["PNG", "TIFF", "PPM", "MM", "white"]))
def test_sixteen_bits_by_their_whole_range(tmp_path_factory: Any, values: list[int], kind: str) -> None:
    """value / 257, rounded in whole numbers: an oracle without floats."""
    file = tmp_path_factory.mktemp("images") / "image"
    grey = np.array([values], dtype=np.uint16)
    if kind == "MM":
        file.write_bytes(tiff(grey.astype(">u2"), 16, order=">"))
    elif kind == "white":
        file.write_bytes(tiff(65535 - grey, 16, photometric=0))
    else:
        Image.fromarray(grey).save(file, kind)
    expected = [(value + 128) // 257 for value in values]
    assert pixels(file).tolist() == [[[level] * 3 for level in expected]]


def test_eight_bits_stored_as_sixteen_come_back(tmp_path: Path) -> None:
    levels = np.arange(256, dtype=np.uint8)[None]
    Image.fromarray(levels.astype(np.uint16) * 257).save(tmp_path / "16.png")
    Image.fromarray(levels).save(tmp_path / "8.png")
    assert np.array_equal(pixels(tmp_path / "16.png"), pixels(tmp_path / "8.png"))


def test_twelve_bits(tmp_path: Path) -> None:
    values = np.array([[0, 8, 9, 2047, 2048, 4094, 4095, 1]], dtype=np.uint16)
    (tmp_path / "12.tif").write_bytes(tiff(values, 12))
    expected = [(2 * 255 * value + 4095) // (2 * 4095) for value in values[0].tolist()]
    assert pixels(tmp_path / "12.tif")[0, :, 0].tolist() == expected


def test_floats_between_zero_and_one(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 0.25, 0.5, 0.999, 1]], dtype=np.float32)).save(tmp_path / "f.tif")
    assert pixels(tmp_path / "f.tif")[0, :, 1].tolist() == [0, 64, 128, 255, 255]
    for value in (0, 0.25, 1):
        Image.fromarray(np.full((1, 2), value, dtype=np.float32)).save(tmp_path / "flat.tif")
        assert pixels(tmp_path / "flat.tif").tolist() == [[[round(value * 255)] * 3] * 2]


@pytest.mark.parametrize(
    ("values", "bits", "kind", "reason"),
    [
        ([[0.0, 255.0]], 32, 3, r"its pixels are floats from 0 to 255, expected 0 to 1: convert it to 8 bits first"),
        ([[-0.1, 0.5]], 32, 3, r"its pixels are floats from -0\.1 to 0\.5"),
        ([[0, np.nan, 1]], 32, 3, r"its pixels are floats from nan to nan"),
        ([[0, 1]], 32, 1, r"its pixels are 32-bit integers, of which nothing tells the range: convert it to 8 bits"),
        ([[0, 200]], 32, 2, r"its pixels are 32-bit integers"),
        ([[-5, 200]], 16, 2, r"its pixels are 32-bit integers"),
    ],
)
def test_no_range_of_their_own(tmp_path: Path, values: Any, bits: int, kind: int, reason: str) -> None:
    dtype = {(32, 3): "<f4", (32, 1): "<u4", (32, 2): "<i4", (16, 2): "<i2"}[bits, kind]
    (tmp_path / "odd.tif").write_bytes(tiff(np.array(values, dtype=dtype), bits, kind))
    with pytest.raises(OSError, match=rf"^cannot read image .*odd\.tif: {reason}"):
        read_image(str(tmp_path / "odd.tif"))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(10))
def test_orientation(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / f"image.{suffix}"
    Image.fromarray(NOISE).save(file, exif=exif, **({"lossless": True} if suffix == "webp" else {}))
    with Image.open(file) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    assert np.array_equal(pixels(file, upright=True), expected)
    if suffix != "tif":  # Pillow itself turns these
        assert pixels(file).shape == NOISE.shape


def test_sixteen_bits_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.array([[0, 65535]], dtype=np.uint16)).save(tmp_path / "16.png", exif=exif)
    assert pixels(tmp_path / "16.png", upright=True)[..., 0].tolist() == [[0], [255]]


def broken_avif() -> bytes:
    """An AVIF file whose decoder fails with an error that is no OSError."""
    buffer = io.BytesIO()
    Image.fromarray(NOISE).save(buffer, "AVIF")
    content = buffer.getvalue()
    start = content.index(b"mdat") + 4
    return content[:start] + bytes(len(content) - start)


BROKEN: list[Any] = [
    (b"not an image", "it is no image of a format that Pillow reads$"),
    (b"", "it is empty$"),
    (b"GIF89a", ""),
]


@pytest.mark.parametrize(("content", "reason"), BROKEN)
def test_broken(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "broken.png"
    file.write_bytes(content)
    with pytest.raises(OSError, match=rf"^cannot read image .*broken\.png: {reason}") as caught:
        read_image(str(file))
    assert "\n" not in str(caught.value)


def test_half_a_file(tmp_path: Path) -> None:
    Image.new("L", (4, 3), 7).save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:50])
    with pytest.raises(OSError, match=r"cannot read image .*half\.png: "):
        read_image(str(tmp_path / "half.png"))


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_any_error_of_a_decoder(tmp_path: Path) -> None:
    (tmp_path / "broken.avif").write_bytes(broken_avif())
    with pytest.raises(OSError, match=r"^cannot read image .*broken\.avif: "):
        read_image(str(tmp_path / "broken.avif"))


def test_not_there(tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to("nowhere")
    for name in ("gone.png", "link.png"):
        with pytest.raises(FileNotFoundError, match=rf"^image file not found: .*{name}$"):
            read_image(str(tmp_path / name))
    with pytest.raises(OSError, match="it is not a regular file"):
        read_image(str(tmp_path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_fifo_does_not_hang(tmp_path: Path) -> None:
    """In processes of their own, which can be ended."""
    os.mkfifo(tmp_path / "pipe.png")
    for call in ("read_image('pipe.png')", "_decoded_bytes([Datum('pipe.png')])"):
        program = f"from {__name__} import Datum, _decoded_bytes, read_image; print({call})"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.stdout == ("0.0\n" if "Datum" in call else ""), done.stderr
        assert ("pipe.png: it is not a regular file" in done.stderr) == ("read" in call)


def test_large_image_is_read_without_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Warnings are errors in this suite; twice the limit is an error by Pillow's own rule."""
    Image.new("1", (20, 10)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 150)
    assert read_image(str(tmp_path / "large.png")).size == (20, 10)
    assert _decoded_bytes([Datum(str(tmp_path / "large.png"))]) == 600
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    with pytest.raises(OSError, match=r"^cannot read image .*large\.png: Image size \(200 pixels\) exceeds limit"):
        read_image(str(tmp_path / "large.png"))


@pytest.mark.parametrize("upright", [False, True])
def test_a_dataset_says_whether_its_images_are_turned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, upright: bool
) -> None:
    """Training and evaluation alike; `DatasetBase` says no."""
    write_images(tmp_path)
    assert DATASET_REGISTRY.get("Shades").upright is False
    if upright:
        monkeypatch.setattr(Shades, "upright", True)
    exif = Image.Exif()
    exif[0x0112] = 3
    cfg = get_cfg_default()
    cfg.DATASET.NAME, cfg.DATASET.ROOT, cfg.DATALOADER.NUM_WORKERS = "Shades", str(tmp_path), 0
    dm = DataManager(cfg)
    for loader in (dm.train_loader_x, dm.val_loader, dm.test_loader):
        path = loader.dataset.data_source[0].impath
        with Image.open(path) as opened:
            stored = np.asarray(opened.convert("RGB"))
            opened.save(path, exif=exif)
        loader.dataset.transform = None
        assert np.array_equal(np.asarray(loader.dataset[0]["img"]), stored[::-1, ::-1] if upright else stored)
