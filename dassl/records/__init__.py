"""The contract of a run's folder: its files, its record, its lock, and the question that its record answers.

Nothing here imports torch, so that a repeated command and a sweep's plan can be answered at once.
"""

from .asked import CONFIG_KEY, Asked, data_root
from .data import data_of, digests_of, sha256
from .folder import (
    LOCK_FILE,
    MARKS_FILE,
    RECORD_FILE,
    SCHEMA_VERSION,
    STATE_FILE,
    read_complete_record,
    read_record,
)
from .lock import IN_USE, OutputLock, is_locked, lock_output_dir, set_aside, was_set_aside
from .marks import Memo, Source, is_answered, take, write_marks
from .question import Question, refusal
from .schema import is_number, read_strictly
from .settings import FREE_ON_RESUME, NOT_THE_RESULT, WEIGHT_FILES, changed_settings, nested_config
from .state import State, state_of
from .weights import checkpoint_name, weights_of

__all__ = [
    "CONFIG_KEY",
    "FREE_ON_RESUME",
    "IN_USE",
    "LOCK_FILE",
    "MARKS_FILE",
    "NOT_THE_RESULT",
    "RECORD_FILE",
    "SCHEMA_VERSION",
    "STATE_FILE",
    "WEIGHT_FILES",
    "Asked",
    "Memo",
    "OutputLock",
    "Question",
    "Source",
    "State",
    "changed_settings",
    "checkpoint_name",
    "data_of",
    "data_root",
    "digests_of",
    "is_answered",
    "is_locked",
    "is_number",
    "lock_output_dir",
    "nested_config",
    "read_complete_record",
    "read_record",
    "read_strictly",
    "refusal",
    "set_aside",
    "sha256",
    "state_of",
    "take",
    "was_set_aside",
    "weights_of",
    "write_marks",
]
