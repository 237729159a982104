"""Images of one's own have a name, and no other dataset's: in the run's folder, its record and the table."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import train
from dassl.data.datasets import DATASET_REGISTRY
from datasets.manage.catalogue import benchmarks
from reporting.cli import main as report
from tests.stubs import random_clip, save_state_dict

from .conftest import Load
from .miniatures import write_images

GENERAL = train.HERE / "configs" / "datasets" / "folder.yaml"


def dataset_file(file: Path, **options: Any) -> Path:
    """A YAML of one's own."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump({"DATASET": {"NAME": "Folder", **options}}, allow_unicode=True), encoding="utf-8")
    return file


def config(file: Path, *options: str) -> Any:
    """The config of a run."""
    words = ["--trainer", "MaPLe", "--dataset-config-file", str(file), "--seed", "1"]
    args = train.parse_args([*words, *options])
    args.config_file = str(train.HERE / "configs" / "trainers" / "MaPLe" / "quickstart.yaml")
    return train.build_config(args)


def own(folder: Path) -> Path:
    """Two classes of four images."""
    write_images(folder, [f"{name}/{i}.jpg" for name in "ab" for i in range(4)])
    return folder


@pytest.mark.parametrize(
    ("file", "options", "title"),
    [
        ("shapes B.yaml", [], "shapes B"),
        ("shapes B.yaml", ["DATASET.PATH", "elsewhere/pictures"], "shapes B"),
        ("shapes B.yaml", ["DATASET.TITLE", "Shapes"], "Shapes"),
        ("folder.yaml", ["DATASET.PATH", "elsewhere/pictures/"], "pictures"),
        ("folder.yaml", ["DATASET.PATH", "elsewhere/list.v2.csv"], "list.v2"),
        ("folder.yaml", ["DATASET.PATH", "elsewhere/../my.images"], "my.images"),
        ("folder.yaml", ["DATASET.PATH", "x", "DATASET.TITLE", " two\n lines\t\x1b "], "two lines"),
        ("folder.yaml", ["DATASET.PATH", "x", "DATASET.TITLE", "Äpfel & Birnen"], "Äpfel & Birnen"),
    ],
)
def test_title(tmp_path: Path, file: str, options: list[str], title: str) -> None:
    cfg = config(dataset_file(tmp_path / file, PATH="pictures"), *options)
    assert title == cfg.DATASET.TITLE
    assert Path(cfg.OUTPUT_DIR) == Path("output", title, "MaPLe", "quickstart", "seed1")


@pytest.mark.parametrize(
    ("title", "folder"),
    [("a/b", "a_b"), ("../x", "_x"), ("..", "_"), (".hidden", "hidden"), ("a|b?*", "a_b__")],
)
def test_folder_of_an_odd_title(tmp_path: Path, title: str, folder: str) -> None:
    """Below output/, not hidden from the reports, and without characters that a disk may refuse."""
    cfg = config(dataset_file(tmp_path / "x.yaml", PATH="p", TITLE=title))
    assert title == cfg.DATASET.TITLE
    assert Path(cfg.OUTPUT_DIR).parts == ("output", folder, "MaPLe", "quickstart", "seed1")


@pytest.mark.parametrize("title", ["Caltech101", "caltech-101", "DTD", "Describable Textures", "digits", "ImageNet-A"])
def test_name_of_another_dataset(tmp_path: Path, load: Load, title: str) -> None:
    """Given, or taken from the YAML or the folder: their results would share rows."""
    sentence = rf"DATASET.TITLE is '{title}', which is the dataset \w+: choose another, so that .*DATASET.TITLE my_\w+"
    for file, options in (
        (dataset_file(tmp_path / f"{title}.yaml", PATH="p"), []),
        (dataset_file(tmp_path / "x.yaml", PATH="p"), ["DATASET.TITLE", title]),
        (GENERAL, ["DATASET.PATH", f"/images/{title}"]),
    ):
        with pytest.raises(ValueError, match=sentence):
            config(file, *options)
    with pytest.raises(ValueError, match=sentence):
        load("Folder", PATH=str(own(tmp_path / title)))
    assert load("Folder", PATH=str(own(tmp_path / title)), TITLE="other").title == "other"


