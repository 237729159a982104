"""Who am I among the processes of a run: the one place that asks.

Logging, checkpoints and evaluation go through here. Today a run is one process; where `torch.distributed` has been
initialised by a launcher these functions already answer for the process group.
"""

from __future__ import annotations

from typing import Any

import torch.distributed as dist


def _active() -> bool:
    return dist.is_available() and dist.is_initialized()


def get_rank() -> int:
    """Index of this process; 0 when it is alone."""
    return dist.get_rank() if _active() else 0


def get_world_size() -> int:
    """Number of processes; 1 when this one is alone."""
    return dist.get_world_size() if _active() else 1


def is_main_process() -> bool:
    """Whether this process writes logs, checkpoints and records."""
    return get_rank() == 0


def gather_list(items: list) -> list:
    """The lists of all processes, one after the other; `items` itself when this process is alone."""
    if get_world_size() == 1:
        return items
    parts: list[Any] = [None] * get_world_size()
    dist.all_gather_object(parts, items)
    return [item for part in parts for item in part]


def barrier() -> None:
    """Wait for all processes."""
    if get_world_size() > 1:
        dist.barrier()
