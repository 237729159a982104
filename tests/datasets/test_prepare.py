"""`prepare` from end to end, against a server on this machine, for the shape of every dataset."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from dassl.data.datasets import DATASET_REGISTRY
from datasets.facts import Counts
from datasets.manage import classnames as classnames_module
from datasets.manage.cli import main
from datasets.manage.prepare import copy_whole

from .archives import files_under, zip_of
from .conftest import Load
from .miniatures import ALL, TEST_ONLY, WITH_SPLIT, WNIDS, Expected, imagenet_sketch, oxford_pets, write_images
from .served import imagenet_archives, serve
from .server import Page, Server
from .test_layouts import by_stem

DOWNLOADABLE = [case for case in ALL if case.name != "ImageNet"]
EUROSAT = next(case for case in ALL if case.name == "EuroSAT")


def prepare(case: Expected, root: Path, *options: str) -> int:
    return main(["prepare", case.stem, "--root", str(root), *options])


def leftovers(root: Path) -> list[str]:
    return [path.name for path in root.rglob(".*")]


@pytest.mark.parametrize("case", DOWNLOADABLE, ids=by_stem)
def test_good_archives(
    case: Expected, server: Server, root: Path, tmp_path: Path, load: Load, monkeypatch: Any
) -> None:
    serve(case, server, tmp_path / "source", monkeypatch)
    assert prepare(case, root) == 0
    assert load(case.name).classnames == case.classnames
    assert leftovers(root) == []
    requests = sum(len(page.requests) for page in server.pages.values())
    # what is there is not fetched again
    assert prepare(case, root) == 0
    assert sum(len(page.requests) for page in server.pages.values()) == requests


@pytest.mark.parametrize("case", WITH_SPLIT, ids=by_stem)
def test_raw_files_make_a_split(case: Expected, server: Server, root: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """With --raw, `split` has what it needs and makes the same split as beside the original files."""
    serve(case, server, tmp_path / "source", monkeypatch)
    assert prepare(case, root, "--raw") == 0
    file = root / case.folder / f"split_zhou_{case.name}.json"
    before = file.read_bytes()
    assert main(["split", case.stem, "--root", str(root)]) == 2
    assert main(["split", case.stem, "--root", str(root), "--force"]) == 0
    assert file.read_bytes() == before
    assert main(["split", case.stem, "--root", str(root), "--force", "--seed", "1"]) == 0
    assert file.read_bytes() != before


@pytest.mark.parametrize("case", [EUROSAT, ALL[0]], ids=by_stem)
def test_interrupted_download(
    case: Expected, server: Server, root: Path, tmp_path: Path, pauses: list[float], monkeypatch: Any
) -> None:
    padding = random.Random(0).randbytes(1 << 17)
    serve(case, server, tmp_path / "source", monkeypatch, padding)
    page = server.pages[f"/{DATASET_REGISTRY.get(case.name).facts.downloads[0].file}"]
    page.cuts.append(1 << 16)
    assert prepare(case, root) == 0
    assert page.requests == ["", f"bytes={1 << 16}-"]


def spoil(server: Server, path: str, content: bytes) -> None:
    server.pages[path] = Page(content)


@pytest.mark.parametrize("content", [b"damaged", b"<!DOCTYPE html><title>Quota exceeded</title>"])
def test_wrong_content(
    content: bytes, server: Server, root: Path, tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture
) -> None:
    serve(EUROSAT, server, tmp_path / "source", monkeypatch)
    spoil(server, "/EuroSAT.zip", content)
    assert prepare(EUROSAT, root) == 2
    said = capsys.readouterr().err
    assert "EuroSAT.zip could not be downloaded" in said
    assert ("wrong checksum" in said) != ("is a web page" in said)
    assert not (root / "eurosat" / "2750").exists()
    assert not (root / "eurosat" / ".downloads" / "EuroSAT.zip").exists()


def test_first_source_dead_second_good(server: Server, root: Path, tmp_path: Path, monkeypatch: Any) -> None:
    serve(EUROSAT, server, tmp_path / "source", monkeypatch)
    cls = DATASET_REGISTRY.get("EuroSAT")
    downloads = tuple(dataclasses.replace(item, urls=(server.url("/gone"), *item.urls)) for item in cls.facts.downloads)
    monkeypatch.setattr(cls, "facts", dataclasses.replace(cls.facts, downloads=downloads))
    assert prepare(EUROSAT, root) == 0


def test_disk_too_small(
    server: Server, root: Path, tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture
) -> None:
    """Said before anything is downloaded."""
    serve(EUROSAT, server, tmp_path / "source", monkeypatch)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10, 0, 10))
    assert prepare(EUROSAT, root) == 2
    assert f"The disk of {root}/eurosat has 0.0 GB free" in capsys.readouterr().err
    assert all(page.requests == [] for page in server.pages.values())


def test_traversal_in_the_archive(
    server: Server, root: Path, tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture
) -> None:
    serve(EUROSAT, server, tmp_path / "source", monkeypatch)
    evil = zip_of({"2750/Forest/1.jpg": b"x", "../../../evil.txt": b"x"})
    spoil(server, "/EuroSAT.zip", evil)
    cls = DATASET_REGISTRY.get("EuroSAT")
    first = dataclasses.replace(cls.facts.downloads[0], md5=hashlib.md5(evil).hexdigest(), sha256="")
    monkeypatch.setattr(cls, "facts", dataclasses.replace(cls.facts, downloads=(first, *cls.facts.downloads[1:])))
    assert prepare(EUROSAT, root) == 2
    assert "'../../../evil.txt' would be written outside the target folder" in capsys.readouterr().err
    assert not list(tmp_path.rglob("evil.txt")) and not (root / "eurosat" / "2750").exists()


def test_archive_of_something_else(
    server: Server, root: Path, tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture
) -> None:
    serve(EUROSAT, server, tmp_path / "source", monkeypatch)
    other = zip_of({"EuroSAT_RGB/Forest/1.jpg": b"x"})
    (root / "eurosat").mkdir()
    (root / "eurosat" / "EuroSAT.zip").write_bytes(other)
    assert prepare(EUROSAT, root) == 2
    assert "wrong checksum" in capsys.readouterr().err


def test_archive_at_hand_is_used_and_kept(server: Server, root: Path, tmp_path: Path, monkeypatch: Any) -> None:
    serve(EUROSAT, server, tmp_path / "source", monkeypatch)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "EuroSAT.zip").write_bytes(server.pages.pop("/EuroSAT.zip").content)
    assert prepare(EUROSAT, root, "--archives", str(tmp_path / "mine")) == 0
    assert (tmp_path / "mine" / "EuroSAT.zip").exists()


def test_keep_and_force(server: Server, root: Path, tmp_path: Path, monkeypatch: Any) -> None:
    serve(EUROSAT, server, tmp_path / "source", monkeypatch)
    assert prepare(EUROSAT, root, "--keep") == 0
    assert (root / "eurosat" / ".downloads" / "EuroSAT.zip").is_file()
    image = next((root / "eurosat" / "2750").rglob("*.jpg"))
    image.unlink()
    assert main(["check", "eurosat", "--root", str(root)]) == 1
    assert prepare(EUROSAT, root, "--force") == 0
    assert image.is_file()


def test_repackaged_dataset_when_its_own_sources_are_gone(
    server: Server, root: Path, tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture
) -> None:
    """StanfordCars: the server is gone; the copy has its folders twice, as repackaged archives do."""
    case = next(case for case in WITH_SPLIT if case.name == "StanfordCars")
    cls = DATASET_REGISTRY.get(case.name)
    fallback = cls.facts.fallback
    serve(case, server, tmp_path / "source", monkeypatch)
    source = tmp_path / "source" / "stanford_cars"
    files = {
        **files_under(source / "cars_train", "stanford_cars/cars_train/cars_train"),
        **files_under(source / "cars_test", "stanford_cars/cars_test"),
    }
    copy = dataclasses.replace(fallback, urls=(server.add("/copy.zip", zip_of(files)),), size=0)
    monkeypatch.setattr(cls, "facts", dataclasses.replace(cls.facts, fallback=copy))
    del server.pages["/cars_train.tgz"], server.pages["/cars_test.tgz"]
    assert prepare(case, root) == 0
    assert "trying the repackaged dataset stanford_cars.zip" in capsys.readouterr().out
    assert (root / "stanford_cars" / "cars_train" / "00001.jpg").is_file()
    # brought by hand, it is used without asking any server for the images
    shutil.rmtree(root / "stanford_cars")
    del server.pages["/copy.zip"]
    write_images(root / "stanford_cars", [])
    (root / "stanford_cars").mkdir()
    (root / "stanford_cars" / "stanford_cars.zip").write_bytes(zip_of(files))
    assert prepare(case, root) == 0


def test_split_file_from_the_repackaged_copy(server: Server, root: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """Every source of its own is closed: the copy gives the images, and the split file, which is checked."""
    cls = DATASET_REGISTRY.get("EuroSAT")
    fallback = cls.facts.fallback
    serve(EUROSAT, server, tmp_path / "source", monkeypatch)
    content = zip_of(files_under(tmp_path / "source" / "eurosat", "eurosat"))
    server.pages.clear()
    copy = dataclasses.replace(fallback, urls=(server.add("/copy.zip", content),), size=0)
    monkeypatch.setattr(cls, "facts", dataclasses.replace(cls.facts, fallback=copy))
    assert prepare(EUROSAT, root) == 0
    assert leftovers(root) == []


def test_refused_archive_is_not_kept(server: Server, root: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """A download that cannot be unpacked does not stand in the way of the next attempt."""
    cls = DATASET_REGISTRY.get("EuroSAT")
    serve(EUROSAT, server, tmp_path / "source", monkeypatch)
    good = server.pages["/EuroSAT.zip"]
    first = dataclasses.replace(cls.facts.downloads[0], md5="", sha256="")
    monkeypatch.setattr(cls, "facts", dataclasses.replace(cls.facts, downloads=(first, *cls.facts.downloads[1:])))
    server.pages["/EuroSAT.zip"] = Page(zip_of({"EuroSAT_RGB/Forest/1.jpg": b"x"}))
    assert prepare(EUROSAT, root) == 2
    server.pages["/EuroSAT.zip"] = good
    assert prepare(EUROSAT, root) == 0


def test_two_at_once(server: Server, root: Path, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    """A second process is told; what a killed one left is cleared away."""
    serve(EUROSAT, server, tmp_path / "source", monkeypatch)
    (root / "eurosat" / ".unpacking-killed" / "2750").mkdir(parents=True)
    held = "import sys; from dassl.utils import lock_output_dir; lock_output_dir(sys.argv[1]); print(1); input()"
    folder = str(root / "eurosat" / ".downloads")
    other = subprocess.Popen([sys.executable, "-c", held, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with other:
        assert other.stdout is not None and other.stdout.readline()
        assert prepare(EUROSAT, root) == 2
        other.communicate(b"\n")
    assert "another process is preparing" in capsys.readouterr().err
    assert prepare(EUROSAT, root) == 0
    assert leftovers(root) == []


def test_repackaged_copy_of_the_same_name(server: Server, root: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """Caltech101: the user's own caltech-101.zip is the original, not the copy of that name."""
    case = ALL[0]
    cls = DATASET_REGISTRY.get(case.name)
    fallback = cls.facts.fallback
    serve(case, server, tmp_path / "source", monkeypatch)
    assert fallback.file == cls.facts.downloads[0].file
    monkeypatch.setattr(cls, "facts", dataclasses.replace(cls.facts, fallback=fallback))
    (root / "caltech-101.zip").write_bytes(server.pages.pop("/caltech-101.zip").content)
    assert prepare(case, root) == 0


