"""The user's own three classes go through base-to-new in one command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stubs import random_clip, save_state_dict

from .miniatures import write_images

REPOSITORY = Path(__file__).resolve().parents[2]


def test_one_command(tmp_path: Path, cache: Path) -> None:
    for name in ("apple", "pear", "quince"):
        write_images(tmp_path / "my fruit" / name, [f"{i}.jpg" for i in range(6)])
    weights = save_state_dict(random_clip(), tmp_path / "clip.pt")
    options = f"MODEL.BACKBONE.NAME {weights} INPUT.SIZE (16,16) OPTIM.MAX_EPOCH 1 TRAINER.MAPLE.PROMPT_DEPTH 2"
    environment = {
        **os.environ,
        "PYTHON": sys.executable,
        "OUTPUT": str(tmp_path / "out"),
        "SEEDS": "1",
        "TRAINERS": "MaPLe",
        "OPTS": options,
    }
    done = subprocess.run(
        ["bash", "scripts/own_images.sh", str(tmp_path / "my fruit"), "a photo of a {}, a type of fruit."],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert 'Prompts: "[V1] [V2] of a apple.", "[V1] [V2] of a pear." ([V…]: learned)' in done.stdout
    assert (
        "'a photo of a {}, a type of fruit.' is not read by MaPLe: its words are TRAINER.MAPLE.CTX_INIT" in done.stdout
    )
    assert any(line.split()[:3] == ["my", "fruit", "MaPLe"] for line in done.stdout.splitlines())
    for half in ("train_base", "test_new"):
        run = tmp_path / "out" / "base2new" / half / "my fruit" / "shots_16" / "MaPLe" / "quickstart" / "seed1"
        assert (run / "run.json").is_file()


@pytest.mark.parametrize("arguments", [[], ["nowhere"], ["a", "b", "c"]])
def test_wrong_use(arguments: list[str]) -> None:
    done = subprocess.run(["bash", "scripts/own_images.sh", *arguments], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 2
    assert "scripts/own_images.sh PATH [TEMPLATE]" in done.stderr or "there is no nowhere" in done.stderr
