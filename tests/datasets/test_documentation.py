"""docs/datasets.md and the configs say what the code says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import datasets
from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY
from datasets.manage.catalogue import benchmarks, select
from datasets.manage.cli import main
from datasets.manage.document import facts_block, human_size, refreshed

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENT = REPOSITORY / "docs" / "datasets.md"
STEMS = sorted(benchmarks())


def test_document_is_up_to_date() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert refreshed(text) == text, "run: python -m datasets docs docs/datasets.md"
    assert sorted(re.findall(r"<!-- facts: (\w+) -->", text)) == STEMS


@pytest.mark.parametrize("stem", STEMS)
def test_section(stem: str) -> None:
    """A section a dataset, with its notes and its layout."""
    cls = benchmarks()[stem]
    section = DOCUMENT.read_text(encoding="utf-8").partition(f"\n### {cls.__name__}\n")[2].partition("\n### ")[0]
    assert facts_block(cls) in section
    assert cls.facts.notes in section
    for name in (f"{cls.facts.folder}/", cls.facts.split_file, *cls.facts.needed_folders):
        assert Path(name).name.strip("./") in section


def test_refresh_rewrites_a_stale_block(tmp_path: Path) -> None:
    file = tmp_path / "doc.md"
    file.write_text("before\n<!-- facts: dtd -->\nstale\n<!-- end -->\nafter\n", encoding="utf-8")
    assert main(["docs", str(file)]) == 0
    text = file.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- facts: dtd -->\n- `DATASET.NAME`: `DescribableTextures`")
    assert text.endswith("<!-- end -->\nafter\n") and "stale" not in text


def test_commands_in_the_document_exist() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert set(re.findall(r"python -m datasets (\w+)", text)) == {"list", "prepare", "check", "split", "docs"}
    for script in re.findall(r"scripts/\w+\.sh", text):
        assert (REPOSITORY / script).is_file()


@pytest.mark.parametrize("stem", [*STEMS, "folder"])
def test_config(stem: str) -> None:
    """One YAML a dataset: it names the class, and its header says how to get the data."""
    file = REPOSITORY / "configs" / "datasets" / f"{stem}.yaml"
    name = yaml.safe_load(file.read_text(encoding="utf-8"))["DATASET"]["NAME"]
    assert DATASET_REGISTRY.get(name).facts.stem == stem
    head = file.read_text(encoding="utf-8").partition("DATASET:\n")[0]
    counts = DATASET_REGISTRY.get(name).facts.counts
    for number in (counts.train, counts.test):
        assert f"{number:,}" in head or number == 0


def test_list(capsys: pytest.CaptureFixture) -> None:
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == STEMS
    pets = next(line for line in lines if line.startswith("oxford_pets"))
    assert pets.split()[:6] == ["oxford_pets", "OxfordPets", "37", "2,944", "736", "3,669"]
    assert "793 MB" in pets and "oxford_pets/" in pets and "https://www.robots.ox.ac.uk" in pets


@pytest.mark.parametrize("stem", STEMS)
def test_facts_are_complete(stem: str) -> None:
    cls: Any = benchmarks()[stem]
    facts = cls.facts
    assert facts.page.startswith("https://") and facts.licence and cls.template.count("{}") == 1
    everything = [*facts.downloads, *facts.raw, *([facts.fallback] if facts.fallback else [])]
    for download in everything:
        assert download.urls or download.login
        assert all(url.startswith(("https://", "http://", "gdrive:")) for url in download.urls)
        assert download.moves and download.kind in ("archive", "file")
        for length, value in ((32, download.md5), (64, download.sha256), (40, download.git_blob)):
            assert re.fullmatch(rf"[0-9a-f]{{{length}}}|", value)
    if facts.split_file.startswith("split_zhou"):
        (split,) = [download for download in facts.downloads if download.file == facts.split_file]
        assert len(split.urls) > 1 and (split.sha256 or split.git_blob)


def test_templates() -> None:
    """The zero-shot templates of CoOp, by dataset."""
    found = {cls.__name__: cls.template for cls in benchmarks().values() if cls.template != "a photo of a {}."}
    assert found == {
        "OxfordPets": "a photo of a {}, a type of pet.",
        "OxfordFlowers": "a photo of a {}, a type of flower.",
        "FGVCAircraft": "a photo of a {}, a type of aircraft.",
        "Food101": "a photo of {}, a type of food.",
        "DescribableTextures": "{} texture.",
        "EuroSAT": "a centered satellite photo of {}.",
        "UCF101": "a photo of a person doing {}.",
    }


def test_config_keys() -> None:
    cfg = get_cfg_default()
    datasets.add_config(cfg)
    assert (cfg.DATASET.SUBSAMPLE_CLASSES, cfg.DATASET.PATH, cfg.DATASET.TEMPLATE) == ("all", "", "")


@pytest.mark.parametrize(("size", "text"), [(0, "?"), (502, "502 B"), (31_000, "31 kB"), (2_570_000, "2.6 MB")])
def test_human_size(size: int, text: str) -> None:
    assert human_size(size) == text


def test_all_means_all() -> None:
    assert [cls.facts.stem for cls in select(["all"])] == STEMS
