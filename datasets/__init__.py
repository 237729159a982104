"""The datasets. One file each; a new file in this folder is imported, and so registered, by being here.

A dataset class is registered in `dassl.data.datasets.DATASET_REGISTRY`, takes the config as its only argument, and
states its `facts` (see facts.py) and its zero-shot `template`.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

for _module in pkgutil.iter_modules(__path__):
    # __main__ is the command line, not a dataset
    if not _module.ispkg and not _module.name.startswith("__"):
        importlib.import_module(f"{__name__}.{_module.name}")

from .folder import settle_path, settle_title  # noqa: E402

__all__ = ["add_config", "settle_path", "settle_title"]


def add_config(cfg: Any) -> None:
    """Add the keys of cfg.DATASET that the datasets here read, beyond the engine's ROOT, NAME and NUM_SHOTS."""
    # which half of the classes: all, base or new
    cfg.DATASET.SUBSAMPLE_CLASSES = "all"
    # dataset Folder only: the folder or the CSV file with the images
    cfg.DATASET.PATH = ""
    # what results are called in records, tables and folders; empty: DATASET.NAME, but for dataset Folder the name of
    # its YAML, or of the folder or CSV file
    cfg.DATASET.TITLE = ""
    # prompt for zero-shot classification, e.g. "a photo of a {}."; empty: the dataset's own
    cfg.DATASET.TEMPLATE = ""
