"""The facts that stand with methods and datasets: read as they are written, or refused in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from configs import facts
from configs.dataset import dataset_stems, read_dataset
from configs.method import FAMILIES, PROTOCOLS, read_method, setting_names
from configs.strict import read_yaml

METHOD = {
    "name": "New",
    "paper": {"title": "A paper", "venue": "CVPR", "year": 2025, "arxiv": "2501.00001"},
    "board": "llm-text",
    "place": 55,
    "tables": ["base2new", "ablation"],
    "draws": False,
    "trains_nothing": True,
    "known_classes_only": True,
    "trains": "little",
    "parameters": "1,234",
    "colour": "#0123ef",
    "design": "A design",
    "settings": {
        "default": "one",
        "xd": "two",
        "fewshot": [
            {"setting": "three", "datasets": ["dtd", "eurosat"], "max_shots": 4},
            {"setting": "two", "max_shots": 2},
            "one",
        ],
    },
    "published": {
        "source": "A paper, table 1",
        "base2new": {"Average": [80, 70.5, 75.0], "Digits": [90.0, 60.0, 72.0]},
        "xd": {"Digits": 70.0, "Average": 60.0},
        "dg": {"Digits": 50.0},
        "ablation": [1.0, 2.0, 1.33],
    },
    "rows": [
        {
            "name": "half",
            "place": 54,
            "settings": ["two", "three"],
            "where": {"TRAINER.NEW.DEPTH": 0, "TRAINER.NEW.WIDE": True},
            "trains": "less",
            "parameters": "617",
            "tables": ["ablation"],
            "published": {"source": "elsewhere", "ablation": [1.0, 2.0, 1.33]},
        }
    ],
}
MINIMAL = {key: METHOD[key] for key in ("name", "board", "place", "trains", "parameters")} | {
    "settings": {"default": "one"}
}


def write_method(root: Path, content: object) -> Path:
    """A method's folder with three settings and its facts."""
    folder = root / "configs" / "trainers" / "New"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("one", "two", "three"):
        (folder / f"{name}.yaml").write_text("SEED: 1\n")
    path = folder / "method.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def write_dataset(root: Path, stem: str, name: str, content: object) -> Path:
    folder = root / "configs" / "datasets"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}.yaml").write_text(f"# A dataset\nDATASET:\n  NAME: {name}\n")
    path = folder / f"{stem}.facts.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def changed(at: str, value: object = None) -> dict:
    """`METHOD` with the value at a dotted place set, or removed where none is given."""
    content = yaml.safe_load(yaml.safe_dump(METHOD))
    *path, last = [int(part) if part.isdigit() else part for part in at.split(".")]
    node = content
    for part in path:
        node = node[part]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return content


def test_every_key_is_read(tmp_path: Path) -> None:
    found = read_method(write_method(tmp_path, METHOD))
    assert (found.name, found.board, found.colour) == ("New", "llm-text", "#0123ef")
    assert (found.draws, found.trains_nothing, found.known_classes_only) == (False, True, True)
    assert found.paper is not None and vars(found.paper) == METHOD["paper"]
    row, (half,) = found.row, found.rows
    assert (row.method, row.name, row.place, row.trains, row.parameters) == ("New", "", 55, "little", "1,234")
    assert (row.tables, row.design, row.entry) == (("base2new", "ablation"), "A design", "New")
    printed = row.published
    assert printed is not None and printed.source == "A paper, table 1"
    assert printed.base2new == {"Average": (80.0, 70.5, 75.0), "Digits": (90.0, 60.0, 72.0)}
    assert (printed.xd, printed.dg) == ({"Digits": 70.0, "Average": 60.0}, {"Digits": 50.0})
    assert printed.ablation == (1.0, 2.0, 1.33)
    assert (half.method, half.name, half.place, half.design, half.entry) == ("New", "half", 54, "", "New:two")
    assert (half.trains, half.parameters, half.tables) == ("less", "617", ("ablation",))
    assert half.published is not None and (half.published.source, half.published.xd) == ("elsewhere", {})


