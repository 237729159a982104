"""Which runs a sweep consists of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sweep.cli import main
from sweep.layout import ROOT, Call
from sweep.plan import Plan, Wanted, make_plan
from sweep.recipes import PROTOCOLS, all_methods, default_config

from .world import plan_for


def steps(plan: Plan) -> dict[str, int]:
    counts: dict[str, int] = {}
    for run in plan.runs.values():
        counts[run.step] = counts.get(run.step, 0) + 1
    return counts


def test_paper_protocols_have_their_runs() -> None:
    # 11 datasets, 3 seeds, training and test; zero-shot once
    assert len(make_plan(Wanted(["base2new"])).runs) == 11 * 2 * (1 + 3 * 3)
    assert len(make_plan(Wanted(["ablation"])).runs) == 11 * 2 * 4 * 3
    assert steps(make_plan(Wanted(["xd"]))) == {"xd_train": 9, "xd_test": 9 * 10}
    assert steps(make_plan(Wanted(["dg"]))) == {"xd_train": 9, "xd_test": 9 * 4 + 5}
    assert len(make_plan(Wanted(["fewshot"])).runs) == 11 * (1 + 6 * 5 * 3)
    assert (
        len(make_plan(Wanted(["base2new", "ablation", "xd", "dg", "fewshot"])).runs) == 220 + 264 - 66 + 99 + 41 + 1001
    )


def test_a_run_of_two_protocols_is_one_run() -> None:
    both = make_plan(Wanted(["base2new", "ablation"]))
    assert len(both.runs) == 220 + 264 - 66  # MaPLe is in both
    assert len(both.protocols["base2new"]) == 220 and len(both.protocols["ablation"]) == 264
    transfer = make_plan(Wanted(["xd", "dg"]))
    assert steps(transfer)["xd_train"] == 9


@pytest.mark.parametrize("datasets", [["a/shapes.yaml", "b/shapes.yaml"], ["digits", "a/digits.yaml"]])
def test_two_dataset_files_of_one_name(root: Path, datasets: list[str]) -> None:
    for name in ("a/shapes.yaml", "b/shapes.yaml", "a/digits.yaml"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("DATASET:\n  NAME: Folder\n")
    with pytest.raises(ValueError, match=rf"two runs would write to .*, on {datasets[0]} and {datasets[1]}: rename"):
        plan_for(root, "base2new", datasets=datasets)
    assert len(plan_for(root, "base2new", datasets=[*datasets[:1], *datasets[:1]]).runs) == 2


def test_tests_follow_what_they_need() -> None:
    for run in (plan := make_plan(Wanted(list(PROTOCOLS)))).runs.values():
        if run.needs:
            order = list(plan.runs)
            assert order.index(run.needs) < order.index(run.folder)
            assert plan.runs[run.needs].setting.method == run.setting.method
        else:
            assert "--model-dir" not in run.arguments


def test_transfer_there_and_back(root: Path) -> None:
    plan = plan_for(root, "xd", datasets=["digits", "mnist5k"], sources=["digits", "mnist5k"])
    tests = {run.setting.dataset: run.needs for run in plan.runs.values() if run.needs}
    assert tests == {
        "mnist5k": "output/digits/MaPLe/quickstart_16shots/seed1",
        "digits": "output/mnist5k/MaPLe/quickstart_16shots/seed1",
    }


def test_two_sources_of_one_target_would_collide(root: Path) -> None:
    with pytest.raises(ValueError, match=r"two runs would write to output/evaluation/.* --source"):
        plan_for(root, "xd", datasets=["caltech101"], sources=["digits", "mnist5k"])


def test_settings_of_the_paper() -> None:
    epochs = {shots: default_config("fewshot", "CoOp", "dtd", shots) for shots in (1, 2, 4, 8, 16)}
    assert epochs == {
        1: "vit_b16_ep50",
        2: "vit_b16_ep100",
        4: "vit_b16_ep100",
        8: "vit_b16",
        16: "vit_b16",
    }
    assert default_config("fewshot", "CoOp", "imagenet", 16) == "vit_b16_ep50"
    assert default_config("xd_test", "MaPLe", "dtd", 16).endswith("cross_datasets")
    for protocol in PROTOCOLS:
        for run in make_plan(Wanted([protocol])).runs.values():
            assert (ROOT / run.setting.config_file).is_file()
            assert (ROOT / run.setting.dataset_file).is_file()


def test_config_of_one_method_and_of_all(root: Path) -> None:
    plan = plan_for(root, methods=["MaPLe", "IVLP:vit_b16_c2_ep5_batch4_2+2ctx"])
    assert {run.setting.config for run in plan.runs.values()} == {"quickstart", "vit_b16_c2_ep5_batch4_2+2ctx"}
    ablation = plan_for(root, "ablation", methods=[])  # IVLP's two designs are one where a setting is named for all
    assert len(ablation.runs) == 3 * 2


def test_all_methods_leaves_out_what_has_no_place(root: Path) -> None:
    plan = plan_for(root, "base2new", "fewshot", methods=["all"], shots=[1, 16])
    base = {plan.runs[name].setting.method for name in plan.protocols["base2new"]}
    few = {plan.runs[name].setting.method for name in plan.protocols["fewshot"]}
    assert few - base == {"LinearProbe"}
    assert any("without LinearProbe" in note for note in plan.notes)
    with pytest.raises(ValueError, match="LinearProbe knows only the classes that it was trained on"):
        plan_for(root, methods=["LinearProbe"])


def test_zero_shot_runs_once(root: Path) -> None:
    plan = plan_for(root, "fewshot", methods=["ZeroshotCLIP"], seeds=[2, 1], shots=[1, 4])
    assert list(plan.runs) == ["output/fewshot/digits/shots_4/ZeroshotCLIP/quickstart/seed2"]


def test_a_new_method_is_found(root: Path) -> None:
    folder = root / "configs" / "trainers" / "Novel"
    folder.mkdir()
    (folder / "only.yaml").write_text("")
    plan = plan_for(root, methods=["Novel"], config="")
    assert {run.setting.config for run in plan.runs.values()} == {"only"}
    (folder / "second.yaml").write_text("")
    with pytest.raises(ValueError, match=r"which setting of Novel\?.*only, second"):
        plan_for(root, methods=["Novel"], config="")


FACTS = """
name: Novel
board: inductive
place: 45
trains: little
parameters: "1"
tables: [base2new, ablation]
settings: {default: only, xd: other, fewshot: [{setting: other, datasets: [digits], max_shots: 2}, only]}
"""


def add_method(root: Path, more: str = "") -> None:
    """A method with two settings and facts, in the miniature project."""
    folder = root / "configs" / "trainers" / "Novel"
    folder.mkdir()
    for name in ("only", "other"):
        (folder / f"{name}.yaml").write_text("")
    (folder / "method.yaml").write_text(FACTS + more)
    with (root / "methods.txt").open("a") as registered:
        registered.write(" Novel")


def test_a_methods_facts_place_it_in_plans(root: Path) -> None:
    add_method(root)
    plan = plan_for(root, methods=[], config="")
    assert list(dict.fromkeys(run.setting.method for run in plan.runs.values())) == [
        *("ZeroshotCLIP", "CoOp", "Novel", "CoCoOp", "MaPLe"),
    ]
    everything, _ = all_methods(root)
    assert everything.index("CoOp") < everything.index("Novel") < everything.index("CoCoOp")
    ablation = plan_for(root, "ablation", methods=[], config="")
    assert ablation.reports() == [["ablation", "output/base2new", "--methods", "Novel", "VPT", "IVLP", "MaPLe"]]


@pytest.mark.parametrize(
    ("protocol", "dataset", "shots", "settings"),
    [
        ("base2new", "digits", [1], {"only"}),
        ("xd", "digits", [16], {"other"}),
        ("dg", "digits", [16], {"other"}),
        ("fewshot", "digits", [2], {"other"}),
        ("fewshot", "digits", [4], {"only"}),
        ("fewshot", "mnist5k", [2], {"only"}),
    ],
)
def test_a_methods_facts_give_its_setting(
    root: Path, protocol: str, dataset: str, shots: list[int], settings: set[str]
) -> None:
    add_method(root)
    plan = plan_for(root, protocol, methods=["Novel"], datasets=[dataset], shots=shots, config="")
    assert {run.setting.config for run in plan.runs.values()} == settings


@pytest.mark.parametrize(
    ("more", "seeds", "shots", "models"),
    [
        ("", {1, 2}, {1, 4}, True),
        ("draws: false", {1}, {1, 4}, True),
        ("trains_nothing: true", {1, 2}, {4}, False),
        ("draws: false\ntrains_nothing: true", {1}, {4}, False),
    ],
)
def test_a_methods_facts_say_what_matters_to_it(
    root: Path, more: str, seeds: set[int], shots: set[int], models: bool
) -> None:
    add_method(root, more)
    plan = plan_for(root, "fewshot", "base2new", methods=["Novel"], seeds=[1, 2], shots=[1, 4], config="")
    assert {run.setting.seed for run in plan.runs.values()} == seeds
    assert {run.setting.shots for run in plan.runs.values()} == shots
    assert any(run.needs for run in plan.runs.values()) is models
    assert any("they run once" in note for note in plan.notes) is (len(seeds) == 1)


def test_a_method_may_know_its_classes_only(root: Path) -> None:
    add_method(root, "known_classes_only: true")
    assert plan_for(root, "fewshot", methods=["Novel"], config="").runs
    with pytest.raises(ValueError, match="Novel knows only the classes"):
        plan_for(root, methods=["Novel"], config="")


def test_a_mistake_in_facts_is_one_sentence(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_method(root, "draw: false")
    assert main(["base2new", "--dry-run", "--gpus", "none"], root) == 2
    said = capsys.readouterr().err
    assert "Novel/method.yaml: unknown key draw: did you mean draws?" in said and len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"config": "method"}, "unknown setting of MaPLe 'method'"),
        ({"datasets": ["digits.facts"]}, "unknown dataset 'digits.facts': did you mean digits?"),
        ({"methods": ["MapLe"]}, "unknown method 'MapLe': did you mean MaPLe?"),
        ({"config": "quikstart"}, "unknown setting of MaPLe 'quikstart': did you mean quickstart?"),
        ({"methods": ["MaPLe:x"]}, "unknown setting of MaPLe 'x'"),
        ({"datasets": ["digts"]}, "unknown dataset 'digts': did you mean digits?"),
        ({"datasets": ["none.yaml"]}, "there is no dataset file none.yaml"),
        ({"options": ["SEED", "3"]}, "SEED 3: a sweep sets this key itself; use --seeds"),
        ({"options": ["DATASET.NUM_SHOTS", "3"]}, "use --shots"),
    ],
)
def test_mistakes_are_one_sentence(root: Path, change: dict, sentence: str) -> None:
    with pytest.raises(ValueError) as found:
        plan_for(root, **change)
    assert sentence in str(found.value)


def test_unknown_protocol(root: Path) -> None:
    with pytest.raises(ValueError, match="unknown protocol 'base': expected base2new, xd"):
        plan_for(root, "base")


def test_reports_name_the_output(root: Path) -> None:
    plan = plan_for(root, "base2new", "fewshot", output="results")
    assert plan.reports() == [["base2new", "results/base2new"], ["fewshot", "results/fewshot"]]


def test_planning_imports_nothing_heavy() -> None:
    """500 runs are planned in a fraction of a second only if nobody loads PyTorch for it."""
    program = (
        "import sys, sweep.cli as cli\n"
        "assert cli.main(['base2new', 'ablation', 'xd', '--dry-run', '--gpus', 'none']) == 0\n"
        "heavy = {'torch', 'numpy', 'matplotlib', 'submitit', 'yacs', 'train'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert " 517 " in done.stdout  # 220 + 264 - 66 + 99


def test_options_reach_every_run() -> None:
    plan = make_plan(Wanted(["base2new"], ["MaPLe"], ["dtd"], call=Call("d", ("OPTIM.LR", "0.1"))))
    assert all(run.arguments[-2:] == ("OPTIM.LR", "0.1") for run in plan.runs.values())


def test_a_key_that_the_sweep_sets_is_refused_in_any_pair(root: Path) -> None:
    options = ("OPTIM.LR", "0.1", "OPTIM.MAX_EPOCH", "2", "SEED", "7")
    with pytest.raises(ValueError, match="SEED 7: a sweep sets this key itself; use --seeds"):
        plan_for(root, options=options)


def test_titles_name_shots_where_they_matter(root: Path) -> None:
    plan = plan_for(root, methods=["ZeroshotCLIP", "MaPLe"], shots=[4])
    titles = {run.title for run in plan.runs.values() if run.step == "base2new_train"}
    assert titles == {"base2new_train ZeroshotCLIP digits, seed 1", "base2new_train MaPLe digits, 4 shots, seed 1"}
