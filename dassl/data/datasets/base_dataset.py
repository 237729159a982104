"""Items and the base class of all datasets."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from dassl.utils.archive import extract_archive
from dassl.utils.tools import download_url


class Datum:
    """One image: where it lies and what it shows. It is not opened and not looked for until it is read.

    Args:
        impath: path of the image file.
        label: class index, from 0.
        domain: domain index, from 0.
        classname: the class' name.
    """

    def __init__(self, impath: str = "", label: int = 0, domain: int = 0, classname: str = "") -> None:
        if not isinstance(impath, (str, os.PathLike)):
            raise TypeError(f"impath must be a path, found {impath!r}")
        self._impath = os.fspath(impath)
        self._label = label
        self._domain = domain
        self._classname = classname

    @property
    def impath(self) -> str:
        """Path of the image file."""
        return self._impath

    @property
    def label(self) -> int:
        """Class index."""
        return self._label

    @property
    def domain(self) -> int:
        """Domain index."""
        return self._domain

    @property
    def classname(self) -> str:
        """The class' name."""
        return self._classname

    def __repr__(self) -> str:
        return f"Datum({self._impath!r}, {self._label}, {self._domain}, {self._classname!r})"


class DatasetBase:
    """Lists of items by split, and the classes that the training split defines.

    Subclasses set `dataset_dir` (folder name below the data root) and, where there are domains, `domains`.

    Args:
        train_x: labelled training items. Labels are 0, 1, ..., without a gap.
        train_u: unlabelled training items, or None.
        val: validation items, or None.
        test: test items.

    Raises:
        ValueError: a class has no training item, or one label has two names.
    """

    dataset_dir: str = ""
    domains: Sequence[str] = ()
    #: What results on it are called, in records and tables; empty: its registered name.
    title: str = ""
    #: Turn images as their EXIF orientation says; published benchmarks are read as they are stored.
    upright: bool = False

    def __init__(
        self,
        train_x: list[Datum] | None = None,
        train_u: list[Datum] | None = None,
        val: list[Datum] | None = None,
        test: list[Datum] | None = None,
    ) -> None:
        self._train_x = train_x
        self._train_u = train_u
        self._val = val
        self._test = test
        self._num_classes = self.get_num_classes(train_x or [])
        self._lab2cname, self._classnames = self.get_lab2cname(train_x or [])
        gap = sorted(set(range(self._num_classes)) - set(self._lab2cname))
        if gap:
            shown = ", ".join(map(str, gap[:5])) + (", ..." if len(gap) > 5 else "")
            raise ValueError(
                f"dataset {type(self).__name__}: no training image for label {shown} although labels go up to "
                f"{self._num_classes - 1}; every class needs at least one"
            )

    @property
    def train_x(self) -> Any:
        """Labelled training items."""
        return self._train_x

    @property
    def train_u(self) -> Any:
        """Unlabelled training items, or None."""
        return self._train_u

    @property
    def val(self) -> Any:
        """Validation items, or None."""
        return self._val

    @property
    def test(self) -> Any:
        """Test items."""
        return self._test

    @property
    def lab2cname(self) -> dict[int, str]:
        """Label to class name."""
        return self._lab2cname

    @property
    def classnames(self) -> list[str]:
        """Class names in the order of their labels."""
        return self._classnames

    @property
    def num_classes(self) -> int:
        """Largest training label plus one."""
        return self._num_classes

    @staticmethod
    def get_num_classes(data_source: list[Datum]) -> int:
        """Largest label of a list plus one; 0 for an empty list."""
        return max((item.label for item in data_source), default=-1) + 1

    @staticmethod
    def get_lab2cname(data_source: list[Datum]) -> tuple[dict[int, str], list[str]]:
        """Names by label, and in the order of labels.

        Raises:
            ValueError: one label has two names.
        """
        names: dict[int, str] = {}
        for item in data_source:
            if names.setdefault(item.label, item.classname) != item.classname:
                raise ValueError(
                    f"label {item.label} has two class names, {names[item.label]!r} and {item.classname!r} "
                    f"(at {item.impath})"
                )
        labels = sorted(names)
        return {label: names[label] for label in labels}, [names[label] for label in labels]

    def check_input_domains(self, source_domains: Sequence[str], target_domains: Sequence[str]) -> None:
        """Refuse domains that this dataset does not have.

        Raises:
            ValueError: there are no source or no target domains, or one of them is unknown.
        """
        for kind, chosen in (("SOURCE_DOMAINS", source_domains), ("TARGET_DOMAINS", target_domains)):
            if not chosen:
                raise ValueError(f"DATASET.{kind} is empty; choose from {list(self.domains)}")
            self.is_input_domain_valid(chosen)

    def is_input_domain_valid(self, input_domains: Sequence[str]) -> None:
        """Refuse a domain that is not among `domains`."""
        for domain in input_domains:
            if domain not in self.domains:
                raise ValueError(f"there is no domain {domain!r}; choose from {list(self.domains)}")

    def download_data(self, url: str, dst: str, from_gdrive: bool = True) -> None:
        """Download an archive and unpack it in the folder where it lies.

        Args:
            url: the address.
            dst: the archive's file name; its folder receives the content.
            from_gdrive: `url` is on Google Drive (needs the package gdown).

        Raises:
            RuntimeError: the download failed.
            ValueError: what came is no archive, or holds a member that would leave the folder.
        """
        os.makedirs(os.path.dirname(dst) or ".", exist_ok=True)
        download_url(url, dst, from_gdrive=from_gdrive)
        print(f"Extracting {dst}")
        extract_archive(dst, os.path.dirname(dst) or ".")

    def generate_fewshot_dataset(self, *data_sources: list[Datum], num_shots: int = -1, repeat: bool = False) -> Any:
        """Sample `num_shots` items of each class.

        Classes are visited in the order of their first appearance; a class with fewer items is taken whole (or drawn
        with replacement when `repeat`). The draws come from Python's global `random`: that is what the published
        few-shot protocol does, and what makes "seed 1" the same images everywhere.

        Args:
            data_sources: one or more lists; each is sampled by itself, in turn.
            num_shots: items per class; below 1 the lists are returned as they are.
            repeat: draw with replacement where a class has too few items.

        Returns:
            The sampled list; with several sources a list of lists.
        """
        if num_shots < 1:
            return data_sources[0] if len(data_sources) == 1 else data_sources
        print(f"Creating a {num_shots}-shot dataset")
        sampled = []
        for source in data_sources:
            chosen: list[Datum] = []
            for items in self.split_dataset_by_label(source).values():
                if len(items) >= num_shots:
                    chosen += random.sample(items, num_shots)  # global generator: the protocol
                elif repeat:
                    chosen += random.choices(items, k=num_shots)  # likewise
                else:
                    chosen += items
            sampled.append(chosen)
        return sampled[0] if len(sampled) == 1 else sampled

    def split_dataset_by_label(self, data_source: list[Datum]) -> dict[int, list[Datum]]:
        """Items by label, labels in the order of their first appearance."""
        groups: dict[int, list[Datum]] = defaultdict(list)
        for item in data_source:
            groups[item.label].append(item)
        return groups

    def split_dataset_by_domain(self, data_source: list[Datum]) -> dict[int, list[Datum]]:
        """Items by domain, domains in the order of their first appearance."""
        groups: dict[int, list[Datum]] = defaultdict(list)
        for item in data_source:
            groups[item.domain].append(item)
        return groups
