"""One process per output folder: the lock belongs to the contract of a run's folder, `dassl.records`."""

from dassl.records.lock import OutputLock, lock_output_dir

__all__ = ["OutputLock", "lock_output_dir"]