def test_what_may_be_left_out(tmp_path: Path) -> None:
    found = read_method(write_method(tmp_path, MINIMAL))
    assert (found.draws, found.trains_nothing, found.known_classes_only) == (True, False, False)
    assert (found.paper, found.colour, found.rows, found.row.published) == (None, "", (), None)
    assert (found.row.tables, found.row.design) == ((), "")
    assert {found.setting(family, "dtd", 16) for family in FAMILIES} == {"one"}
    without_id = read_method(write_method(tmp_path, changed("paper.arxiv")))
    assert without_id.paper is not None and without_id.paper.arxiv == ""


@pytest.mark.parametrize(
    ("family", "dataset", "shots", "setting"),
    [
        ("base2new", "dtd", 16, "one"),
        ("xd", "dtd", 16, "two"),
        ("fewshot", "dtd", 4, "three"),
        ("fewshot", "eurosat", 1, "three"),
        ("fewshot", "dtd", 5, "one"),
        ("fewshot", "food101", 2, "two"),
        ("fewshot", "food101", 3, "one"),
    ],
)
def test_the_setting_goes_by_protocol_dataset_and_shots(
    tmp_path: Path, family: str, dataset: str, shots: int, setting: str
) -> None:
    assert read_method(write_method(tmp_path, METHOD)).setting(family, dataset, shots) == setting


