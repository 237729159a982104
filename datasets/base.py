"""What every dataset here shares: finding its folder, reading its lists, few-shot, base/new, construction."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from dassl.data.datasets import DatasetBase, Datum
from dassl.records import Source, data_root

from .classes import check_classes, check_subsample, select_classes
from .facts import Download, Facts, Finding
from .fewshot import cached_fewshot, paths_digest, split_digest
from .own.title import checked_title
from .splits import Item, Split, read_split
from .text import is_utf8, printable

GENERAL_TEMPLATE = "a photo of a {}."

#: Methods that say where the lists come from.
_READERS = ("read_lists", "full_lists", "chosen_lists")


class Benchmark(DatasetBase):
    """A dataset with a folder under the data root. Subclasses state `facts` and override `read_lists`.

    Order of work, which is part of the protocol: read the full lists, sample few-shot, cut base or new, construct.
    No image file is touched here; one that is missing or broken is reported, by name, when it is read.

    Attributes:
        facts: where the dataset lies, where it comes from, how large it is.
        template: prompt for zero-shot classification, with {} for the class name.
        shared_names: names that the published list gives to several classes, whose prompts are then equal by intent.
        dataset_dir: absolute path of the dataset's folder.
        fewshot_digest: names the sampled training list; None without few-shot sampling.
        repair_hint: what to do about an image that cannot be read.
    """

    facts: ClassVar[Facts]
    template: str = GENERAL_TEMPLATE
    shared_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, cfg: Any) -> None:
        options = cfg.DATASET
        check_subsample(options.SUBSAMPLE_CLASSES)
        self.repair_hint = f"run: python -m datasets check {self.facts.stem} --deep"
        self.fewshot_digest: str | None = None
        self.template = checked_template(options.TEMPLATE or type(self).template)
        self.title = checked_title(options.TITLE, type(self).__name__)
        root = data_root(options.ROOT)
        if not is_utf8(str(root)):
            raise ValueError(f"the data root {printable(str(root))} is not in UTF-8: rename it, or set DATA or --root")
        folder = self.prepare_folder(root)
        self.dataset_dir = str(folder)
        train, val, test = self.chosen_lists(folder, options.NUM_SHOTS, cfg.SEED, options.SUBSAMPLE_CLASSES)
        check_classes(self.facts.stem, train, test, fix=f"run: python -m datasets check {self.facts.stem}")
        images = os.path.normpath(folder / self.facts.images)
        train_x, test_x = to_datums(train, images), to_datums(test, images)
        val_x = test_x if val is test else to_datums(val, images) if val else None
        super().__init__(train_x=train_x, val=val_x, test=test_x)

    def prepare_folder(self, root: Path) -> Path:
        """The dataset's folder under `root`, with the folders that hold its images.

        Raises:
            FileNotFoundError: the root, the dataset's folder or an images folder is missing.
        """
        facts = self.facts
        prepare = f"python -m datasets prepare {facts.stem}"
        if not root.is_dir():
            raise FileNotFoundError(
                f"{facts.stem}: there is no data folder {root}. Set the environment variable DATA or --root to the "
                f"folder that holds {facts.folder}/, or run: {prepare}"
            )
        for needed in facts.needed_folders:
            if not (root / facts.folder / needed).is_dir():
                where = os.path.normpath(root / facts.folder / needed)
                raise FileNotFoundError(
                    f"{facts.stem}: there is no images folder {where}. Set DATA or --root to the folder that holds "
                    f"{facts.folder}/, or run: {prepare}"
                )
        return root / facts.folder

    def full_lists(self, folder: Path) -> Split:
        """The full train, val and test lists of this object; `read_lists` unless it depends on the config."""
        return self.read_lists(folder)

    @classmethod
    def read_lists(cls, folder: Path) -> Split:
        """The full train, val and test lists: from the split file, unless a subclass has another source."""
        file = folder / cls.facts.split_file
        if not file.is_file():
            stem = cls.facts.stem
            raise FileNotFoundError(
                f"{stem}: there is no split file {file}. Get the published one: python -m datasets prepare {stem} "
                f"(or make one of your own, not comparable with published numbers: python -m datasets split {stem})"
            )
        return read_split(file)

    def list_sources(self) -> list[Source] | None:
        """What the lists are read from, so that a repeated command can see that it is unchanged; None: not known.

        A dataset that reads its lists in a way of its own says here from where, or is read anew each time.
        """
        kin = type(self).__mro__
        for each in kin[: kin.index(Benchmark)]:
            if not self.facts.split_file or not vars(each).keys().isdisjoint(_READERS):
                return None
        return [Source("content", "root", f"{self.facts.folder}/{self.facts.split_file}")]

    @classmethod
    def make_split(cls, folder: Path, rng: random.Random) -> Split:
        """Make a split of one's own from the raw files in `folder`; `python -m datasets split` calls it.

        Args:
            folder: the dataset's folder.
            rng: the generator that shuffles. The run's own random state is not touched.
        """
        raise ValueError(f"{cls.facts.stem} has no split file: its lists are read from the files it comes with")

    @classmethod
    def needs(cls, download: Download, folder: Path) -> bool:
        """Whether `prepare` must still get `download`: yes, unless everything that it brings is there."""
        places = [place for _, place in download.moves]
        if "." in places:
            places = list(cls.facts.needed_folders)
        return not all((folder / place).exists() for place in places)

    @classmethod
    def arrange(cls, folder: Path) -> None:
        """What `prepare` does after all downloads are in place; nothing, for most datasets."""

    @classmethod
    def mistakes(cls, folder: Path) -> list[Finding]:
        """Mistakes in `folder` that only this dataset knows; `check` reports them."""
        return []

    def chosen_lists(
        self, folder: Path, shots: int, seed: int, subsample: str
    ) -> tuple[Sequence[Item], Sequence[Item] | None, Sequence[Item]]:
        """Full lists → few-shot → base/new. Test is never reduced by few-shot sampling."""
        split = self.full_lists(folder)
        if shots >= 1:
            key = f"{type(self).__name__}-{split_digest(split)}"
            sampler = self.generate_fewshot_dataset
            train, val = cached_fewshot(sampler, key, lambda: (split.train, split.val), shots, seed, known=split)
            self.fewshot_digest = paths_digest(train)
            split = Split(train, val, split.test)
        return tuple(select_classes(subsample, *split))  # type: ignore[return-value]


def checked_template(template: str) -> str:
    """`template` itself; ValueError unless it has one {} and no other braces."""
    if template.count("{}") != 1 or template.count("{") + template.count("}") != 2:
        raise ValueError(
            f"DATASET.TEMPLATE is {template!r}: expected one {{}} where the class name goes, as in {GENERAL_TEMPLATE!r}"
        )
    return template


def required_file(stem: str, *candidates: Path, raw: bool = False) -> Path:
    """The first of the `candidates` that exists.

    Args:
        stem: the dataset, for the message.
        candidates: places where the file may lie.
        raw: whether it is one of the files that only making a split needs.

    Raises:
        FileNotFoundError: none exists; says how to get it.
    """
    for file in candidates:
        if file.is_file():
            return file
    command = f"python -m datasets prepare {stem}{' --raw' if raw else ''}"
    raise FileNotFoundError(f"{stem}: there is no file {candidates[0]}; run: {command}")


def to_datums(items: Sequence[Item], images: str) -> list[Datum]:
    """Items with paths relative to `images`, or absolute → the engine's data points, domain 0."""
    return [Datum(os.path.join(images, item.path), label=item.label, classname=item.classname) for item in items]
