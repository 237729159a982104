"""Wrapper, loader and data manager."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from dassl.data import DataManager, DatasetWrapper
from dassl.data import dataset_wrapper as wrapper_module
from dassl.data.data_manager import build_data_loader, worker_count
from dassl.data.datasets import Datum
from dassl.data.samplers import RandomSampler
from dassl.utils import get_random_state, set_random_state

from .world import SIZE, Shades, config, items_of, write_images

WORKERS = ("DATALOADER.NUM_WORKERS", 2, "DATALOADER.WORKERS_ABOVE_MB", 0)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_images(folder)
    return folder


def train_items(root: Path) -> list[Datum]:
    return items_of(root / "shades" / "train")


def manager(root: Path, *options: Any, **more: Any) -> DataManager:
    return DataManager(config(root, root / "out", "VERBOSE", False, *options), **more)


def epoch(loader: Any) -> list[Any]:
    return [(batch["index"].tolist(), batch["img"]) for batch in loader]


def same(first: list, second: list) -> bool:
    return len(first) == len(second) and all(
        a[0] == b[0] and torch.equal(a[1], b[1]) for a, b in zip(first, second, strict=True)
    )


def test_manager(root: Path, capsys: pytest.CaptureFixture) -> None:
    dm = DataManager(config(root, root / "out", "DATASET.SOURCE_DOMAINS", ["d0"]))
    assert isinstance(dm.dataset, Shades) and (dm.num_classes, dm.num_source_domains) == (3, 1)
    assert dm.lab2cname[2] == "blue" and dm.train_loader_u is None
    batch = next(iter(dm.train_loader_x))
    assert {"img", "label", "domain", "impath", "index"} == set(batch)
    assert batch["img"].shape == (4, 3, SIZE, SIZE) and batch["label"].shape == (4,) and len(batch["impath"]) == 4
    assert sum(len(b["label"]) for b in dm.test_loader) == 24 == sum(len(b["label"]) for b in dm.val_loader)
    loader = dm.train_loader_x
    assert isinstance(loader, DataLoader) and isinstance(loader.sampler, RandomSampler)
    assert (loader.batch_size, loader.num_workers, loader.pin_memory) == (4, 0, False)
    text = capsys.readouterr().out
    assert "# train_x" in text and "24" in text and "RandomResizedCrop" in text


def test_unlabelled_data(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shades, "train_u", property(lambda self: self.train_x[:6]))
    loader = manager(root).train_loader_u
    assert loader is not None and loader.batch_size == 4
    options = ("DATALOADER.TRAIN_U.SAME_AS_X", False, "DATALOADER.TRAIN_U.BATCH_SIZE", 3)
    assert manager(root, *options).train_loader_u.batch_size == 3  # type: ignore[union-attr]


def test_views_and_lists_of_transforms(root: Path) -> None:
    batch = next(iter(manager(root, "DATALOADER.K_TRANSFORMS", 3, "DATALOADER.RETURN_IMG0", True).train_loader_x))
    assert isinstance(batch["img"], list) and len(batch["img"]) == 3 and batch["img0"].shape == (4, 3, SIZE, SIZE)
    assert not torch.equal(batch["img"][0], batch["img"][1])
    dm = manager(root, "DATALOADER.K_TRANSFORMS", 3)
    assert isinstance(next(iter(dm.test_loader))["img"], torch.Tensor)  # views are for training
    first = manager(root).tfm_test
    dm = manager(root, custom_tfm_train=[first, lambda image: first(image) * 2, first], custom_tfm_test=first)
    batch = next(iter(dm.train_loader_x))
    assert torch.equal(batch["img2"], batch["img"] * 2) and torch.equal(batch["img3"], batch["img"])
    with pytest.raises(ValueError, match="there is no transform to make views with"):
        manager(root, "DATALOADER.K_TRANSFORMS", 2, "INPUT.NO_TRANSFORM", True)
    batch = next(iter(manager(root, "INPUT.NO_TRANSFORM", True).train_loader_x))
    assert isinstance(batch["img"][0], Image.Image) and batch["label"].shape == (4,)


def test_custom_wrapper(root: Path) -> None:
    class Wrapper(DatasetWrapper):
        def __getitem__(self, idx: int) -> dict[str, Any]:
            return {**super().__getitem__(idx), "twice": 2 * idx}

    batch = next(iter(manager(root, dataset_wrapper=Wrapper).train_loader_x))
    assert torch.equal(batch["twice"], 2 * batch["index"])


def test_last_incomplete_batch(root: Path) -> None:
    cfg = config(root, root / "out")
    items = train_items(root)
    for count, batches in ((10, 2), (4, 1), (3, 1)):  # dropped only where there is a complete one
        assert len(build_data_loader(cfg, "RandomSampler", items[:count], 4)) == batches
    assert len(build_data_loader(cfg, "SequentialSampler", items[:10], 4, is_train=False)) == 3


def test_nothing_to_load(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"training split of dataset 'Shades' has no images; look below {tmp_path}"):
        manager(tmp_path)
    with pytest.raises(ValueError, match="the test split of dataset 'Shades' has no images"):
        build_data_loader(config(root, root / "out"), data_source=[], is_train=False)
    with pytest.raises(ValueError, match="batch size is 0"):
        manager(root, "DATALOADER.TRAIN_X.BATCH_SIZE", 0)
    sampling = ("DATALOADER.TRAIN_X.SAMPLER", "RandomDomainSampler", "DATALOADER.TRAIN_X.BATCH_SIZE", 100)
    with pytest.raises(ValueError, match="RandomDomainSampler makes no batch of 100 from the 24 images"):
        manager(root, *sampling)


def test_worker_count(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    items = train_items(root)
    monkeypatch.setattr("dassl.data.data_manager.available_cpus", lambda: 3)
    monkeypatch.setattr("dassl.data.data_manager._warned_workers", False)

    def count(*options: Any) -> int:
        return worker_count(config(root, root / "out", *options), items)

    assert count("DATALOADER.NUM_WORKERS", 8) == 0  # the images are tiny
    assert count("DATALOADER.NUM_WORKERS", 8, "DATALOADER.WORKERS_ABOVE_MB", 0) == 3
    assert count("DATALOADER.NUM_WORKERS", 8, "DATALOADER.WORKERS_ABOVE_MB", 0) == 3
    assert count("DATALOADER.NUM_WORKERS", 2, "DATALOADER.WORKERS_ABOVE_MB", 0) == 2
    assert count("DATALOADER.NUM_WORKERS", 0, "DATALOADER.WORKERS_ABOVE_MB", 0) == 0
    with pytest.raises(ValueError, match=r"DATALOADER\.NUM_WORKERS is -1: expected a number of processes"):
        count("DATALOADER.NUM_WORKERS", -1)
    assert capsys.readouterr().out.count("NUM_WORKERS is 8, but this process may use 3 CPUs") == 1


# ---- randomness


def test_batches_do_not_depend_on_the_number_of_workers(root: Path) -> None:
    runs = []
    for options in ((), WORKERS):
        torch.manual_seed(4)
        loader = manager(root, *options).train_loader_x
        runs.append(epoch(loader) + epoch(loader))
        loader.close()
        state = torch.get_rng_state()
    assert same(*runs)
    assert torch.equal(state, torch.get_rng_state())


def test_augmentation_differs_from_epoch_to_epoch(root: Path) -> None:
    loader = manager(root).train_loader_x
    first = {i: image for indices, images in epoch(loader) for i, image in zip(indices, images, strict=True)}
    second = {i: image for indices, images in epoch(loader) for i, image in zip(indices, images, strict=True)}
    assert sum(torch.equal(first[i], second[i]) for i in first) < len(first)


def test_evaluation_draws_nothing(root: Path) -> None:
    dm = manager(root)
    before = torch.get_rng_state()
    epoch(dm.test_loader)
    assert torch.equal(before, torch.get_rng_state())


class Noisy:
    """A wrapper of a plugin's own, which draws from the generators as it likes."""

    def __init__(self, cfg: Any, data_source: Any, transform: Any = None, is_train: bool = False) -> None:
        self.data_source = data_source

    def __len__(self) -> int:
        return len(self.data_source)

    def __getitem__(self, idx: int) -> dict[str, Any]:
        noise = torch.rand(2) + float(np.random.rand())
        return {"img": noise, "label": self.data_source[idx].label, "index": int(idx)}


