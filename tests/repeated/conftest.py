"""Runs of the smallest kind through train.py."""

import pytest
from PIL import Image

import train
from tests.command import call_train
from tests.stubs import random_clip, save_state_dict
from tests.trainers.conftest import SHAPE


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_state_dict(random_clip(11, **SHAPE), tmp_path_factory.mktemp("weights") / "clip.pt")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("root")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MAPLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DATA", raising=False)


@pytest.fixture
def call(weights, root, tmp_path, capsys, monkeypatch):
    """call(*arguments, KEY VALUE…) → exit code, standard output, standard error of a zero-shot run, unless said."""

    def run(*words, trainer="ZeroshotCLIP", out="run", **flags):
        given = {"root": root, "backbone": weights, **flags}
        argv = ["--trainer", trainer, "--output-dir", str(tmp_path / out)]
        argv += [part for name, value in given.items() if value for part in (f"--{name}", str(value))]
        split = next((i for i, word in enumerate(words) if word[0].isupper()), len(words))
        argv += [*words[:split], "OPTIM.MAX_EPOCH", "1", "DATASET.NUM_SHOTS", "1", *words[split:]]
        return call_train(argv, monkeypatch, capsys)

    return run


@pytest.fixture
def slow(monkeypatch):
    """How often a config was built, which only the full comparison and a run do."""
    built = []
    original = train.build_config
    monkeypatch.setattr(train, "build_config", lambda args: (built.append(args), original(args))[1])
    return built


@pytest.fixture
def own(tmp_path):
    """Three classes of one's own, five images each, in a format whose size does not depend on what is shown."""
    for number, name in enumerate(("ant", "bee", "cat")):
        for i in range(5):
            file = tmp_path / "own" / name / f"{i}.bmp"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4), (number * 80, i * 40, 0)).save(file)
    return tmp_path / "own"
