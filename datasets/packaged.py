"""Digit images that come inside a Python package, written once as PNG files and then read like any benchmark."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .base import Benchmark
from .splits import three_way, write_split

DIGIT_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class PackagedDigits(Benchmark):
    """Ten digits from a package: images in images/<digit>/, split file beside them, both made on first use.

    Several processes may start at once: images are written into a temporary folder that is then renamed, and
    whoever comes second finds it there. The split is the same on every machine and leaves the run's random state alone.
    """

    package = ""

    @classmethod
    def load_arrays(cls) -> tuple[Any, Any]:
        """(images, labels): uint8 (N, height, width), light on dark; int (N,)."""
        raise NotImplementedError

    def prepare_folder(self, root: Path) -> Path:
        """Write images and split file under `root` unless they are there."""
        self.arrange(root / self.facts.folder)
        return super().prepare_folder(root)

    @classmethod
    def arrange(cls, folder: Path) -> None:
        """Write what is not there yet."""
        if not (folder / cls.facts.images).is_dir():
            cls.write_images(folder)
        if not (folder / cls.facts.split_file).is_file():
            cls.write_split(folder)

    @classmethod
    def write_images(cls, folder: Path) -> None:
        """Write every image as PNG under `folder`/images, whole or not at all."""
        try:
            images, labels = cls.load_arrays()
        except ImportError as error:
            raise RuntimeError(
                f"{cls.facts.stem}: its images come with {cls.package}, which is missing: pip install {cls.package}"
            ) from error
        try:
            folder.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=".images-", dir=folder))
        except OSError as error:
            raise OSError(f"{cls.facts.stem}: cannot write to {folder} ({error}); set DATA or --root") from error
        try:
            cls._write_pngs(images, labels, temporary)
            os.chmod(temporary, 0o755)
            try:
                os.rename(temporary, folder / cls.facts.images)
            except OSError:
                # another process was quicker; anything else is an error
                if not (folder / cls.facts.images).is_dir():
                    raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    @classmethod
    def _write_pngs(cls, images: Any, labels: Any, folder: Path) -> None:
        written = ""
        try:
            for label in range(len(DIGIT_NAMES)):
                (folder / str(label)).mkdir()
            for i, (pixels, label) in enumerate(zip(images, labels, strict=True)):
                written = f"{int(label)}/{i:05d}.png"
                Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(folder / written)
        except OSError as error:
            raise OSError(
                f"{cls.facts.stem}: cannot write {folder.parent / cls.facts.images / written}: "
                f"{error.strerror or error}; nothing is left of it; make room, or set DATA or --root"
            ) from error

    @classmethod
    def write_split(cls, folder: Path) -> None:
        """Write the 50/20/30 split file, from a generator of its own."""
        images = folder / cls.facts.images
        classes = [
            (label, name, [f"{label}/{file}" for file in sorted(os.listdir(images / str(label)))])
            for label, name in enumerate(DIGIT_NAMES)
        ]
        write_split(three_way(classes, random.Random(0)), folder / cls.facts.split_file)
