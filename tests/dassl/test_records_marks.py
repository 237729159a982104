"""Marks: a repeated command is answered only if every file that the answer depends on is as it was."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dassl.records import Asked, Source, is_answered, marks, take, write_marks

from .test_records import WHOLE

CONFIGS = [Source("content", "config_file", ""), Source("content", "dataset_config_file", "")]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with config files, images, a data root and a complete run."""
    monkeypatch.delenv("DATA", raising=False)
    folder = tmp_path / "work"
    for name, text in {
        "method.yaml": "A: 1",
        "dataset.yaml": "B: 1",
        "pictures/a/1.png": "one",
        "pictures/b/2.png": "two",
        "data/digits/split.json": "[]",
        "run/run.json": json.dumps(WHOLE),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def command(work: Path, *words: str, **more: Any) -> Asked:
    options = {"trainer": "M", "config_file": "method.yaml", "dataset_config_file": "dataset.yaml", **more}
    return Asked(options, words, work, work)


def marked(work: Path, asked: Asked, *sources: Source) -> Path:
    """The run's folder, with the marks of a command."""
    write_marks(work / "run", asked, take(asked, [*CONFIGS, *sources]))
    return work / "run"


def test_the_same_command(work: Path) -> None:
    asked = command(work, "K", "v", seed=1)
    run = marked(work, asked)
    assert is_answered(run, asked)
    assert is_answered(run, command(work, "K", "v", seed="1", root="elsewhere", output_dir="x", force=True))
    for other in (
        command(work, "K", "w", seed=1),
        command(work, seed=1),
        command(work, "K", "v", seed=2),
        command(work, "K", "v"),
        command(work, "K", "v", seed=1, eval_only=True),
        command(work, "K", "v", seed=1, transforms=["a"]),
    ):
        assert not is_answered(run, other)


def test_no_record_and_no_marks(work: Path) -> None:
    asked = command(work)
    assert not is_answered(work / "none", asked) and not is_answered(work / "run", asked)
    run = marked(work, asked)
    shutil.copytree(run, work / "copy")
    assert is_answered(work / "copy", asked)
    (run / "run.json").write_text(json.dumps({**WHOLE, "end_utc": "later"}))
    assert not is_answered(run, asked)  # the marks are of another record
    (work / "copy" / "run.json").unlink()
    assert not is_answered(work / "copy", asked)


@pytest.mark.parametrize("name", ["method.yaml", "dataset.yaml"])
def test_an_edited_config_file(work: Path, name: str) -> None:
    run = marked(work, command(work))
    stamp = os.stat(work / name)
    (work / name).write_text("A: 2")
    os.utime(work / name, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # its content counts, whatever its time says
    assert not is_answered(run, command(work))
    (work / "other").mkdir()
    shutil.copy(work / "method.yaml", work / "other" / "method.yaml")
    assert is_answered(marked(work, command(work)), command(work, config_file="other/method.yaml"))
    shutil.copy(work / "method.yaml", work / "other" / "name.yaml")
    assert not is_answered(run, command(work, config_file="other/name.yaml"))


@pytest.mark.parametrize("kind", ["tree", "files", "times"])
def test_folders_of_images(work: Path, kind: str) -> None:
    """Every mark sees files come and go; those of one's own images see an edited one too."""
    source = Source(kind, "work", "pictures/a" if kind == "files" else "pictures")
    run = marked(work, command(work), source)
    asked = command(work)

    def answered() -> bool:
        return is_answered(run, asked)

    assert answered()
    (work / "pictures" / "a" / ".hidden").write_text("")
    os.utime(work / "pictures" / "a", ns=(0, 0))
    run = marked(work, asked, source)
    image = work / "pictures" / "a" / "1.png"
    stamp = os.stat(image)
    image.write_text("edited")
    assert answered() == (kind == "times")
    image.write_text("one")
    os.utime(image, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert answered()
    (work / "pictures" / "a" / "3.png").write_text("three")
    assert not answered()
    (work / "pictures" / "a" / "3.png").unlink()
    assert answered() == (kind != "times")  # a time that differs costs a comparison
    run = marked(work, asked, source)
    (work / "pictures" / "c").mkdir()
    assert answered() == (kind == "files")
    (work / "pictures" / "c").rmdir()
    run = marked(work, asked, source)
    image.unlink()
    assert not answered()
    shutil.rmtree(work / "pictures")
    assert not answered()


def test_a_tree_with_links_that_lead_back_up(work: Path) -> None:
    os.symlink(work / "pictures", work / "pictures" / "a" / "up")
    os.symlink(work / "nowhere", work / "pictures" / "a" / "dangling")
    run = marked(work, command(work), Source("tree", "work", "pictures"))
    assert is_answered(run, command(work))
    (work / "pictures" / "b" / "deep").mkdir()
    (work / "pictures" / "b" / "deep" / "4.png").write_text("")
    assert not is_answered(run, command(work))


def test_a_relative_path_from_another_working_folder(work: Path, tmp_path: Path) -> None:
    run = marked(work, command(work), Source("tree", "work", "pictures"))
    other = tmp_path / "other"
    shutil.copytree(work, other)  # keeps sizes and times
    there = replace(command(other), project=work)
    assert is_answered(run, there)
    (other / "pictures" / "a" / "1.png").write_text("something else")
    assert not is_answered(run, there) and is_answered(run, command(work))


def test_the_data_root_that_is_asked_for_counts(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = Source("content", "root", "digits/split.json")
    run = marked(work, command(work), split)
    (tmp_path / "far" / "digits").mkdir(parents=True)
    (tmp_path / "far" / "digits" / "split.json").write_text("[]")
    far = str(tmp_path / "far")
    (work / "data" / "digits" / "split.json").write_text("[1]")
    assert not is_answered(run, command(work))
    assert is_answered(run, command(work, root=far))
    monkeypatch.setenv("DATA", far)
    assert is_answered(run, command(work))
    assert not is_answered(run, command(work, root="data"))
    (tmp_path / "far" / "digits" / "split.json").write_text("[2]")
    assert not is_answered(run, command(work))


def test_a_pair_that_names_the_data_root(work: Path, tmp_path: Path) -> None:
    asked = command(work, "DATASET.ROOT", "data", root=str(tmp_path))
    run = marked(work, asked, Source("content", "root", "digits/split.json"))
    assert is_answered(run, asked)
    (work / "data" / "digits" / "split.json").write_text("[1]")
    assert not is_answered(run, asked)


def test_a_root_of_the_config_files(work: Path) -> None:
    asked, split = command(work), Source("content", "root", "split.json")
    write_marks(work / "run", asked, take(asked, [*CONFIGS, split], "data/digits"), "data/digits")
    assert is_answered(work / "run", asked)
    (work / "data" / "digits" / "split.json").write_text("[1]")
    assert not is_answered(work / "run", asked)


def test_a_file_that_was_not_there(work: Path) -> None:
    run = marked(work, command(work), Source("content", "work", "classnames.txt"))
    assert is_answered(run, command(work))
    (work / "classnames.txt").write_text("a")
    assert not is_answered(run, command(work))


def test_large_files_are_read_only_if_their_time_or_size_differs(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = work / "weights.pt"
    weights.write_text("weights")
    run = marked(work, command(work), Source("content", "", str(weights), large=True))
    read: list[Path] = []

    def content(path: Path) -> str:
        read.append(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setitem(marks.MEASURES, "content", content)
    assert is_answered(run, command(work)) and weights not in read
    os.utime(weights, ns=(0, 0))
    assert is_answered(run, command(work)) and weights in read
    weights.write_text("WEIGHTS")
    assert not is_answered(run, command(work))


def test_the_model_that_is_asked_for(work: Path) -> None:
    for name in ("first", "second"):
        (work / name / "net").mkdir(parents=True)
        (work / name / "net" / "model.pth.tar-1").write_text("weights")
    sources = [
        Source("content", "model_dir", "net/model.pth.tar-1", large=True),
        Source("checkpoint", "model_dir", "net"),
    ]
    run = marked(work, command(work, eval_only=True, model_dir="first"), *sources)
    second = command(work, eval_only=True, model_dir="second")
    assert is_answered(run, second)  # the same weights elsewhere
    (work / "second" / "net" / "model.pth.tar-2").write_text("trained for longer")
    assert not is_answered(run, second)
    assert is_answered(run, command(work, eval_only=True, model_dir="first"))
    (work / "first" / "net" / "model.pth.tar-1").write_text("trained again")
    assert not is_answered(run, command(work, eval_only=True, model_dir="first"))
    assert not is_answered(run, command(work, eval_only=True))


def test_what_was_measured_is_remembered_where_asked(work: Path) -> None:
    run = marked(work, command(work))
    memo: dict = {}
    assert is_answered(run, command(work), memo) and len(memo) == 2
    (work / "method.yaml").write_text("A: 2")
    assert is_answered(run, command(work), memo) and not is_answered(run, command(work), {})


json_values = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["kind", "place"]), inner)),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.sampled_from(["format", "record", "asked", "root", "marks", "all"]), json_values)
def test_marks_of_another_form_answer_nothing(work: Path, key: str, value: Any) -> None:
    run = marked(work, command(work), Source("tree", "work", "pictures"))
    content = json.loads((run / "marks.json").read_text())
    wrong = value if key == "all" else {**content, key: value}
    (run / "marks.json").write_text(json.dumps(wrong))
    assert is_answered(run, command(work)) == (wrong == content or key == "root")


@pytest.mark.parametrize("content", ["{", "[" * 100_000, "", "[]", "null"])
def test_marks_that_cannot_be_read(work: Path, content: str) -> None:
    (work / "run" / "marks.json").write_text(content)
    assert not is_answered(work / "run", command(work))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(work: Path) -> None:
    (work / "run").chmod(0o555)
    marked(work, command(work))
    assert not is_answered(work / "run", command(work))


def test_a_disk_that_is_full(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dassl.records.marks.os.replace", full)
    run = marked(work, command(work))
    assert [path.name for path in run.iterdir()] == ["run.json"]


def test_arguments_of_a_sweep(work: Path) -> None:
    words = ["--trainer", "M", "--root", "r", "--seed", "1", "--output-dir", "o", "--config-file", "c/x.yaml"]
    words += ["--dataset-config-file", "d/y.yaml", "--force", "--eval-only", "--model-dir", "m", "K", "v"]
    asked = Asked.from_arguments(words, work)
    assert asked.question() == {
        "options": {
            "trainer": "M",
            "seed": "1",
            "config_file": "x",
            "dataset_config_file": "y",
            "eval_only": True,
        },
        "pairs": ["K", "v"],
    }
    assert asked.place("model_dir") == work / "m" and asked.place("root") == work / "r"
