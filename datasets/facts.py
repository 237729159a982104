"""The facts that a dataset's file states about itself: where it lies, where it comes from, how large it is.

One record per dataset, in the dataset's own file. `python -m datasets list|check|prepare` and docs/datasets.md are
all made from this record, so that no fact stands twice.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Download:
    """One file to fetch, and what to do with it.

    Args:
        file: name of the file on disk (also recognised when the user has put it there himself).
        urls: places that serve it, tried in this order; "gdrive:<id>" is a Google Drive file.
        size: bytes to download, as far as known (0: unknown); for the disk space check and the list.
        md5, sha256, git_blob: hex digests; every one that is given is checked before the file is used.
        kind: "archive" is unpacked, "file" is put into place as it is.
        moves: (path inside the archive, place in the dataset's folder) pairs. The path is looked for at any depth,
            shallowest first, so that an archive with one folder more around it is no trouble.
        nested: name of an archive inside this archive that holds the images.
        login: how to get the file when it cannot be fetched without an account ("" when it can).
    """

    file: str
    urls: tuple[str, ...] = ()
    size: int = 0
    md5: str = ""
    sha256: str = ""
    git_blob: str = ""
    kind: str = "archive"
    moves: tuple[tuple[str, str], ...] = ()
    nested: str = ""
    login: str = ""


@dataclass(frozen=True)
class Finding:
    """Something wrong with a dataset on disk, and what to do about it."""

    problem: str
    fix: str


@dataclass(frozen=True)
class Counts:
    """Numbers of the whole dataset, all classes and all shots. `val` is None where there is no validation part."""

    classes: int
    train: int
    val: int | None
    test: int


@dataclass(frozen=True)
class Facts:
    """What a dataset's file says of itself.

    Args:
        stem: name of configs/datasets/<stem>.yaml, and of the dataset in scripts and result folders.
        folder: the dataset's folder under the data root.
        images: the images' folder, relative to `folder`; item paths start there ("." for `folder` itself).
        counts: the full numbers.
        page: address of the home page, with the terms of use.
        licence: the terms in a few words.
        split_file: name of the split JSON in `folder`, "" where the lists come from somewhere else.
        downloads: what `prepare` fetches, in order.
        fallback: the whole dataset repackaged by a third party, used when a download cannot be had.
        raw: downloads needed only to make a split of one's own (`python -m datasets split`).
        image_folders: folders (relative to `folder`) that must exist; default (`images`,).
        notes: what is peculiar, in a sentence or two; "" if nothing is.
    """

    stem: str
    folder: str
    images: str
    counts: Counts
    page: str
    licence: str
    split_file: str = ""
    downloads: tuple[Download, ...] = ()
    fallback: Download | None = None
    raw: tuple[Download, ...] = ()
    image_folders: tuple[str, ...] = ()
    notes: str = ""

    @property
    def needed_folders(self) -> tuple[str, ...]:
        """Folders, relative to `folder`, without which the dataset is not there."""
        return self.image_folders or (self.images,)

    @property
    def download_size(self) -> int:
        """Bytes to download; 0 where the size of a part is not known."""
        sizes = [item.size for item in self.downloads]
        return sum(sizes) if all(sizes) else 0
