"""Which files of one's own are images, and what looking into them tells (`check --deep`)."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.manage.cli import main
from datasets.own import formats
from datasets.own.lists import read_own

from .conftest import Load, Say
from .miniatures import several, write_images


def test_suffixes_are_those_of_real_decoders() -> None:
    """Those of the benchmarks and of phones and browsers; nothing that Pillow only recognises."""
    known = formats.readable_suffixes()
    assert {
        ".jpg",
        ".jpeg",
        ".png",
        ".bmp",
        ".gif",
        ".webp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".jfif",
        ".avif",
    } <= known
    assert not known & {".mpg", ".mpeg", ".h5", ".hdf", ".grib", ".bufr", ".eps", ".ps", ".wmf", ".emf", ".pdf", ".txt"}


def test_formats_that_are_written_are_read(own: Path, load: Load) -> None:
    image = Image.fromarray((np.arange(768) % 256).astype(np.uint8).reshape(16, 16, 3))
    written = set()
    for suffix in sorted(formats.readable_suffixes()):
        name = Image.registered_extensions()[suffix]
        for number in range(5):
            file = own / name / f"{number}{suffix}"
            file.parent.mkdir(exist_ok=True)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", DeprecationWarning)  # of formats that Pillow will drop
                    image.convert("1" if name in ("MSP", "XBM") else "RGB").save(file)
            except (KeyError, ValueError, OSError):
                file.unlink(missing_ok=True)  # Pillow reads it and does not write it, or needs it larger
                continue
            written.add(file)
    assert {path.parent.name for path in written} >= {"JPEG", "PNG", "WEBP", "TIFF", "JPEG2000", "TGA"}
    assert {str(file.relative_to(own)) for file in written} == {
        item.path for part in read_own(own).split for item in part
    }
    assert main(["check", "folder", "--path", str(own), "--deep"]) == 0


def test_pillow_without_a_decoder(own: Path, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.features.check", lambda feature: feature != "webp")
    formats.readable_suffixes.cache_clear()
    try:
        write_images(own, [*several("a", "b"), "a/1.webp"])
        said = say(own)
    finally:
        formats.readable_suffixes.cache_clear()
    assert "note: 1 image left out, of formats that the installed Pillow does not read (.webp): convert" in said


def test_copies_are_found(own: Path, say: Say) -> None:
    for name, value in (("train/a/1", 1), ("train/b/1", 2), ("test/a/9", 1), ("test/b/1", 3), ("test/a/2", 3)):
        (own / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2), (200, value, 0)).save(own / f"{name}.png")
    said = say(own, "--deep")
    assert "note: 1 image stored in train and in test, byte for byte: train/a/1.png = test/a/9.png\n" in said
    assert "note: 1 image stored under two labels, byte for byte: test/a/2.png = test/b/1.png\n" in said
    assert "byte for byte" not in say(own)


def test_dark_images_are_named(own: Path, say: Say) -> None:
    """12 bits stored as 16 keep their type's range, and are nearly black."""
    write_images(own, several("a", "b"))
    Image.fromarray(np.full((2, 2), 4095, dtype=np.uint16)).save(own / "a" / "12.png")
    Image.fromarray(np.full((2, 2), 4369, dtype=np.uint16)).save(own / "b" / "17.png")
    said = say(own, "--deep")
    assert "note: 1 image almost black, no value above 16 of 255: a/12.png; if these are 12 bits" in said


def test_strips_are_named(own: Path, say: Say) -> None:
    write_images(own, several("a", "b"))
    Image.new("RGB", (2, 101), (99, 0, 0)).save(own / "a" / "strip.png")
    Image.new("RGB", (100, 2), (99, 0, 0)).save(own / "a" / "long.png")
    assert "note: 1 image more than 50 times as long as wide: a/strip.png; the middle is" in say(own, "--deep")


def test_images_without_a_range_are_refused(own: Path, say: Say) -> None:
    write_images(own, several("a", "b"))
    Image.fromarray(np.full((2, 2), 7.5, dtype=np.float32)).save(own / "a" / "f.tif")
    said = say(own, "--deep")
    assert f"cannot read image {own}/a/f.tif: its pixels are floats from 7.5 to 7.5, expected 0 to 1" in said
    assert "    fix: put readable copies in their places, or delete them (and their rows in a CSV file)\n" in said


def test_check_reads_as_training_does(own: Path, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """One function, with one and the same orientation."""
    from dassl.data import dataset_wrapper
    from datasets.manage import own as checking

    assert checking.read_image is dataset_wrapper.read_image
    write_images(own, several("a", "b"))
    turned = []
    image = Image.new("L", (1, 1), 9)
    monkeypatch.setattr(checking, "read_image", lambda file, upright: (turned.append(upright), image)[1])
    main(["check", "folder", "--path", str(own), "--deep"])
    assert turned == [load("Folder", PATH=str(own)).upright] * 8
