"""A small CLIP on disk, real digits, and the configuration of a run on them."""

import shutil

import pytest

import datasets
import trainers
from dassl.config import get_cfg_default
from tests.datasets.miniatures import write_images, write_lines
from tests.stubs import random_clip, save_state_dict
from train import HERE

# as many layers as the quickstart's settings have prompts for
SHAPE = {
    "embed_dim": 128,
    "image_resolution": 32,
    "context_length": 24,
    "text_layers": 4,
    "vision_layers": 4,
    "vision_width": 128,
}


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    return save_state_dict(random_clip(11, **SHAPE), tmp_path_factory.mktemp("weights") / "clip.pt")


@pytest.fixture(scope="session")
def data_root(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def house(tmp_path):
    """A copy of what a run needs, to put files into."""
    copy = tmp_path / "house"
    copy.mkdir()
    for name in ("train.py", "trainers", "configs", "datasets", "dassl", "prompted_clip"):
        source = HERE / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    return copy


@pytest.fixture
def own(tmp_path):
    """own(*class names) → KEY VALUE pairs for a dataset Folder of small images with these names, equal ones allowed."""

    def make(*names):
        folder = tmp_path / f"own{len(list(tmp_path.glob('own*')))}"
        write_images(folder, [f"{i:02d}/{k}.jpg" for i in range(len(names)) for k in range(4)])
        write_lines(folder / "classnames.txt", [f"{i:02d} {name}" for i, name in enumerate(names)])
        return ["DATASET.NAME", "Folder", "DATASET.PATH", str(folder), "DATASET.SUBSAMPLE_CLASSES", "all"]

    return make


@pytest.fixture
def make_config(weights, data_root, tmp_path):
    """make_config(trainer, *KEY VALUE) → a config of the method's quickstart, on the stub, one epoch of few steps."""

    def make(trainer, *options, out="run"):
        cfg = get_cfg_default()
        datasets.add_config(cfg)
        trainers.add_config(cfg)
        cfg.merge_from_file(str(HERE / "configs/datasets/digits.yaml"))
        cfg.merge_from_file(str(HERE / f"configs/trainers/{trainer}/quickstart.yaml"))
        cfg.TRAINER.NAME = trainer
        fixed = ["MODEL.BACKBONE.NAME", str(weights), "DATASET.ROOT", str(data_root), "OPTIM.MAX_EPOCH", 1]
        fixed += ["DATASET.NUM_SHOTS", 2, "OUTPUT_DIR", str(tmp_path / out), "VERBOSE", False]
        cfg.merge_from_list([*fixed, *options])
        return cfg

    return make