def test_title_without_a_command_line(tmp_path: Path, load: Load) -> None:
    assert load("Folder", PATH=str(own(tmp_path / "my pictures"))).title == "my pictures"
    assert load("Folder", PATH=str(own(tmp_path / "folder"))).title == "folder"


@pytest.mark.parametrize("stem", sorted(benchmarks()))
def test_benchmarks_keep_their_names(stem: str) -> None:
    cfg = config(train.HERE / "configs" / "datasets" / f"{stem}.yaml")
    assert cfg.DATASET.TITLE == "" and Path(cfg.OUTPUT_DIR).parts[1] == stem
    assert DATASET_REGISTRY.get(cfg.DATASET.NAME).title == ""


def test_path_beside_the_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path in a YAML is looked for beside it first; on the command line it starts where one stands."""
    own(tmp_path / "project" / "pictures")
    own(tmp_path / "pictures")
    monkeypatch.chdir(tmp_path)
    file = dataset_file(tmp_path / "project" / "mine.yaml", PATH="pictures")
    assert str(tmp_path / "project" / "pictures") == config(file).DATASET.PATH
    assert str(tmp_path / "project" / "pictures") == config(Path("project/mine.yaml")).DATASET.PATH
    assert config(file, "DATASET.PATH", "pictures").DATASET.PATH == "pictures"
    here = dataset_file(tmp_path / "project" / "pictures" / "mine.yaml", PATH=".")
    assert str(tmp_path / "project" / "pictures") == config(here).DATASET.PATH


@pytest.mark.parametrize("path", ["elsewhere", "/nowhere/at/all", "~/elsewhere"])
def test_path_that_is_not_beside_the_yaml_stays(tmp_path: Path, path: str) -> None:
    """It is looked for from where one stands, then under the data root, as ever."""
    assert path == config(dataset_file(tmp_path / "mine.yaml", PATH=path)).DATASET.PATH


def test_general_file_has_no_path() -> None:
    assert config(GENERAL, "DATASET.PATH", "").DATASET.PATH == ""


def test_two_datasets_from_training_to_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    weights = save_state_dict(random_clip(), tmp_path / "clip.pt")
    out = tmp_path / "out"
    for name in ("shapesA", "shapes B"):
        write_images(tmp_path / name / "images", [f"{label}/{i}.jpg" for label in ("one", "two") for i in range(4)])
        file = dataset_file(tmp_path / name / f"{name}.yaml", PATH="images")
        for half in ("base", "new"):
            argv = ["--trainer", "ZeroshotCLIP", "--backbone", str(weights), "--dataset-config-file", str(file)]
            argv += ["--output-dir", str(out / name / half), "--eval-only", "INPUT.SIZE", "(16, 16)"]
            argv += ["DATASET.SUBSAMPLE_CLASSES", half]
            monkeypatch.setattr(sys, "argv", ["train.py", *argv])
            stdout = sys.stdout
            assert train.main(argv) == 0
            sys.stdout.close()  # the run's log
            sys.stdout = stdout
            record = json.loads((out / name / half / "run.json").read_text())
            assert record["dataset"] == record["config"]["DATASET"]["TITLE"] == name
            assert record["config"]["DATASET"]["PATH"] == os.path.join(tmp_path, name, "images")
    capsys.readouterr()
    assert report(["base2new", str(out)]) == 0
    table = capsys.readouterr().out
    assert [line.split("  ")[0] for line in table.splitlines() if "ZeroshotCLIP" in line][:2] == ["shapes B", "shapesA"]
    assert "older run" not in table and "told apart" not in table
