"""Runs in processes of their own, to be killed, and what is left of them."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from dassl.utils import load_checkpoint

from .world import run


def _child(log: Path, work: Callable[[], Any]) -> None:
    os.setpgrp()  # so that a test can signal the run and its data loading processes together
    with open(log, "a", encoding="utf-8", buffering=1) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        sys.stdout = sys.stderr = file
        sys.exit(work())


def fork(log: Path, work: Callable[[], Any]) -> Any:
    """Do some work in a forked process, which needs no second to import everything again.

    Args:
        log: file that receives what it prints.
        work: what it does; returns the exit code or None.
    """
    process = multiprocessing.get_context("fork").Process(target=_child, args=(log, work))
    process.start()
    return process


def start(cfg: Any, prepare: Callable[[], None] | None = None) -> Any:
    """Start a run in a process of its own; its output goes to ``<output>.log``."""

    def work() -> None:
        if prepare is not None:
            prepare()
        run(cfg)

    return fork(Path(cfg.OUTPUT_DIR + ".log"), work)


def finish(cfg: Any) -> None:
    """Run to the end in a process of its own."""
    process = start(cfg)
    process.join(120)
    log = Path(cfg.OUTPUT_DIR + ".log").read_text(encoding="utf-8")
    assert process.exitcode == 0, log


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.002)


def outcome(output: str) -> dict[str, Any]:
    """All that a resumed run must have in common with an uninterrupted one."""
    record = json.loads((Path(output) / "run.json").read_text(encoding="utf-8"))
    history = [{k: v for k, v in entry.items() if k != "seconds"} for entry in record["history"]]
    checkpoints = {}
    for path in sorted(Path(output).glob("*/model*.pth.tar*")):
        content = load_checkpoint(path)
        checkpoints[str(path.relative_to(output))] = content
    return {"metrics": record["metrics"], "history": history, "checkpoints": checkpoints}


def assert_same(found: Any, expected: Any, where: str = "") -> None:
    """Equality to the last bit, tensors included."""
    if isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected), where
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key in expected:
            assert_same(found[key], expected[key], f"{where}/{key}")
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected), where
        for index, value in enumerate(expected):
            assert_same(found[index], value, f"{where}/{index}")
    else:
        assert found == expected, f"{where}: {found} is not {expected}"


def assert_clean(output: str) -> None:
    """No temporary file, no rolling state."""
    left = [p.name for p in Path(output).rglob("*") if p.name.startswith(".saving") or p.name == "resume.pt"]
    assert not left, left
