"""What train.py is asked before a sweep: which methods there are, and whether it takes the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from dassl.engine import TRAINER_REGISTRY
from sweep.ask import refusals, registered_methods
from sweep.layout import ROOT
from sweep.plan import Wanted, make_plan
from sweep.recipes import all_methods

from .world import ledger, plan_for, sweep

ONE = ["base2new", "--methods", "MaPLe", "--datasets", "digits", "--config", "quickstart"]


def test_the_methods_are_those_of_the_registry() -> None:
    import trainers  # noqa: F401  (registers)

    # other tests register methods of their own in this process
    modules = {name: TRAINER_REGISTRY.get(name).__module__ for name in TRAINER_REGISTRY.registered_names()}
    ours = {name for name, module in modules.items() if module.startswith("trainers.")}
    assert {"MaPLe", "LinearProbe"} <= ours == set(registered_methods(ROOT))


def test_settings_are_judged_as_train_py_does() -> None:
    run = next(iter(make_plan(Wanted(["base2new"], ["MaPLe"], ["digits"], config="quickstart")).runs.values()))
    more = (["OPTIM.LERN", "3"], ["OPTIM.LR", "3"], ["OPTIM.MAX_EPOCH", "many"], ["TRAINER.MAPLE.N_CTX", "4"], [])
    answers = refusals([[*run.arguments, *pairs] for pairs in more], ROOT)
    assert answers[0] == "unknown config key OPTIM.LERN; did you mean OPTIM.LR?"
    assert "OPTIM.MAX_EPOCH" in answers[2] and "many" in answers[2]
    assert [answers[place] for place in (1, 3, 4)] == ["", "", ""]


@pytest.mark.parametrize("how", [["--dry-run"], [], ["--slurm"]])
def test_wrong_pairs_are_refused_before_anything_runs(root: Path, how: list[str]) -> None:
    code, output = sweep(root, *ONE, *how, "OPTIM.LERN", "3")
    assert code == 2
    refused = "error: unknown config key OPTIM.LERN; did you mean OPTIM.LR? (6 of 6 runs would fail, the first is "
    assert output.splitlines()[-1] == f"{refused}base2new_train MaPLe digits, seed 1)"
    assert not ledger(root) and not (root / "output").exists()
    assert sweep(root, *ONE, "--dry-run", "OPTIM.LR", "3")[0] == 0


def test_a_dataset_file_of_ones_own_is_asked_about_as_well(root: Path) -> None:
    """Nobody is asked about the project's own files without pairs: that answer is known, and would cost seconds."""
    (root / "my.yaml").write_text("DATASET:\n  NAME: Folder\n")
    program = "def parse_args(words): return words\ndef build_config(words): raise KeyError(words)"
    (root / "train.py").write_text(program)
    assert sweep(root, *ONE, "--dry-run")[0] == 0
    code, output = sweep(root, *ONE[:4], "digits", "my.yaml", "--config", "quickstart", "--dry-run")
    assert code == 2 and "'--dataset-config-file', 'my.yaml'" in output
    assert "(6 of 12 runs would fail, the first is base2new_train MaPLe my, seed 1)" in output


def test_complete_runs_are_not_asked_about(root: Path) -> None:
    words = [*ONE, "--seeds", "1", "OPTIM.LR", "3"]
    assert sweep(root, *words)[0] == 0
    # the runs are complete: nobody is asked any more
    program = root / "train.py"
    program.write_text(program.read_text().replace("def build_config(words):", "def build_config(words):\n    1 / 0"))
    assert sweep(root, *words)[0] == 0
    assert sweep(root, *words, "FAKE.STEPS", "1")[0] == 2


def test_all_methods_are_the_registered_ones_with_settings(root: Path) -> None:
    configs = root / "configs" / "trainers"
    assert all_methods(root)[1] == []
    (configs / "Zzz").mkdir()
    (configs / "Zzz" / "quickstart.yaml").write_text("")
    (configs / "Empty").mkdir()
    (root / "methods.txt").write_text("MaPLe Empty VPT Unset")
    methods, notes = all_methods(root)
    assert methods == ["VPT", "MaPLe"]
    assert f"{configs / 'Zzz'} is left out: no method Zzz is registered" in notes
    for name in ("Empty", "Unset"):
        assert f"all is without {name}, which has no settings in {configs / name}" in notes
    plan = plan_for(root, "base2new", "ablation", methods=["all"])
    assert {run.setting.method for run in plan.runs.values()} == {"VPT", "MaPLe"}
    assert set(notes) <= set(plan.notes)
    code, output = sweep(root, *ONE[:2], "all", *ONE[3:], "--dry-run")
    assert code == 0 and output.count("no method Zzz is registered") == 1 and "xd_test Zzz" not in output


def test_a_project_that_does_not_answer(root: Path) -> None:
    (root / "train.py").write_text("raise ImportError('trainers/broken.py is broken')")
    code, output = sweep(root, *ONE[:2], "all", *ONE[3:], "--dry-run")
    assert code == 2
    assert output == f"error: the methods in {root} cannot be asked: ImportError: trainers/broken.py is broken\n"
    (root / "train.py").write_text("print('no list')")
    with pytest.raises(RuntimeError, match=r"names no methods: expected a line 'methods: …'"):
        registered_methods(root)


def test_what_a_method_prints_when_it_is_imported_is_no_answer(root: Path) -> None:
    program = root / "train.py"
    program.write_text(f"print('hello')\n{program.read_text()}")
    assert refusals([["DATASET.NUM_SHOTS", "1"]], root) == [""]
