"""The methods, one file each. Importing this package registers them all.

A module here declares its config keys (``add_config(cfg)``), a `PromptLearner` and a trainer registered in
``dassl.engine.TRAINER_REGISTRY``; nothing else has to be edited for a new method. A file that cannot be imported is
named, and left out: the other methods go on.
"""

import sys
import traceback
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY

#: File name → what is wrong with it.
BROKEN: dict[str, str] = {}


def _leave_out(name: str, file: str, error: Exception) -> None:
    frames = traceback.extract_tb(error.__traceback__)
    where, line = (frames[-1].filename, frames[-1].lineno) if frames else (file, None)
    told = str(error)
    if isinstance(error, SyntaxError):  # it is where the file that it speaks of is read, not run
        where, line, told = error.filename or where, error.lineno, error.msg
    BROKEN[file] = f"{type(error).__name__}: {' '.join(told.split())} ({Path(where).name}, line {line})"
    TRAINER_REGISTRY.leave_out(f"{__name__}.{name}", file, BROKEN[file])
    print(f"{file} is broken, and its methods are left out: {BROKEN[file]}", file=sys.stderr)


def _load() -> dict[str, tuple[str, ModuleType]]:
    """Name → file and module of all that can be imported."""
    modules = {}
    for found in iter_modules(__path__):
        file = f"{Path(__path__[0]).name}/{found.name}{'/__init__' if found.ispkg else ''}.py"
        try:
            modules[found.name] = (file, import_module(f"{__name__}.{found.name}"))
        except Exception as error:  # whatever a file may raise when it is run
            _leave_out(found.name, file, error)
    return modules


_MODULES = _load()


def add_config(cfg: CfgNode) -> None:
    """Add every method's config keys, with their defaults, to a default config."""
    for name, (file, module) in list(_MODULES.items()):
        if not hasattr(module, "add_config"):
            continue
        try:
            module.add_config(cfg)
        except Exception as error:
            del _MODULES[name]
            _leave_out(name, file, error)