@pytest.mark.parametrize("options", [(), WORKERS])
@pytest.mark.parametrize("wrapper", [None, Noisy])
@pytest.mark.parametrize("done", [1, 3, 6])
def test_an_epoch_goes_on_in_its_middle(root: Path, options: tuple, wrapper: Any, done: int) -> None:
    torch.manual_seed(4)
    np.random.seed(4)
    loader = manager(root, *options, dataset_wrapper=wrapper).train_loader_x
    start, whole, middle = get_random_state(), [], None
    for number, batch in enumerate(loader, 1):
        whole.append((batch["index"].tolist(), batch["img"]))
        torch.rand(1)  # the training step draws as well
        if number == done:
            middle = get_random_state()
    loader.close()
    after = torch.rand(1)
    fresh = manager(root, *options, dataset_wrapper=wrapper).train_loader_x
    set_random_state(start)
    fresh.start_at(done, middle)
    rest = []
    for batch in fresh:
        rest.append((batch["index"].tolist(), batch["img"]))
        torch.rand(1)
    fresh.close()
    assert same(rest, whole[done:])
    assert torch.equal(torch.rand(1), after)


# ---- errors


@pytest.mark.parametrize("options", [(), WORKERS])
@pytest.mark.parametrize("damage", ["gone", "damaged"])
def test_bad_image_is_named(tmp_path: Path, options: tuple, damage: str) -> None:
    write_images(tmp_path)
    path = sorted((tmp_path / "shades" / "train").glob("*.png"))[3]
    loader = manager(tmp_path, *options).train_loader_x
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:60])
    kind = FileNotFoundError if damage == "gone" else OSError
    with pytest.raises(kind) as caught:
        epoch(loader)
    loader.close()
    told = str(caught.value)
    assert str(path) in told and "\n" not in told
    assert told.startswith("image file not found" if damage == "gone" else "cannot read image")