def test_no_source_left_says_what_to_do_by_hand(
    server: Server, root: Path, tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture
) -> None:
    case = next(case for case in WITH_SPLIT if case.name == "StanfordCars")
    serve(case, server, tmp_path / "source", monkeypatch)
    server.pages.clear()
    assert prepare(case, root) == 2
    assert "kaggle.com/datasets/rickyyyyyyy/torchvision-stanford-cars" in capsys.readouterr().err


def test_one_failure_does_not_stop_the_others(server: Server, root: Path, tmp_path: Path, monkeypatch: Any) -> None:
    dtd = next(case for case in WITH_SPLIT if case.stem == "dtd")
    serve(EUROSAT, server, tmp_path / "source", monkeypatch)
    serve(dtd, server, tmp_path / "source", monkeypatch)
    del server.pages["/EuroSAT.zip"]
    assert main(["prepare", "eurosat", "dtd", "--root", str(root)]) == 2
    assert main(["check", "dtd", "--root", str(root)]) == 0


def login_imagenet(server: Server, folder: Path, monkeypatch: Any) -> dict[str, bytes]:
    archives = imagenet_archives(folder / "source")
    cls = DATASET_REGISTRY.get("ImageNet")
    names = (folder / "source" / "classnames.txt").read_bytes()

    def patched(item: Any) -> Any:
        if item.file == "classnames.txt":
            return dataclasses.replace(item, urls=(server.add("/classnames.txt", names),))
        content = archives[item.file]
        return dataclasses.replace(item, size=len(content), md5=hashlib.md5(content).hexdigest(), sha256="")

    downloads = tuple(patched(item) for item in cls.facts.downloads)
    facts = dataclasses.replace(cls.facts, downloads=downloads, counts=Counts(3, 30, 12, 12))
    monkeypatch.setattr(cls, "facts", facts)
    monkeypatch.setattr("datasets.wordnet.N_CLASSNAMES", 3)
    return archives


