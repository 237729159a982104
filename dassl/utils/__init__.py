"""What everything in the engine shares: registry, files, checkpoints, meters, logger, random state."""

from .archive import extract_archive
from .checkpoint import load_checkpoint, load_state_dict, resume_from_checkpoint, save_checkpoint
from .device import select_device
from .files import atomic_path, remove_stale_temporaries
from .lock import OutputLock, lock_output_dir
from .logger import Logger, setup_logger
from .meters import AverageMeter, MetricMeter
from .registry import Registry, check_availability
from .rng import get_random_state, set_random_seed, set_random_state
from .tools import (
    check_isfile,
    collect_env_info,
    download_url,
    listdir_nohidden,
    mkdir_if_missing,
    read_image,
    read_json,
    tolist_if_not,
    write_json,
)
from .torchtools import (
    count_num_param,
    init_network_weights,
    load_pretrained_weights,
    open_all_layers,
    open_specified_layers,
)

__all__ = [
    "AverageMeter",
    "Logger",
    "MetricMeter",
    "OutputLock",
    "Registry",
    "atomic_path",
    "check_availability",
    "check_isfile",
    "collect_env_info",
    "count_num_param",
    "download_url",
    "extract_archive",
    "get_random_state",
    "init_network_weights",
    "listdir_nohidden",
    "load_checkpoint",
    "load_pretrained_weights",
    "load_state_dict",
    "lock_output_dir",
    "mkdir_if_missing",
    "open_all_layers",
    "open_specified_layers",
    "read_image",
    "read_json",
    "remove_stale_temporaries",
    "resume_from_checkpoint",
    "save_checkpoint",
    "select_device",
    "set_random_seed",
    "set_random_state",
    "setup_logger",
    "tolist_if_not",
    "write_json",
]