# ---- what plugins do to loaders


@pytest.mark.parametrize("options", [(), WORKERS])
def test_replaced_transform_and_deep_copies(root: Path, options: tuple) -> None:
    loader = manager(root, *options).train_loader_x
    epoch(loader)
    twin = copy.deepcopy(loader)
    twin.dataset.transform = lambda image: torch.zeros(1)
    assert all(not images.any() for _, images in epoch(twin))
    assert any(images.any() for _, images in epoch(loader))
    loader.dataset.transform = twin.dataset.transform  # while worker processes live
    assert all(not images.any() for _, images in epoch(loader))
    other = DataLoader(
        loader.dataset,
        batch_size=loader.batch_size,
        sampler=loader.sampler,
        num_workers=0,
        pin_memory=loader.pin_memory,
    )
    assert len(epoch(other)) == 6
    for one in (loader, twin):
        one.close()
    assert copy.deepcopy(manager(root).test_loader).generator is None


@pytest.mark.parametrize(("megabytes", "decoded"), [(512, 24), (0, 48)])
def test_training_images_are_decoded_once(
    root: Path, monkeypatch: pytest.MonkeyPatch, megabytes: int, decoded: int
) -> None:
    paths = []
    read = wrapper_module.read_image
    monkeypatch.setattr(wrapper_module, "read_image", lambda path, upright: paths.append(path) or read(path))
    dm = manager(root, "DATALOADER.CACHE_MB", megabytes)
    torch.manual_seed(1)
    first = epoch(dm.train_loader_x) + epoch(dm.train_loader_x)
    assert len(paths) == decoded
    monkeypatch.undo()
    torch.manual_seed(1)
    loader = manager(root, "DATALOADER.CACHE_MB", 512 - megabytes).train_loader_x
    assert same(epoch(loader) + epoch(loader), first)
    assert copy.deepcopy(dm.train_loader_x.dataset)._cache == {}


def test_cache_keeps_to_its_budget_and_hands_out_copies(root: Path) -> None:
    dataset = DatasetWrapper(config(root, root / "out"), train_items(root), transform=None, is_train=True)
    dataset.cache_bytes = 3 * (SIZE * (SIZE + 2) * 3)
    for index in range(6):
        dataset[index]
    assert len(dataset._cache) == 3
    image = dataset[0]["img"]
    image.paste((0, 0, 0), (0, 0, SIZE, SIZE))
    assert np.asarray(dataset[0]["img"]).any()


def test_worker_survives_a_signal_to_the_group(root: Path) -> None:
    loader = manager(root, *WORKERS).train_loader_x
    iterator = iter(loader)
    next(iterator)
    assert loader._iterator is not None
    for worker in loader._iterator._workers:
        for number in (15, 2):
            os.kill(worker.pid, number)
    assert len(list(iterator)) == 5
    loader.close()
