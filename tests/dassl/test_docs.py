"""docs/engine.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dassl.config import get_cfg_default
from dassl.engine import TRAINER_REGISTRY, TrainerX
from dassl.engine.run_state import STATE_FILE

from .world import Net, config, run, write_images

PAGE = (Path(__file__).parents[2] / "docs" / "engine.md").read_text(encoding="utf-8")


class MyNet(Net):
    def __init__(self, classnames: list[str]) -> None:
        super().__init__(len(classnames))


def test_the_example_runs(tmp_path: Path) -> None:
    code = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)[0]
    names: dict[str, Any] = {"MyNet": MyNet, "__name__": "example"}
    exec(compile(code, "engine.md", "exec"), names)
    write_images(tmp_path)
    trainer = run(config(tmp_path, tmp_path / "out", "TRAINER.NAME", "MyMethod"))
    assert isinstance(trainer, TRAINER_REGISTRY.get("MyMethod")) and isinstance(trainer.model, nn.Module)
    assert all(torch.isfinite(p).all() for p in trainer.model.parameters())


def test_keys_of_our_own_have_the_defaults_told() -> None:
    cfg = get_cfg_default()
    table = dict(re.findall(r"^\| `([A-Z_.]+)` \| `?(\w+)`? \|", PAGE, flags=re.MULTILINE))
    assert set(table) == {"DEVICE", "TEST.SAVE_PREDICTIONS", "DATALOADER.CACHE_MB", "DATALOADER.WORKERS_ABOVE_MB"}
    for key, told in table.items():
        node: Any = cfg
        for part in key.split("."):
            node = node[part]
        assert str(node) == told, key


def test_hooks_and_helpers_named_there_exist() -> None:
    life = PAGE[PAGE.index("## Life cycle") : PAGE.index("## Batches")]
    called = set(re.findall(r"`(\w+)\(", life)) - {"Trainer"}
    helpers = re.search(r"Helpers to call: `([^`]+)`", life)
    assert helpers is not None
    missing = [name for name in called | set(helpers.group(1).split()) if not hasattr(TrainerX, name)]
    assert not missing and len(called) > 12
    assert STATE_FILE in PAGE
