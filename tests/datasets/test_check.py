"""`check` tells each of the usual mistakes, and the fix."""

from __future__ import annotations

import dataclasses
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dassl.data.datasets import DATASET_REGISTRY
from datasets.facts import Counts
from datasets.manage.cli import main
from datasets.splits import read_split, write_split

from .conftest import Load
from .miniatures import ALL, WNIDS, Expected, classnames, write_lines
from .test_layouts import by_stem, place

CASES = {case.stem: case for case in ALL}


@pytest.fixture
def ready(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Build a miniature whose counts the code expects; returns its folder."""

    def build(stem: str) -> Path:
        case = CASES[stem]
        folder = place(case, root)
        cls = DATASET_REGISTRY.get(case.name)
        counts = Counts(len(case.classnames), *case.counts)
        monkeypatch.setattr(cls, "facts", dataclasses.replace(cls.facts, counts=counts))
        names = folder / "classnames.txt"
        if names.exists():
            monkeypatch.setattr("datasets.wordnet.N_CLASSNAMES", len(names.read_text().splitlines()))
        return folder

    return build


@pytest.fixture
def check(root: Path, capsys: pytest.CaptureFixture) -> Any:
    """Run `check`; returns (exit code, what it printed)."""

    def run(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        return main(["check", *arguments, "--root", str(root)]), capsys.readouterr().out

    return run


def fixes(said: str) -> list[str]:
    return [line.partition("fix: ")[2] for line in said.splitlines() if "fix: " in line]


def mend(said: str) -> None:
    """Do what the one fix says; it is a command."""
    (fix,) = fixes(said)
    assert fix.startswith("mv ")
    for command in fix.split(" && "):
        subprocess.run(shlex.split(command), check=True)


@pytest.mark.parametrize("case", ALL, ids=by_stem)
def test_ready(case: Expected, ready: Any, check: Any) -> None:
    ready(case.stem)
    code, said = check(case.stem, "--deep")
    assert code == 0 and said.startswith(f"{case.stem:16} ready") and f"{case.counts[2]} test" in said


@pytest.mark.parametrize("case", ALL, ids=by_stem)
def test_missing(case: Expected, check: Any) -> None:
    code, said = check(case.stem)
    assert code == 1 and said.split()[1] == "missing" and f"python -m datasets prepare {case.stem}" in said


def test_miniature_is_not_the_real_thing(root: Path, check: Any) -> None:
    """Numbers are compared with the spec's."""
    place(CASES["eurosat"], root)
    code, said = check("eurosat")
    assert code == 1 and "incomplete" in said
    assert "3 classes, expected 10; 9 test images, expected 8100; 15 training images, expected 13500" in said


def test_first_missing_paths(ready: Any, check: Any) -> None:
    folder = ready("dtd")
    for i in range(10):
        (folder / "images" / "blotchy" / f"blotchy_{i:04d}.jpg").unlink()
    code, said = check("dtd")
    assert code == 1 and "10 of 30 images are missing" in said
    assert said.count("blotchy/blotchy_") == 5 and ", ..." in said and "prepare dtd --force" in said


def test_class_without_training_images(ready: Any, check: Any, load: Load) -> None:
    """What training refuses, `check`, to which it sends the user, tells as well."""
    file = ready("dtd") / "split_zhou_DescribableTextures.json"
    split = read_split(file)
    write_split(split._replace(train=[item for item in split.train if item.label != 1]), file)
    with pytest.raises(
        ValueError, match=r"dtd: no training image of class 1 \(blotchy\); run: python -m datasets check"
    ):
        load("DescribableTextures")
    code, said = check("dtd")
    assert code == 1 and "  - dtd: no training image of class 1 (blotchy)\n    fix: if split_zhou_Desc" in said


def test_missing_split_file(root: Path, check: Any) -> None:
    CASES["dtd"].build(root / "dtd")
    code, said = check("dtd")
    assert code == 1 and "there is no split file" in said and fixes(said) == ["python -m datasets prepare dtd"]


def test_broken_images(ready: Any, check: Any) -> None:
    folder = ready("dtd")
    image = folder / "images" / "banded" / "banded_0003.jpg"
    image.write_bytes(image.read_bytes()[:-40])
    (folder / "images" / "banded" / "banded_0004.jpg").write_bytes(b"")
    assert check("dtd")[0] == 0
    code, said = check("dtd", "--deep")
    assert code == 1 and "2 images cannot be read" in said
    assert f"cannot read image {image}" in said and "banded_0004.jpg" in said


def test_flat_imagenet_validation(ready: Any, check: Any) -> None:
    val = ready("imagenet") / "images" / "val"
    for file in list(val.rglob("*.JPEG")):
        file.rename(val / file.name)
    code, said = check("imagenet")
    assert (
        code == 1
        and f"12 images lie flat in {val}" in said
        and "python -m datasets prepare imagenet sorts them" in said
    )


@pytest.mark.parametrize("stem", ["stanford_cars", "eurosat", "imagenet_r"])
def test_doubled_folder(stem: str, ready: Any, check: Any) -> None:
    folder = ready(stem)
    name = DATASET_REGISTRY.get(CASES[stem].name).facts.needed_folders[-1]
    (folder / name).rename(folder / "tmp")
    (folder / name).mkdir()
    (folder / "tmp").rename(folder / name / name)
    code, said = check(stem)
    assert code == 1 and f"{folder / name} holds a folder of the same name" in said
    mend("\n".join(line for line in said.splitlines() if "fix: mv" in line))
    assert check(stem)[0] == 0


def test_sketch_not_renamed(ready: Any, check: Any) -> None:
    folder = ready("imagenet_sketch")
    (folder / "images").rename(folder / "sketch")
    code, said = check("imagenet_sketch")
    assert code == 1 and fixes(said) == [f"mv {folder}/sketch {folder}/images"]
    mend(said)
    assert check("imagenet_sketch")[0] == 0


def test_images_one_folder_deeper(ready: Any, check: Any) -> None:
    folder = ready("caltech101")
    (folder / "caltech-101").mkdir()
    (folder / "101_ObjectCategories").rename(folder / "caltech-101" / "101_ObjectCategories")
    code, said = check("caltech101")
    assert code == 1 and f"but there is {folder}/caltech-101/101_ObjectCategories" in said
    mend(said)
    assert check("caltech101")[0] == 0


@pytest.mark.parametrize("other", ["food101", "Food-101", "Food101"])
def test_folder_of_another_spelling(other: str, ready: Any, check: Any, root: Path) -> None:
    ready("food101").rename(root / other)
    code, said = check("food101")
    assert code == 1 and fixes(said) == [f"mv {root}/{other} {root}/food-101"]
    mend(said)
    assert check("food101")[0] == 0


def test_aircraft_not_moved_out_of_the_archive(ready: Any, check: Any, root: Path) -> None:
    (root / "fgvc-aircraft-2013b").mkdir()
    ready("fgvc_aircraft").rename(root / "fgvc-aircraft-2013b" / "data")
    code, said = check("fgvc_aircraft")
    assert code == 1 and fixes(said) == [f"mv {root}/fgvc-aircraft-2013b/data {root}/fgvc_aircraft"]
    mend(said)
    assert check("fgvc_aircraft")[0] == 0


def test_eurosat_from_zenodo(ready: Any, check: Any) -> None:
    folder = ready("eurosat")
    (folder / "2750").rename(folder / "EuroSAT_RGB")
    code, said = check("eurosat")
    assert code == 1 and f"mv {folder}/EuroSAT_RGB {folder}/2750" in fixes(said)


def test_archive_that_is_not_unpacked(root: Path, check: Any) -> None:
    (root / "eurosat").mkdir()
    (root / "eurosat" / "EuroSAT.zip").write_bytes(b"PK\x03\x04")
    code, said = check("eurosat")
    assert code == 1 and "EuroSAT.zip is not unpacked" in said


@pytest.mark.parametrize("name", ["EuroSAT.zip", "split_zhou_EuroSAT.json"])
def test_web_page_instead_of_a_file(name: str, ready: Any, check: Any) -> None:
    folder = ready("eurosat")
    (folder / name).write_text("<!DOCTYPE html><html><title>Google Drive - Virus scan warning</title></html>")
    code, said = check("eurosat")
    assert code == 1 and f"{folder / name} is a web page (HTML)" in said
    assert fixes(said) == ["delete it and run: python -m datasets prepare eurosat"]


def test_other_class_names(ready: Any, check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look-alike list that says "cock" where the published one says "rooster"."""
    folder = ready("imagenet_a")
    classnames(folder, {**WNIDS, "n01514668": "cock"})
    monkeypatch.setattr("datasets.wordnet.N_CLASSNAMES", 4)
    code, said = check("imagenet_a")
    assert code == 1 and "n01514668 is cock, not rooster" in said and f"delete {folder}/classnames.txt and run" in said


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["n01440764 tench"], "has 1 class names, expected 3"),
        (["tench", "goldfish"], "line 1: expected a new WordNet id"),
    ],
)
def test_damaged_class_names(lines: list[str], message: str, ready: Any, check: Any) -> None:
    write_lines(ready("imagenet_a") / "classnames.txt", lines)
    code, said = check("imagenet_a")
    assert code == 1 and message in said


def test_imagenetv2_names_sorted_as_strings(ready: Any, check: Any) -> None:
    """Lines in the order 0, 1, 10, 11, 2, ... would name almost every folder wrongly."""
    folder = ready("imagenetv2")
    lines = (folder / "classnames.txt").read_text().splitlines()
    write_lines(folder / "classnames.txt", [lines[int(number)] for number in sorted(map(str, range(12)))])
    code, said = check("imagenetv2")
    assert code == 1 and "is sorted as strings (0, 1, 10, 100, ...)" in said
    write_lines(folder / "classnames.txt", lines[::-1])
    assert "is not in the order of the WordNet ids" in check("imagenetv2")[1]


@pytest.mark.parametrize("name", ["n00000011", "011"])
def test_imagenetv2_repackaged(name: str, ready: Any, check: Any) -> None:
    images = ready("imagenetv2") / "imagenetv2-matched-frequency-format-val"
    (images / "11").rename(images / name)
    code, said = check("imagenetv2")
    assert code == 1 and f"such as {name!r}: a repackaged copy" in said


def test_devkit_without_labels(root: Path, capsys: pytest.CaptureFixture) -> None:
    """StanfordCars: the bare devkit's test annotations have no classes."""
    from numpy.lib.recfunctions import repack_fields
    from scipy.io import loadmat, savemat

    CASES["stanford_cars"].build(root / "stanford_cars")
    file = root / "stanford_cars" / "cars_test_annos_withlabels.mat"
    annotations = loadmat(file)["annotations"]
    savemat(file, {"annotations": repack_fields(annotations[["fname", "bbox_x1"]])})
    assert main(["split", "stanford_cars", "--root", str(root)]) == 2
    assert "has no classes: it is the devkit's file without labels" in capsys.readouterr().err


def test_all(root: Path, check: Any) -> None:
    code, said = check("all")
    assert code == 1 and said.count(" missing") == len(ALL) + 2


@pytest.mark.parametrize(("name", "hint"), [("caltech", "did you mean caltech101?"), ("zzz", "known are caltech101, ")])
def test_unknown_name(name: str, hint: str, capsys: pytest.CaptureFixture) -> None:
    assert main(["check", name]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: There is no dataset {name!r}: {hint}") and said.count("\n") == 1


def test_names_in_any_spelling(ready: Any, check: Any) -> None:
    ready("dtd")
    assert check("DescribableTextures")[0] == check("DTD")[0] == 0


def test_own_split_is_never_offered_for_official_lists(root: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["split", "fgvc_aircraft", "--root", str(root)]) == 2
    assert "fgvc_aircraft has no split file" in capsys.readouterr().err
