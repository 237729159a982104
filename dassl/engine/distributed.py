"""Who am I among the processes of a run (the functions live in `dassl.utils`, where evaluators find them as well)."""

from dassl.utils.distributed import barrier, gather_list, get_rank, get_world_size, is_main_process

__all__ = ["barrier", "gather_list", "get_rank", "get_world_size", "is_main_process"]
