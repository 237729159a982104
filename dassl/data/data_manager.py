"""Datasets, transforms and loaders of a run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from tabulate import tabulate

from dassl.utils.device import select_device
from dassl.utils.images import opened_image
from dassl.utils.tools import available_cpus

from .dataset_wrapper import DatasetWrapper, collate
from .datasets import build_dataset
from .loader import Loader, init_worker
from .samplers import build_sampler
from .transforms import INTERPOLATION_MODES, build_transform

__all__ = ["INTERPOLATION_MODES", "DataManager", "DatasetWrapper", "build_data_loader", "build_transform"]

_MB = 1_000_000
_warned_workers = False


def build_data_loader(
    cfg: Any,
    sampler_type: str = "SequentialSampler",
    data_source: Sequence[Any] | None = None,
    batch_size: int = 64,
    n_domain: int = 0,
    n_ins: int = 2,
    tfm: Callable | Sequence[Callable] | None = None,
    is_train: bool = True,
    dataset_wrapper: Callable[..., Any] | None = None,
    split: str = "",
) -> Loader:
    """A loader of dict batches.

    In training the last incomplete batch is dropped, but only if there is a complete one.

    Args:
        cfg: a config; DATALOADER, INPUT and the device keys are read.
        sampler_type: see `dassl.data.samplers.build_sampler`.
        data_source: the items.
        batch_size: images per batch.
        n_domain: for RandomDomainSampler.
        n_ins: for RandomClassSampler.
        tfm: transform, or list of transforms.
        is_train: see `DatasetWrapper`.
        dataset_wrapper: called as ``wrapper(cfg, data_source, transform=tfm, is_train=is_train)``.
        split: the split's name, for errors.

    Returns:
        The loader. Its `num_workers` is what it really uses: see `worker_count`.

    Raises:
        ValueError: there are no items, or the batch size is below 1.
    """
    items = data_source if data_source is not None else []
    if batch_size < 1:
        raise ValueError(f"batch size is {batch_size}; it must be at least 1")
    if not len(items):
        root = cfg.DATASET.ROOT or "."
        split = split or ("training" if is_train else "test")
        where = os.path.abspath(root)
        raise ValueError(f"the {split} split of dataset {cfg.DATASET.NAME!r} has no images; look below {where}")
    sampler = build_sampler(
        sampler_type, cfg=cfg, data_source=items, batch_size=batch_size, n_domain=n_domain, n_ins=n_ins
    )
    wrapper = dataset_wrapper if dataset_wrapper is not None else DatasetWrapper
    dataset = wrapper(cfg, items, transform=tfm, is_train=is_train)
    workers = worker_count(cfg, items)
    if isinstance(dataset, DatasetWrapper):
        dataset.cache_bytes = cfg.DATALOADER.get("CACHE_MB", 0) * _MB // max(1, workers)
    loader = Loader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        collate_fn=collate,
        drop_last=is_train and len(items) >= batch_size,
        pin_memory=select_device(cfg).type == "cuda",
        worker_init_fn=init_worker,
        # Other wrappers draw from the worker's own generator, which must start afresh each epoch for a resumed run.
        persistent_workers=workers > 0 and isinstance(dataset, DatasetWrapper),
    )
    loader.draws_seed = is_train
    if len(loader) == 0:
        raise ValueError(
            f"sampler {sampler_type} makes no batch of {batch_size} from the {len(items)} images of "
            f"{cfg.DATASET.NAME!r}; use a smaller batch size"
        )
    return loader


def worker_count(cfg: Any, items: Sequence[Any]) -> int:
    """How many processes load data.

    NUM_WORKERS, but no more than the CPUs this process may use (said once), and none when all images together are
    small (DATALOADER.WORKERS_ABOVE_MB, in decoded megabytes): to start processes would take longer than to decode.

    Args:
        cfg: a config.
        items: the items to be loaded.
    """
    global _warned_workers
    wanted = cfg.DATALOADER.NUM_WORKERS
    if wanted < 0:
        raise ValueError(f"DATALOADER.NUM_WORKERS is {wanted}: expected a number of processes, or 0 for none")
    if wanted == 0:
        return 0
    if _decoded_bytes(items) < cfg.DATALOADER.get("WORKERS_ABOVE_MB", 0) * _MB:
        return 0
    cpus = available_cpus()
    if wanted > cpus and not _warned_workers:
        _warned_workers = True
        print(f"DATALOADER.NUM_WORKERS is {wanted}, but this process may use {cpus} CPUs: using {cpus} workers")
    return min(wanted, cpus)


def _decoded_bytes(items: Sequence[Any], looked_at: int = 16) -> float:
    """Size of all images when decoded, estimated from the headers of a few."""
    step = max(1, len(items) // looked_at)
    sizes = []
    for item in items[::step]:
        try:
            with opened_image(item.impath) as image:
                sizes.append(image.width * image.height * 3)
        except OSError:
            continue  # it will be reported, by name, when it is read
    return len(items) * sum(sizes) / len(sizes) if sizes else 0.0


class DataManager:
    """All data of a run.

    Args:
        cfg: a config.
        custom_tfm_train: transform (or list) to use in training instead of the config's.
        custom_tfm_test: likewise for validation and test.
        dataset_wrapper: class to use instead of `DatasetWrapper`.

    Attributes:
        dataset: the `DatasetBase`.
        train_loader_x: labelled training batches.
        train_loader_u: unlabelled training batches, or None.
        val_loader: validation batches, or None.
        test_loader: test batches, or None.
    """

    def __init__(
        self,
        cfg: Any,
        custom_tfm_train: Any = None,
        custom_tfm_test: Any = None,
        dataset_wrapper: Callable[..., Any] | None = None,
    ) -> None:
        self.dataset = build_dataset(cfg)
        tfm_train = build_transform(cfg, is_train=True) if custom_tfm_train is None else custom_tfm_train
        tfm_test = build_transform(cfg, is_train=False) if custom_tfm_test is None else custom_tfm_test
        self.tfm_train, self.tfm_test = tfm_train, tfm_test
        if cfg.VERBOSE:
            _print_transform("train", tfm_train)
            _print_transform("test", tfm_test)

        def train_loader(source: Any, node: Any, split: str) -> Loader:
            return build_data_loader(
                cfg,
                sampler_type=node.SAMPLER,
                data_source=source,
                batch_size=node.BATCH_SIZE,
                n_domain=node.N_DOMAIN if node.SAMPLER == "RandomDomainSampler" else 0,
                n_ins=node.N_INS if node.SAMPLER == "RandomClassSampler" else 0,
                tfm=tfm_train,
                is_train=True,
                dataset_wrapper=dataset_wrapper,
                split=split,
            )

        def test_loader(source: Any, split: str) -> Loader:
            return build_data_loader(
                cfg,
                sampler_type=cfg.DATALOADER.TEST.SAMPLER,
                data_source=source,
                batch_size=cfg.DATALOADER.TEST.BATCH_SIZE,
                tfm=tfm_test,
                is_train=False,
                dataset_wrapper=dataset_wrapper,
                split=split,
            )

        dataset, loaders = self.dataset, cfg.DATALOADER
        self.train_loader_x = train_loader(dataset.train_x, loaders.TRAIN_X, "training")
        self.train_loader_u = None
        if dataset.train_u:  # a config of a plugin's own need not have TRAIN_U otherwise
            node_u = loaders.TRAIN_X if loaders.TRAIN_U.SAME_AS_X else loaders.TRAIN_U
            self.train_loader_u = train_loader(dataset.train_u, node_u, "unlabelled")
        self.val_loader = test_loader(dataset.val, "validation") if dataset.val else None
        self.test_loader = test_loader(dataset.test, "test") if dataset.test is not None else None
        for loader in (self.train_loader_x, self.train_loader_u, self.val_loader, self.test_loader):
            if loader is not None and isinstance(loader.dataset, DatasetWrapper):
                loader.dataset.repair_hint = getattr(dataset, "repair_hint", "")
                loader.dataset.upright = getattr(dataset, "upright", False)
        self._num_classes = dataset.num_classes
        self._num_source_domains = len(cfg.DATASET.SOURCE_DOMAINS)
        self._lab2cname = dataset.lab2cname
        if cfg.VERBOSE:
            self.show_dataset_summary(cfg)

    @property
    def num_classes(self) -> int:
        """Number of classes of the training split."""
        return self._num_classes

    @property
    def num_source_domains(self) -> int:
        """Number of source domains in the config."""
        return self._num_source_domains

    @property
    def lab2cname(self) -> dict[int, str]:
        """Label to class name."""
        return self._lab2cname

    def show_dataset_summary(self, cfg: Any) -> None:
        """Print name, domains, number of classes and of images per split."""
        rows: list[list[Any]] = [["Dataset", getattr(self.dataset, "title", "") or cfg.DATASET.NAME]]
        for title, domains in (("Source", cfg.DATASET.SOURCE_DOMAINS), ("Target", cfg.DATASET.TARGET_DOMAINS)):
            if domains:
                rows.append([title, ", ".join(domains)])
        rows.append(["# classes", f"{self.num_classes:,}"])
        for title in ("train_x", "train_u", "val", "test"):
            items = getattr(self.dataset, title)
            if items:
                rows.append([f"# {title}", f"{len(items):,}"])
        print(tabulate(rows))


def _print_transform(name: str, transform: Any) -> None:
    parts = transform if isinstance(transform, (list, tuple)) else [transform]
    for part in parts:
        steps = getattr(part, "transforms", [part])
        print(f"{name} transform: " + ", ".join(str(step) for step in steps))
