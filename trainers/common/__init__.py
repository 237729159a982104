"""What methods share: the trainer, the learner, class prompts with context, frozen features, cached features."""

from trainers.common.base import add_config

__all__ = ["add_config"]