def test_a_run_finds_its_row_by_what_is_recorded_else_by_its_setting(tmp_path: Path) -> None:
    found = read_method(write_method(tmp_path, METHOD))

    def row(setting: str, node: dict) -> str:
        return found.row_of(setting, {"TRAINER": {"NEW": node}}).name

    assert row("own", {"DEPTH": 0, "WIDE": True}) == "half"
    assert row("two", {"DEPTH": 9, "WIDE": True}) == ""
    assert row("own", {"DEPTH": 0, "WIDE": False}) == ""
    assert row("own", {"DEPTH": 0}) == "half"  # what is recorded fits
    assert (row("three", {}), row("two", {}), row("one", {})) == ("half", "half", "")
    assert found.row_of("two", {}).name == "half" and found.row_of("two", {"TRAINER": None}).name == "half"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (changed("name", "Old"), "method.yaml: name is 'Old': expected 'New', as the folder is called."),
        (changed("board"), "method.yaml: the key board is missing."),
        (changed("board", "inductiv"), "board is 'inductiv': did you mean inductive? expected one of inductive, llm-"),
        (changed("board", 3), "method.yaml: board is 3: expected text, in quotes."),
        (changed("place", "first"), "place is 'first': expected a whole number."),
        (changed("place", True), "place is True: expected a whole number."),
        (changed("draws", "no?"), "draws is 'no?': expected true or false."),
        (changed("tables", "base2new"), "tables is 'base2new': expected a list."),
        (changed("tables", ["base-new"]), "tables is 'base-new': did you mean base2new?"),
        (changed("tables", [1]), "tables is 1: expected text, in quotes."),
        (changed("colour", "red"), "colour is 'red': expected six hex digits"),
        (changed("xyz", 1), "method.yaml: unknown key xyz: expected name, board, paper"),
        (changed("colours", "#"), "unknown key colours: did you mean colour?"),
        ({"plaec" if key == "place" else key: value for key, value in MINIMAL.items()}, "(there is plaec)."),
        (changed("paper.year", "2025"), "paper: year is '2025': expected a whole number."),
        (changed("paper.arxiv", 2501.1), "paper: arxiv is 2501.1: expected text, in quotes."),
        (changed("paper.yaer", 1), "paper: unknown key yaer: did you mean year?"),
        (changed("settings"), "method.yaml: the key settings is missing."),
        (changed("settings.default"), "settings: the key default is missing."),
        (changed("settings.default", "onne"), "settings is 'onne': did you mean one? expected one of one, three, two."),
        (changed("settings.fewshots", "one"), "settings: unknown key fewshots: did you mean fewshot?"),
        (changed("settings.default", "method"), "settings is 'method'"),
        (changed("settings.xd", True), "settings: xd is True: expected keys with values."),
        (changed("settings.fewshot", []), "fewshot: the last setting has a condition"),
        (changed("settings.fewshot.2", {"setting": "one", "max_shots": 8}), "the last setting has a condition"),
        (
            changed("settings.fewshot.1", {"setting": "one", "shots": 8}),
            "fewshot: unknown key shots: did you mean max_s",
        ),
        (changed("settings.fewshot.1", {"max_shots": 8}), "fewshot: the key setting is missing."),
        (changed("published.source"), "published: the key source is missing."),
        (changed("published.base2new.Digits", [1.0, 2.0]), "base2new: Digits has 2 numbers: expected base, new and"),
        (changed("published.base2new.Digits", [1.0, 2.0, "3"]), "Digits is '3': expected a number from 0 to 100."),
        (changed("published.xd.Digits", 100.1), "published: xd: Digits is 100.1: expected a number from 0 to 100."),
        (changed("published.dg.Digits", -0.1), "published: dg: Digits is -0.1: expected a number from 0 to 100."),
        (changed("published.dg.Digits", True), "Digits is True: expected a number"),
        (changed("published.ablation", [1.0]), "published: ablation has 1 numbers"),
        (changed("published.base3new", {}), "published: unknown key base3new: did you mean base2new?"),
        (changed("rows.0.name"), "rows, number 1: the key name is missing."),
        (changed("rows.0.settings"), "rows, number 1: settings is missing or empty"),
        (changed("rows.0.settings", ["four"]), "rows, number 1: settings is 'four'"),
        (changed("rows.0.wehre", {}), "rows, number 1: unknown key wehre: did you mean where?"),
        (changed("rows", [1]), "rows, number 1 is 1: expected keys with values."),
        ("- 1\n", "method.yaml is [1]: expected keys with values."),
        ("", "method.yaml is None: expected keys with values."),
        ("name: [New\n", "method.yaml: no YAML at line"),
        ("name: New\nplace: 1\nname: New\n", "no YAML at line 1 (the key name stands twice)."),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, content: object, sentence: str) -> None:
    path = write_method(tmp_path, content)
    with pytest.raises(ValueError) as found:
        facts.methods(tmp_path)
    assert sentence in str(found.value) and str(path) in str(found.value) and "\n" not in str(found.value)


def test_a_dataset_is_read(tmp_path: Path) -> None:
    path = write_dataset(tmp_path, "birds", "Birds", {"place": 7, "group": "shift", "source": True, "default": True})
    found = read_dataset(path)
    assert vars(found) == {
        "stem": "birds",
        "name": "Birds",
        "place": 7,
        "group": "shift",
        "is_source": True,
        "is_default": True,
    }
    plain = read_dataset(write_dataset(tmp_path, "fish", "Fish", {"place": 3}))
    assert (plain.group, plain.is_source, plain.is_default) == ("", False, False)
    assert list(facts.datasets(tmp_path)) == ["fish", "birds"]
    assert facts.group("shift", tmp_path) == [found]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({}, "the key place is missing."),
        ({"place": "1"}, "place is '1': expected a whole number."),
        ({"place": 1, "group": "benchmarks"}, "group is 'benchmarks': did you mean benchmark?"),
        ({"place": 1, "soruce": True}, "unknown key soruce: did you mean source?"),
        ({"place": 1, "default": "yes!"}, "default is 'yes!': expected true or false."),
    ],
)
def test_a_mistake_in_a_dataset_is_one_sentence(tmp_path: Path, content: dict, sentence: str) -> None:
    path = write_dataset(tmp_path, "birds", "Birds", content)
    with pytest.raises(ValueError) as found:
        facts.datasets(tmp_path)
    assert str(found.value).startswith(str(path)) and sentence in str(found.value)


