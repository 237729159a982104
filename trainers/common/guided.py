"""Class features held to those of frozen CLIP, as KgCoOp (arXiv 2303.13283) and those after it do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor
from yacs.config import CfgNode

from trainers.common.base import PromptTrainer
from trainers.common.encoded import Encoded
from trainers.common.frozen import fill


class KnowledgeGuided(PromptTrainer):
    """CE + W · mean_c (1 − cos(g_c, g⁰_c)), over all classes of the run; g⁰ is frozen CLIP's under one template.

    The method's node has the key W. ``build_learner`` calls `set_teacher`.

    Attributes:
        templates: of the teacher, by name of the dataset, where they are not the dataset's.
        teacher: g⁰, (C, d), not normalised.
    """

    templates: ClassVar[Mapping[str, str]] = {}
    teacher: Tensor

    def check_cfg(self, cfg: CfgNode) -> None:
        super().check_cfg(cfg)
        weight = cfg.TRAINER[self.node].W
        if weight < 0:
            raise ValueError(f"TRAINER.{self.node}.W is {weight}: expected a weight of at least 0.")

    def reads_template(self) -> bool:
        return True

    def set_teacher(self, classnames: list[str]) -> None:
        """Compute g⁰ for these classes."""
        self.teacher = self.frozen.text(fill([self.template(self.templates)], classnames))

    def losses(self, encoded: Encoded, labels: Tensor) -> dict[str, Tensor]:
        distance = 1 - F.cosine_similarity(encoded.text, self.teacher, dim=-1).mean()
        return {
            "ce": F.cross_entropy(encoded.logits, labels),
            "kg": self.cfg.TRAINER[self.node].W * distance,
        }
