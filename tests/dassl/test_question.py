"""What a run is asked for, built without a model, and what its answer depends on."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from dassl.config import get_cfg_default
from dassl.engine import TRAINER_REGISTRY
from dassl.engine.build import nodes_of
from dassl.engine.question import build_question, file_digests, sources_of
from dassl.engine.run_record import build_run_record
from dassl.records import Source, refusal
from dassl.utils import set_random_seed

from .world import Shades, Tiny, config, write_images

NO_MODEL: dict[str, Any] = {"eval_only": False, "model_dir": "", "load_epoch": None}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_images(folder)
    return folder


def test_a_record_answers_its_own_question(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    cfg = config(root, tmp_path / "out", "DATASET.NUM_SHOTS", 2)  # drawn from the global generator
    question, dataset = build_question(cfg, get_cfg_default(), {}, **NO_MODEL)
    assert isinstance(dataset, Shades) and capsys.readouterr().out == "" and not (tmp_path / "out").exists()
    set_random_seed(cfg.SEED)
    trainer = Tiny(cfg)
    trainer.test()
    record = build_run_record(trainer)
    assert list(question.differences(record)) == []
    other = config(root, tmp_path / "out", "DATASET.NUM_SHOTS", 2, "SEED", 2, "OPTIM.LR", 0.5, "VERBOSE", False)
    question, _ = build_question(other, get_cfg_default(), {}, **NO_MODEL)
    assert list(question.differences(record)) == [
        "OPTIM.LR: 0.01 → 0.5",
        "SEED: 1 → 2",
        "other training images, or in another order",
    ]


def test_a_long_list_of_differences_is_cut() -> None:
    told = refusal("out", [f"K{number}: a → b" for number in range(9)])
    assert "K5: a → b; and 3 more)" in told and "K6" not in told and told.startswith("out holds a complete run")
    assert "more" not in refusal("out", ["K: a → b"] * 6)


def test_files_that_settings_name(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    assert file_digests({"A": ("", tmp_path / "w"), "B": ("of:", tmp_path / "w")}) == {"A": digest, "B": f"of:{digest}"}


class Told:
    """A dataset that says what its lists are read from."""

    def list_sources(self) -> list[Source]:
        return [Source("content", "root", "split.json")]


def test_what_an_answer_depends_on(root: Path, tmp_path: Path) -> None:
    cfg = config(root, tmp_path / "out", "MODEL.BACKBONE.NAME", "clip.pt")
    files = {"MODEL.BACKBONE.NAME": ("", Path("clip.pt")), "MODEL.INIT_WEIGHTS": ("", tmp_path / "init.pt")}
    project = Path(__file__).resolve().parents[2]

    def sources(dataset: Any, weights: Any = None, model_dir: str = "", epoch: int | None = None) -> Any:
        return sources_of(cfg, dataset, files, project, weights=weights or {}, model_dir=model_dir, load_epoch=epoch)

    assert sources(object()) is None
    found = sources(Told())
    assert found[0] == Source("content", "root", "split.json")
    paths = {(source.place, source.path) for source in found}
    assert {("project", "dassl/config/defaults.py"), ("project", "tests/dassl/world.py")} <= paths
    assert {("work", "clip.pt"), ("", str(tmp_path / "init.pt"))} <= paths
    assert not any("engine/trainer.py" in path or "typing" in path for _, path in paths)
    weights = {"files": {"net/model.pth.tar-3": "ab"}, "run": None}
    net = Source("content", "model_dir", "net/model.pth.tar-3", large=True)
    assert sources(Told(), weights, "m")[len(found) :] == [net, Source("checkpoint", "model_dir", "net")]
    assert sources(Told(), weights, "m", 3)[len(found) :] == [net]
    assert sources(Told(), {}, "m")[len(found) :] == [Source("content", "model_dir", "run.json")]
    cfg = config(root, tmp_path / "out", "MODEL.BACKBONE.NAME", "~/clip.pt")  # which depends on whose home it is
    assert sources(Told()) is None


def test_a_function_may_be_registered_as_a_trainer(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def Made(cfg: Any) -> Tiny:
        return Tiny(cfg)

    monkeypatch.setitem(TRAINER_REGISTRY._obj_map, "Made", Made)
    assert nodes_of(TRAINER_REGISTRY.get("Made")) is None
    cfg = config(root, tmp_path / "out", "TRAINER.NAME", "Made")
    found = sources_of(cfg, Told(), {}, Path(__file__).resolve().parents[2], weights={}, model_dir="", load_epoch=None)
    assert found and any(source.path == "tests/dassl/test_question.py" for source in found)


NODES = {
    "one": ({"node": "A"}, ("A",)),
    "further": ({"node": "A", "nodes": ("B", "A")}, ("A", "B")),
    "several": ({"nodes": ["A", "B"]}, ("A", "B")),
    "none": ({}, None),
    "of another meaning": ({"node": 3, "nodes": {"a": 1}}, None),
}


@pytest.mark.parametrize(("attributes", "nodes"), NODES.values(), ids=NODES)
def test_nodes_that_a_trainer_reads(attributes: dict[str, Any], nodes: tuple[str, ...] | None) -> None:
    assert nodes_of(type("Trainer", (), attributes)) == nodes