IMAGENET = next(case for case in ALL if case.name == "ImageNet")


def test_imagenet_says_what_to_download(
    server: Server, root: Path, tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture
) -> None:
    login_imagenet(server, tmp_path, monkeypatch)
    assert prepare(IMAGENET, root) == 2
    said = capsys.readouterr().err
    for text in (
        "image-net.org",
        '"Training images (Task 1 & 2)"',
        '"Validation images (all tasks)"',
        "Development kit",
    ):
        assert text in said


def test_imagenet_from_its_archives(server: Server, root: Path, tmp_path: Path, load: Load, monkeypatch: Any) -> None:
    """Tars inside a tar become class folders; flat validation images are sorted by the development kit."""
    archives = login_imagenet(server, tmp_path, monkeypatch)
    (root / "imagenet").mkdir()
    for name, content in archives.items():
        (root / "imagenet" / name).write_bytes(content)
    assert prepare(IMAGENET, root) == 0
    dataset = load("ImageNet")
    assert (len(dataset.train_x), len(dataset.test)) == (30, 12)
    source = tmp_path / "source" / "images" / "val"
    placed = root / "imagenet" / "images" / "val"
    assert sorted(p.relative_to(placed) for p in placed.rglob("*.JPEG")) == sorted(
        p.relative_to(source) for p in source.rglob("*.JPEG")
    )