def test_a_dataset_without_its_config_or_name(tmp_path: Path) -> None:
    path = write_dataset(tmp_path, "birds", "Birds", {"place": 1})
    config = path.with_name("birds.yaml")
    config.write_text("DATASET:\n  ROOT: x\n")
    with pytest.raises(ValueError, match=r"birds\.yaml: DATASET: the key NAME is missing"):
        read_dataset(path)
    config.unlink()
    with pytest.raises(ValueError, match=r"birds\.facts\.yaml: there is no birds\.yaml beside it"):
        read_dataset(path)


@pytest.mark.parametrize(("key", "ask"), [("source", facts.source_dataset), ("default", facts.default_dataset)])
def test_one_dataset_is_the_source_and_one_the_default(tmp_path: Path, key: str, ask) -> None:
    write_dataset(tmp_path / "none", "birds", "Birds", {"place": 1})
    with pytest.raises(ValueError, match=f"'{key}: true' stands in none of .*datasets: expected one file"):
        ask(tmp_path / "none")
    for stem in ("birds", "fish"):
        write_dataset(tmp_path / "two", stem, stem.title(), {"place": 1, key: True})
    with pytest.raises(ValueError, match=r"in birds\.facts\.yaml and fish\.facts\.yaml of"):
        ask(tmp_path / "two")
    write_dataset(tmp_path / "one", "birds", "Birds", {"place": 1, key: True})
    write_dataset(tmp_path / "one", "fish", "Fish", {"place": 1})
    assert ask(tmp_path / "one").stem == "birds"


def test_methods_and_rows_stand_in_their_places(tmp_path: Path) -> None:
    for name, place, further in (("B", 20, []), ("A", 20, []), ("Z", 10, [30]), ("M", 15, [12])):
        folder = tmp_path / "configs" / "trainers" / name
        folder.mkdir(parents=True)
        (folder / "one.yaml").write_text("")
        rows = [{**METHOD["rows"][0], "place": at, "settings": ["one"]} for at in further]
        (folder / "method.yaml").write_text(yaml.safe_dump({**MINIMAL, "name": name, "place": place, "rows": rows}))
    assert list(facts.methods(tmp_path)) == ["Z", "M", "A", "B"]
    assert [row.entry for row in facts.rows(tmp_path)] == ["Z", "M:one", "M", "A", "B", "Z:one"]
    assert [facts.setting_of(row, tmp_path) for row in facts.rows(tmp_path)][:2] == ["Z/one", "M/one"]
    assert facts.in_place(["x", "B", "Z", "b", "Z"], facts.methods(tmp_path)) == ["Z", "B", "b", "x"]
    assert (facts.board_of("Z", tmp_path), facts.board_of("x", tmp_path)) == ("llm-text", "")


def test_the_settings_of_all_protocols_exist_for_every_method() -> None:
    for row in facts.rows():
        assert (facts.ROOT / "configs" / "trainers" / f"{facts.setting_of(row)}.yaml").is_file()
        assert set(row.tables) <= set(PROTOCOLS)


def test_yaml_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.yaml: cannot be read"):
        read_yaml(tmp_path / "none.yaml")


def test_facts_need_nothing_heavy() -> None:
    program = (
        "import sys; from configs import document, facts; facts.methods(); facts.datasets()\n"
        "heavy = {'torch', 'numpy', 'yacs', 'dassl', 'datasets', 'trainers'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=facts.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_files_of_facts_are_no_settings_and_no_datasets(tmp_path: Path) -> None:
    path = write_method(tmp_path, METHOD)
    assert setting_names(path.parent) == ["one", "three", "two"]
    path = write_dataset(tmp_path, "birds", "Birds", {"place": 1})
    assert dataset_stems(path.parent) == ["birds"]
