"""RAdam (arXiv 1908.03265): torch's own."""

from torch.optim import RAdam

__all__ = ["RAdam"]
