"""docs/seams.md says what is so."""

import re
from dataclasses import fields
from pathlib import Path

import torch

from prompted_clip import BlockAdapter, LateTokens, Prompts, TowerOutput
from prompted_clip.adapters import PRODUCTS

PAGE = (Path(__file__).parents[2] / "docs" / "seams.md").read_text(encoding="utf-8")


def test_its_code_runs_and_gradients_arrive():
    names = {"__name__": "seams"}
    torch.manual_seed(0)
    exec("\n".join(re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)), names)
    (names["features"].sum() + names["second"].sum() + names["logits"].sum()).backward()
    learners = [names["to_vision"], names["project"], names["adapters"].vision[0].branch]
    learners += [delta for block in names["adapters"].text.values() for delta in block.delta.values()]
    trained = [names["ctx"], names["own"], names["tokens"], *(p for each in learners for p in each.parameters())]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in trained)
    assert len(trained) == 3 + 2 + 2 + 2 + 6 * len(names["adapters"].text)


def test_its_tables_have_every_field():
    first_cells = " ".join(line.split("|")[1] for line in PAGE.splitlines() if line.startswith("|"))
    told = set(re.findall(r"`(\w+)", first_cells))
    for value in (Prompts, LateTokens):
        assert {field.name for field in fields(value)} <= told
    assert {field.name for field in fields(BlockAdapter)} | set(TowerOutput._fields) <= told
    assert set(re.findall(r'\["(\w+)"\]', first_cells)) == set(PRODUCTS)
