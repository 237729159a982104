"""A miniature dataset behind a web server: its archives in the shape in which they are published."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from dassl.data.datasets import DATASET_REGISTRY
from datasets.facts import Counts, Download
from datasets.manage.cli import main

from .archives import files_under, tar_of, zip_of
from .miniatures import WITH_SPLIT, Expected, imagenet
from .server import Server


def archive_of(download: Download, source: Path, padding: bytes) -> bytes:
    """The bytes of a download, made from a dataset folder in place."""
    if download.kind == "file":
        return (source / download.moves[0][1]).read_bytes()
    files: dict[str, bytes] = {}
    for name, place in download.moves:
        found = source / place
        if place == ".":
            found = source
        if found.exists():
            files |= files_under(found, "" if name == "." else name)
    if padding:
        files["padding.bin"] = padding
    if download.nested:
        inner = tar_of(files)
        return zip_of({f"caltech-101/{download.nested}": inner, "__MACOSX/caltech-101/._x": b""})
    if download.file.endswith(".zip"):
        return zip_of(files)
    return tar_of(files, "w" if download.file.endswith(".tar") else "w:gz")


def serve(
    case: Expected, server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch, padding: bytes = b""
) -> dict[str, Download]:
    """Build a miniature aside, serve its downloads, and point the dataset's facts there.

    Args:
        case: the miniature.
        server: the server.
        folder: a folder to build in.
        padding: a further file for every archive, to make it larger.

    Returns:
        File name → the download as patched.
    """
    source = folder / case.folder
    case.build(source)
    if case in WITH_SPLIT:
        assert main(["split", case.stem, "--root", str(folder)]) == 0
    cls = DATASET_REGISTRY.get(case.name)

    def patched(download: Download) -> Download:
        content = archive_of(download, source, padding)
        url = server.add(f"/{download.file}", content)
        sums = {"md5": hashlib.md5(content).hexdigest(), "sha256": hashlib.sha256(content).hexdigest(), "git_blob": ""}
        urls = (url,) if download.urls else ()
        return dataclasses.replace(download, urls=urls, size=len(content), **sums)

    train, val, test = case.counts
    facts = dataclasses.replace(
        cls.facts,
        downloads=tuple(patched(download) for download in cls.facts.downloads if download.urls),
        raw=tuple(patched(download) for download in cls.facts.raw),
        fallback=None,
        counts=Counts(len(case.classnames), train, val, test),
    )
    monkeypatch.setattr(cls, "facts", facts)
    monkeypatch.setattr("datasets.wordnet.N_CLASSNAMES", len((source / "classnames.txt").read_text().splitlines())
                        if (source / "classnames.txt").exists() else 1000)  # fmt: skip
    return {download.file: download for download in (*facts.downloads, *facts.raw)}


def imagenet_archives(folder: Path) -> dict[str, bytes]:
    """ImageNet's three archives as its site gives them: tars in a tar, flat validation images, the development kit."""
    import numpy as np
    from scipy.io import savemat

    imagenet(folder)
    images = folder / "images"
    train = {f"{wnid.name}.tar": tar_of(files_under(wnid, ""), "w") for wnid in sorted((images / "train").iterdir())}
    val = {path.name: path.read_bytes() for path in sorted((images / "val").rglob("*.JPEG"))}
    # ids are in an order of their own; the last synset is an inner node
    wnids = ["n01484850", "n01440764", "n01443537", "n00001740"]
    synsets = np.zeros((4, 1), dtype=[("ILSVRC2012_ID", object), ("WNID", object), ("num_children", object)])
    for i, wnid in enumerate(wnids):
        synsets[i, 0] = (i + 1, wnid, 3 if i == 3 else 0)
    savemat(folder / "meta.mat", {"synsets": synsets})
    numbers = {path.name: wnids.index(path.parent.name) + 1 for path in (images / "val").rglob("*.JPEG")}
    truth = "".join(f"{numbers[name]}\n" for name in sorted(numbers))
    kit = {
        "ILSVRC2012_devkit_t12/data/meta.mat": (folder / "meta.mat").read_bytes(),
        "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt": truth.encode(),
    }
    return {
        "ILSVRC2012_img_train.tar": tar_of(train, "w"),
        "ILSVRC2012_img_val.tar": tar_of(val, "w"),
        "ILSVRC2012_devkit_t12.tar.gz": tar_of(kit),
    }