def test_imagenet_flat_validation_images_in_place(server: Server, root: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """Unpacked by the user and partly sorted: the rest is sorted."""
    archives = login_imagenet(server, tmp_path, monkeypatch)
    shutil.copytree(tmp_path / "source" / "images", root / "imagenet" / "images")
    for file in sorted((root / "imagenet" / "images" / "val").rglob("*.JPEG"))[:7]:
        file.rename(root / "imagenet" / "images" / "val" / file.name)
    (root / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(archives["ILSVRC2012_devkit_t12.tar.gz"])
    assert prepare(IMAGENET, root) == 0


def test_class_names_are_copied_from_another_dataset(
    server: Server, root: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    case = next(case for case in TEST_ONLY if case.name == "ImageNetA")
    serve(case, server, tmp_path / "source", monkeypatch)
    del server.pages["/classnames.txt"]
    imagenet_sketch(root / "imagenet-sketch")
    assert prepare(case, root) == 0
    assert (root / "imagenet-adversarial/classnames.txt").read_text().startswith("n01440764 tench\n")


def notebook(server: Server, monkeypatch: Any, names: list[str]) -> None:
    cells = [{"source": ["print(1)"]}, {"source": ["imagenet_classes = [", json.dumps(names)[1:]]}]
    url = server.add("/notebook", json.dumps({"cells": cells}).encode())
    monkeypatch.setattr(classnames_module, "NOTEBOOK", dataclasses.replace(classnames_module.NOTEBOOK, urls=(url,)))
    monkeypatch.setattr(classnames_module, "N_CLASSNAMES", 3)


def test_class_names_are_rebuilt(server: Server, root: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """Drive gives nothing: sorted class folders and the names that CLIP's authors published give the same file."""
    case = next(case for case in TEST_ONLY if case.name == "ImageNetSketch")
    serve(case, server, tmp_path / "source", monkeypatch)
    del server.pages["/classnames.txt"]
    notebook(server, monkeypatch, list(WNIDS.values()))
    assert prepare(case, root) == 0
    lines = (root / "imagenet-sketch/classnames.txt").read_text().splitlines()
    assert lines == ["n01440764 tench", "n01443537 goldfish", "n01484850 great white shark"]


def test_class_names_that_cannot_be_rebuilt(
    server: Server, root: Path, tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture
) -> None:
    case = next(case for case in TEST_ONLY if case.name == "ImageNetA")
    serve(case, server, tmp_path / "source", monkeypatch)
    del server.pages["/classnames.txt"]
    assert prepare(case, root) == 2
    assert "once imagenet or imagenet_sketch is in place" in capsys.readouterr().err


def test_notebook_with_another_number_of_names(server: Server, root: Path, tmp_path: Path, monkeypatch: Any) -> None:
    case = next(case for case in TEST_ONLY if case.name == "ImageNetSketch")
    serve(case, server, tmp_path / "source", monkeypatch)
    del server.pages["/classnames.txt"]
    notebook(server, monkeypatch, ["tench"])
    assert prepare(case, root) == 2
    assert not (root / "imagenet-sketch/classnames.txt").exists()


def test_packaged_digits(root: Path) -> None:
    assert main(["prepare", "digits", "--root", str(root)]) == 0


def test_pets_annotations_alone(root: Path, capsys: pytest.CaptureFixture) -> None:
    """`split` without its raw files says how to get them."""
    oxford_pets(root / "oxford_pets")
    shutil.rmtree(root / "oxford_pets" / "annotations")
    assert main(["split", "oxford_pets", "--root", str(root)]) == 2
    assert "run: python -m datasets prepare oxford_pets --raw" in capsys.readouterr().err


def test_full_disk_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match=r"^cannot write .*/split\.json: No space left on device; nothing was written"):
        copy_whole(tmp_path / "x", tmp_path / "split.json")
    assert list(tmp_path.iterdir()) == []
