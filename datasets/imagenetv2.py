"""ImageNetV2: a second test set for ImageNet."""

from __future__ import annotations

from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from .facts import Counts, Download, Facts, Finding
from .listing import cached_class_folders, subfolders
from .sources import classnames_download
from .splits import Item, Split
from .wordnet import ImageNetVariant, classnames_mistakes, read_classnames

_IMAGES = "imagenetv2-matched-frequency-format-val"


@DATASET_REGISTRY.register()
class ImageNetV2(ImageNetVariant):
    """Recht, Roelofs, Schmidt and Shankar: Do ImageNet Classifiers Generalize to ImageNet? (ICML 2019)."""

    facts = Facts(
        stem="imagenetv2",
        folder="imagenetv2",
        images=_IMAGES,
        counts=Counts(classes=1000, train=10_000, val=None, test=10_000),
        page="https://github.com/modestyachts/ImageNetV2",
        licence="MIT",
        downloads=(
            Download(
                file="imagenetv2-matched-frequency.tar.gz",
                urls=(
                    "https://huggingface.co/datasets/vaishaal/ImageNetV2/resolve/main/imagenetv2-matched-frequency.tar.gz",
                    "https://s3-us-west-2.amazonaws.com/imagenetv2public/imagenetv2-matched-frequency.tar.gz",
                ),
                size=1_264_079_360,
                sha256="f0c37fdf925916b19ea1323cd9a2208cdb6959ba2c32eef2a7fc393835c9ca7c",
                moves=((_IMAGES, _IMAGES),),
            ),
            classnames_download(),
        ),
        notes="Folders are numbers, 0 to 999, in numeric order; the n-th line of classnames.txt names folder n, so "
        "that file must be in the order of the WordNet ids.",
    )

    @classmethod
    def mistakes(cls, folder: Path) -> list[Finding]:
        """Folders that are not numbers; class names in another order."""
        found = classnames_mistakes(cls.facts.stem, folder, ordered=True)
        images = folder / cls.facts.images
        wrong = [name for name in (subfolders(images) if images.is_dir() else ()) if not _is_number(name)]
        if wrong:
            problem = (
                f"{images} has folders that are not plain numbers 0 to 999, such as {wrong[0]!r}: a repackaged copy"
            )
            found.append(Finding(problem, f"delete it and run: python -m datasets prepare {cls.facts.stem}"))
        return found

    @classmethod
    def read_lists(cls, folder: Path) -> Split:
        """A label is the folder's number."""
        images = folder / cls.facts.images
        files = cached_class_folders(images)
        names = list(read_classnames(cls.facts.stem, folder).values())
        wrong = [name for name in files if not (_is_number(name) and int(name) < len(names))]
        if wrong:
            raise ValueError(
                f"{images}: expected folders named 0 to {len(names) - 1}, found {wrong[0]!r}; "
                f"run: python -m datasets check {cls.facts.stem}"
            )
        items = [
            Item(f"{name}/{file}", int(name), names[int(name)])
            for name in sorted(files, key=int)
            for file in files[name]
        ]
        return Split(items, [], items)


def _is_number(name: str) -> bool:
    """Whether `name` is a decimal number without leading zeros."""
    return name.isascii() and name.isdecimal() and str(int(name)) == name
