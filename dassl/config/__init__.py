"""Configuration: the default tree and the node class whose errors name the nearest known key.

Nothing here imports torch, so that a command line can answer ``--help`` at once.
"""

from .defaults import clean_cfg, get_cfg_default
from .node import CfgNode

__all__ = ["CfgNode", "clean_cfg", "get_cfg_default"]
