"""Which settings are part of what a run computes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

#: Settings that say where and how fast a run is made. They do not change its result: runs that differ in nothing else
#: are the same.
NOT_THE_RESULT = (
    "OUTPUT_DIR",
    "RESUME",
    "VERBOSE",
    "DATASET.ROOT",
    "TRAIN.PRINT_FREQ",
    "DATALOADER.NUM_WORKERS",
    "DATALOADER.CACHE_MB",
    "DATALOADER.WORKERS_ABOVE_MB",
)

#: Settings that may differ between a run and its continuation: the above, and those that an epoch does not depend on.
FREE_ON_RESUME = (
    *NOT_THE_RESULT,
    "DATASET.TITLE",
    "DEVICE",
    "USE_CUDA",
    "TRAIN.CHECKPOINT_FREQ",
    "DATALOADER.TEST.BATCH_SIZE",
    "TEST.PER_CLASS_RESULT",
    "TEST.COMPUTE_CMAT",
    "TEST.SAVE_PREDICTIONS",
    "TEST.NO_TEST",
    "TEST.SPLIT",
    "OPTIM.MAX_EPOCH",
)

#: Where images lie; what lies there is known by the digests of the lists.
DATA_PATH = "DATASET.PATH"

#: Settings that may name a file; what is in it is known by its digest.
WEIGHT_FILES = ("MODEL.BACKBONE.NAME", "MODEL.INIT_WEIGHTS")


def nested_config(cfg: Any) -> Any:
    """A config as nested plain dicts; tuples become lists."""
    if isinstance(cfg, dict):
        return {str(key): nested_config(value) for key, value in cfg.items()}
    if isinstance(cfg, (list, tuple)):
        return [nested_config(value) for value in cfg]
    return cfg


def flat(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of nested dicts."""
    for key, value in node.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def changed_settings(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    free: Collection[str],
    defaults: Mapping[str, Any] | None = None,
    nodes: Collection[str] | None = None,
) -> Iterator[tuple[str, Any, Any]]:
    """Yield (key, old value, new value) for the settings that differ, in the order of their names.

    Args:
        old: the config of a record, as nested dicts.
        new: the config as it is now, likewise.
        free: keys that may differ.
        defaults: the config before anything was set. A key that `old` did not have yet differs only from another value
            than its default, and a key that there is no more does not count. None: every key must be in both.
        nodes: nodes of TRAINER that the method reads; others do not count. None: all do.
    """
    before, now = dict(flat(old)), dict(flat(new))
    plain = None if defaults is None else dict(flat(defaults))
    for key in sorted(before.keys() | now.keys()):
        section, *rest = key.removeprefix("TRAINER.").split(".")
        other_method = key.startswith("TRAINER.") and rest and nodes is not None and section not in nodes
        if key in free or other_method:
            continue
        if plain is not None:
            if key not in now:
                continue
            if key not in before and key in plain and now[key] == plain[key]:
                continue
        if before.get(key) != now.get(key):
            yield key, before.get(key), now.get(key)
