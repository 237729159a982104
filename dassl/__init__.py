"""The engine: the public API of Dassl, as far as CLIP trainers use it, on current Python and PyTorch.

This package knows nothing of CLIP. See docs/engine.md for the page written for plugin authors.
"""

__version__ = "1.0.0"
