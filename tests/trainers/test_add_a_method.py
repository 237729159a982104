"""docs/add_a_method.md, done: its files in a copy of the house, trained, planned and tabulated as its reader would."""

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from configs import facts
from tests.house import House
from tests.reporting.trees import base2new_run
from tests.trainers.test_settings import HEADER
from train import HERE


def code_blocks(kind):
    text = (HERE / "docs" / "add_a_method.md").read_text()
    return re.findall(rf"```{kind}\n(.*?)```", text, flags=re.DOTALL)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("example") / "house")
    house.add("trainers/dual.py", code_blocks("python")[0])
    house.add("configs/trainers/Dual/quickstart.yaml", code_blocks("yaml")[0])
    house.add("configs/trainers/Dual/method.yaml", code_blocks("yaml")[1])
    return house


def test_it_stands_in_its_own_files_alone(house):
    own = {"trainers/dual.py", "configs/trainers/Dual/quickstart.yaml", "configs/trainers/Dual/method.yaml"}
    assert house.naming("Dual") == own


def test_the_example_runs_as_it_stands_and_has_its_row(house, weights, data_root):
    assert "Dual" in house.said("train.py", "--list")
    options = ["--root", str(data_root), "MODEL.BACKBONE.NAME", str(weights), "OPTIM.MAX_EPOCH", "1"]
    assert "accuracy" in house.said("train.py", "--trainer", "Dual", *options)
    record = house.folder / "output/digits/Dual/quickstart/seed1/run.json"
    assert record.is_file()
    refused = house.call(
        *("train.py", "--trainer", "Dual", "--output-dir", "output/other", *options, "TRAINER.DUAL.N_CTX", "0")
    )
    assert refused.returncode == 2 and "N_CTX is 0" in refused.stderr
    accuracy = json.loads(record.read_text())["metrics"]["test"]["accuracy"]
    for method in ("Abacus", "MaPLe", "CoCoOp", "VPT"):
        base2new_run(house.folder / "output", method, "Digits", "train_base", 50.0)
    lines = list(csv.DictReader(io.StringIO(house.said(*["-m", "reporting", "base2new", "output", "--format", "csv"]))))
    shown = {line["method"]: line["mean"] for line in lines if line["column"] == "Base"}
    assert list(shown) == ["CoCoOp", "Dual", "VPT", "MaPLe", "Abacus"]  # the last is known to no file
    assert float(shown["Dual"]) == pytest.approx(accuracy)


def planned(text):
    """Methods of a plan, in order, each once."""
    return list(dict.fromkeys(re.findall(r"^  base2new_train (\w+) ", text, flags=re.MULTILINE)))


def test_the_example_is_planned_and_documented_in_its_place(house):
    sweep = ("-m", "sweep", "base2new", "--dry-run", "--gpus", "none")
    tabulated = [(row.place, row.method) for row in facts.rows() if "base2new" in row.tables]
    assert len(tabulated) >= 4
    assert planned(house.said(*sweep)) == [name for _, name in sorted([*tabulated, (55, "Dual")])]
    everything = planned(house.said(*sweep, *["--methods", "all", "--config", "quickstart", "--datasets", "digits"]))
    before, after = everything[: everything.index("Dual")], everything[everything.index("Dual") + 1 :]
    places = {name: method.row.place for name, method in facts.methods().items()}
    assert max(places[name] for name in before) <= 55 <= min(places[name] for name in after)
    assert "CoCoOp" in before and "VPT" in after
    table = [line for line in house.said("-m", "configs.document").splitlines() if line.startswith("| `")]
    (row,) = [number for number, line in enumerate(table) if line.startswith("| `Dual` |")]
    assert "context at the input of both towers | 2,560 | `Dual/quickstart` |" in table[row]
    assert [row.entry for row in facts.rows() if row.place < 55] == [line.split("`")[1] for line in table[:row]]


def test_without_its_facts_it_comes_last(tmp_path):
    plain = House(tmp_path / "plain")
    plain.add("trainers/dual.py", code_blocks("python")[0])
    plain.add("configs/trainers/Dual/quickstart.yaml", code_blocks("yaml")[0])
    words = ["-m", "sweep", "base2new", "--dry-run", "--gpus", "none", "--datasets", "digits", "--methods"]
    assert planned(plain.said(*words, "all", "--config", "quickstart"))[-1] == "Dual"
    done = plain.call(*words, "Dual")
    assert done.returncode == 2 and "which setting of Dual?" in done.stderr


def test_the_examples_setting_has_the_header_that_the_tests_ask_for():
    header = [line for line in code_blocks("yaml")[0].splitlines() if line.startswith("#")]
    assert all(any(word in line for line in header) for word in HEADER)


def test_the_example_is_formatted_and_typed(tmp_path):
    path = Path(tmp_path / "dual.py")
    path.write_text(code_blocks("python")[0])
    for command in (["ruff", "check"], ["ruff", "format", "--check"]):
        config = ["--config", str(HERE / "pyproject.toml")]
        done = subprocess.run([sys.executable, "-m", *command, *config, str(path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
