"""Sweeps of the real engine on a tiny random CLIP."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from sweep.layout import ROOT, Call
from sweep.plan import Plan, Wanted, make_plan
from tests.stubs import random_clip

METHODS = ["CoOp"]
SEEDS = [1, 2, 3]


def write_backbone(path: Path) -> Path:
    """A random CLIP of the quickstart's image size, as a weight file."""
    model = random_clip(
        0,
        embed_dim=64,
        image_resolution=32,
        context_length=77,
        text_layers=2,
        vision_layers=2,
        vision_width=64,
        text_width=64,
    )
    torch.save(model.state_dict(), path)
    return path


def real_plan(output: Path, data: Path, options: Sequence[str]) -> Plan:
    """The plan of `start_real_sweep`."""
    call = Call(data=str(data), options=tuple(options))
    wanted = Wanted(["base2new"], METHODS, ["digits"], seeds=SEEDS, config="quickstart", output=str(output), call=call)
    return make_plan(wanted)


def start_real_sweep(output: Path, data: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Base-to-new of one method on Digits, three seeds, as a process in a session of its own."""
    command = [sys.executable, "-m", "sweep", "base2new", "--methods", *METHODS, "--datasets", "digits"]
    command += ["--config", "quickstart", "--output", str(output), "--data", str(data), *arguments]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def real_sweep(output: Path, data: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and output of such a sweep."""
    process = start_real_sweep(output, data, *arguments)
    said, _ = process.communicate(timeout=600)
    return process.returncode, said
