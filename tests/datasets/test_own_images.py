"""The user's own three classes go through base-to-new in one command."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stubs import random_clip, save_state_dict

from .miniatures import write_images

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Three classes of one's own in a folder with a blank in its name."""
    for name in ("apple", "pear", "quince"):
        write_images(tmp_path / "my fruit" / name, [f"{i}.jpg" for i in range(6)])
    return tmp_path / "my fruit"


Script = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def script(tmp_path: Path, cache: Path) -> Script:
    """script(PATH, TEMPLATE, NAME=value…): MaPLe's smallest run on a random CLIP, from a working folder of its own."""
    weights = save_state_dict(random_clip(), tmp_path / "clip.pt")
    options = f"MODEL.BACKBONE.NAME {weights} INPUT.SIZE (16,16) OPTIM.MAX_EPOCH 1 TRAINER.MAPLE.PROMPT_DEPTH 2"
    common = {"PYTHON": sys.executable, "SEEDS": "1", "TRAINERS": "MaPLe", "OPTS": options, "CFG": "quickstart"}

    def run(*arguments: str, cwd: Path = tmp_path, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "HOME": str(tmp_path), **common, **variables}
        command = ["bash", str(REPOSITORY / "scripts" / "own_images.sh"), *arguments]
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)

    return run


def run_folder(output: Path, half: str, name: str = "my fruit") -> Path:
    return output / "base2new" / half / name / "shots_16" / "MaPLe" / "quickstart" / "seed1"


def test_one_command(own: Path, script: Script, tmp_path: Path) -> None:
    done = script(str(own), "a photo of a {}, a type of fruit.", OUTPUT=str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert 'Prompts: "[V1] [V2] of a apple.", "[V1] [V2] of a pear." ([V…]: learned)' in done.stdout
    assert (
        "'a photo of a {}, a type of fruit.' is not read by MaPLe: its words are TRAINER.MAPLE.CTX_INIT" in done.stdout
    )
    assert any(line.split()[:3] == ["my", "fruit", "MaPLe"] for line in done.stdout.splitlines())
    for half in ("train_base", "test_new"):
        assert (run_folder(tmp_path / "out", half) / "run.json").is_file()
    assert "will be downloaded" not in done.stdout


def test_changed_images_are_refused_and_no_table_is_shown(own: Path, script: Script, tmp_path: Path) -> None:
    """A relative OUTPUT is relative to the working folder, as PATH is."""
    first = script("my fruit", OUTPUT="out")
    assert first.returncode == 0, first.stderr
    (row,) = [line for line in first.stdout.splitlines() if "MaPLe" in line and "(n=1)" in line]
    again = script("my fruit", OUTPUT="out")
    assert again.returncode == 0 and row in again.stdout and again.stdout.count("is complete: nothing to do") == 2
    (own / "apple").rename(own / "apricot")
    other = script("my fruit", OUTPUT="out")
    assert other.returncode == 2 and row not in other.stdout and "accuracy" not in other.stdout
    assert "answers another question (classes: apple → apricot;" in other.stderr and "FORCE=1" in other.stderr
    forced = script("my fruit", OUTPUT="out", FORCE="1")
    assert forced.returncode == 0, forced.stderr
    assert len(list(run_folder(tmp_path / "out", "test_new").parent.glob("seed1.old-*"))) == 1


def results(text: str) -> Path:
    (line,) = [line for line in text.splitlines() if line.startswith("results: ")]
    return REPOSITORY / line.removeprefix("results: ")


def test_two_folders_of_one_name_have_results_of_their_own(own: Path, script: Script, tmp_path: Path) -> None:
    for name in ("spade", "rake"):
        write_images(tmp_path / "shed" / "my fruit" / name, [f"{i}.jpg" for i in range(6)])
    (tmp_path / "my fruit.csv").write_text("path,label\n")
    places = set()
    try:
        # by any way to say it, a folder has one place
        for words in (["my fruit"], ["my fruit/"], ["./my fruit"], [str(own)], ["shed/my fruit"], ["my fruit.csv"]):
            done = script(*words, DRY_RUN="1")
            places.add(results(done.stdout))
        inside = results(script(".", cwd=own, DRY_RUN="1").stdout)
        assert inside in places and len(places) == 3
        assert all(re.fullmatch(r"my fruit-[0-9a-f]{6}", place.name) for place in places)
        assert {place.parent for place in places} == {REPOSITORY / "output" / "own_images"}
        assert all((place / "my fruit.yaml").is_file() for place in places)
    finally:
        for place in places:
            shutil.rmtree(place)


def test_what_will_be_downloaded_is_said(own: Path, script: Script, tmp_path: Path) -> None:
    told = "CLIP ViT-B/16 (about 350 MB) will be downloaded into ~/.cache/clip"
    out = str(tmp_path / "out")
    dry = {"OUTPUT": out, "DRY_RUN": "1"}
    done = script(str(own), CFG="", OPTS="", TRAINERS="ZeroshotCLIP MaPLe CoOp", **dry)
    assert done.returncode == 0 and told in done.stdout
    for config in ("ZeroshotCLIP/vit_b16", "MaPLe/vit_b16_c2_ep5_batch4_2ctx", "CoOp/vit_b16_ep50_ctxv1"):
        assert f"configs/trainers/{config}.yaml" in done.stdout
    assert told not in script(str(own), OPTS="", **dry).stdout
    assert told not in script(str(own), CFG="", **dry).stdout  # another backbone is named
    (tmp_path / ".cache" / "clip").mkdir(parents=True)
    (tmp_path / ".cache" / "clip" / "ViT-B-16.pt").touch()
    assert told not in script(str(own), CFG="", OPTS="", **dry).stdout


@pytest.mark.parametrize("arguments", [[], ["nowhere"], ["a", "b", "c"]])
def test_wrong_use(arguments: list[str]) -> None:
    done = subprocess.run(["bash", "scripts/own_images.sh", *arguments], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 2
    assert "scripts/own_images.sh PATH [TEMPLATE]" in done.stderr or "there is no nowhere" in done.stderr
