"""The methods, one file each. Importing this package registers them all.

A module here declares its config keys (``add_config(cfg)``), a `PromptLearner` and a trainer registered in
``dassl.engine.TRAINER_REGISTRY``; nothing else has to be edited for a new method.
"""

from importlib import import_module
from pkgutil import iter_modules

from yacs.config import CfgNode

_MODULES = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]


def add_config(cfg: CfgNode) -> None:
    """Add every method's config keys, with their defaults, to a default config."""
    for module in _MODULES:
        if hasattr(module, "add_config"):
            module.add_config(cfg)
