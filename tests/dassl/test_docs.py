"""docs/engine.md says what is so."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from dassl.config import get_cfg_default
from dassl.engine import TrainerX
from dassl.engine.run_state import STATE_FILE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "engine.md").read_text(encoding="utf-8")


def test_the_example_runs_as_it_stands(tmp_path: Path) -> None:
    """The two blocks of the page, one below the other, as a program in the project's folder."""
    plugin, program = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    (tmp_path / "mine.py").write_text(f"{plugin}\n\n{program}")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "mine.py"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "output" / "mine" / "run.json").read_text())
    assert (record["status"], record["method"], record["dataset"]) == ("complete", "MyMethod", "Digits")
    assert record["metrics"]["test"]["accuracy"] > 50  # of ten digits, so that it has learned
    assert (tmp_path / "output" / "mine" / "my_net" / "model.pth.tar-10").is_file()


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
