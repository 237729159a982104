"""The registry of datasets."""

from __future__ import annotations

from typing import Any

from dassl.utils.registry import Registry, check_availability

from .base_dataset import DatasetBase

#: Classes that are called with the config and return a `DatasetBase`. Few-shot sampling, base/new halves and the like
#: happen in their constructors.
DATASET_REGISTRY = Registry("DATASET")


def build_dataset(cfg: Any) -> DatasetBase:
    """The dataset that ``cfg.DATASET.NAME`` names.

    Raises:
        ValueError: there is no such dataset; the message lists those there are and the nearest.
    """
    name = cfg.DATASET.NAME
    check_availability(name, DATASET_REGISTRY.registered_names())
    if cfg.VERBOSE:
        print(f"Loading dataset: {name}")
    return DATASET_REGISTRY.get(name)(cfg)
