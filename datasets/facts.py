"""The facts that a dataset's file states about itself: where it lies, where it comes from, how large it is.

One record per dataset, in the dataset's own file. `python -m datasets list|check|prepare` and the test of
docs/datasets.md all read this record, so that no fact stands twice.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Download:
    """One file to fetch, and what to do with it.

    Args:
        file: name of the file on disk (also recognised when the user has put it there himself).
        urls: places that serve it, tried in this order; "gdrive:<id>" is a Google Drive file.
        size: bytes to download, as far as known (0: unknown); used for the disk space check.
        md5, sha256, git_blob: hex digests; every one that is given is checked before the file is used.
        kind: "archive" is unpacked, "file" is put into place as it is.
        moves: (path inside the archive, path in the dataset folder) pairs. "." as the first part is the archive's
            whole content. For kind "file": the one pair's second part is the file's place.
        nested: name of an archive inside this archive that holds the images (unpacked in a second step).
        unpacked: bytes on disk once unpacked, as far as known (0: taken as about the download's size).
        login: how to get the file when it cannot be fetched without an account ("" when it can).
        required: paths in the dataset folder; the download is not needed when all of them are there.
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
    unpacked: int = 0
    login: str = ""
    required: tuple[str, ...] = ()


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
        images: the images' folder, relative to `folder`; split paths start there ("." for `folder` itself).
        split_file: name of the split JSON in `folder`, "" where the lists come from somewhere else.
        counts: the full numbers.
        page: address of the home page, with the terms of use.
        licence: the terms in a few words.
        downloads: what `prepare` fetches, in order.
        image_folders: folders (relative to `folder`) that must exist; default (`images`,).
        notes: one or two sentences for docs and `list`, "" if there is nothing to say.
    """

    stem: str
    folder: str
    images: str
    counts: Counts
    page: str
    licence: str
    split_file: str = ""
    downloads: tuple[Download, ...] = ()
    image_folders: tuple[str, ...] = ()
    notes: str = ""

    @property
    def needed_folders(self) -> tuple[str, ...]:
        """Folders, relative to `folder`, without which the dataset is not there."""
        return self.image_folders or (self.images,)

    @property
    def download_size(self) -> int:
        """Bytes to download, as far as the parts' sizes are known."""
        return sum(item.size for item in self.downloads)
