"""KgCoOp: knowledge-guided context optimisation (Yao et al., CVPR 2023, arXiv 2303.13283)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from trainers.common.base import PromptTrainer
from trainers.common.encoded import Encoded
from trainers.common.frozen import distance, fill
from trainers.coop import CoOpLearner

#: The teacher's templates where they are not the dataset's.
TEMPLATES = {"DescribableTextures": "a photo of a {}, a type of texture."}


def add_config(cfg: CfgNode) -> None:
    """KgCoOp's keys."""
    cfg.TRAINER.KGCOOP = CfgNode()
    cfg.TRAINER.KGCOOP.N_CTX = 4  # b, context tokens; with CTX_INIT its number of words counts instead
    cfg.TRAINER.KGCOOP.CTX_INIT = "a photo of a"  # words that the context starts from; "" for random
    cfg.TRAINER.KGCOOP.W = 8.0  # weight of the distance to frozen CLIP's class features, at least 0
    cfg.TRAINER.KGCOOP.PREC = "auto"  # auto (fp16 on CUDA, else fp32), fp32, fp16, bf16, amp


class KgCoOpLearner(CoOpLearner):
    """CoOp's shared context before the class name."""

    # of the public class, and without effect there
    foreign = ("bias_vectors", "meta_net.")


@TRAINER_REGISTRY.register()
class KgCoOp(PromptTrainer):
    """CE + W · mean_c (1 − cos(g_c, g⁰_c)): class features stay near those of frozen CLIP under a template by hand."""

    node = "KGCOOP"

    def check_cfg(self, cfg: CfgNode) -> None:
        super().check_cfg(cfg)
        if cfg.TRAINER.KGCOOP.W < 0:
            raise ValueError(f"TRAINER.KGCOOP.W is {cfg.TRAINER.KGCOOP.W}: expected a weight of at least 0.")

    def reads_template(self) -> bool:
        return True

    def build_learner(self, node: CfgNode, classnames: list[str]) -> KgCoOpLearner:
        self.teacher = self.frozen.text(fill([self.template(TEMPLATES)], classnames))  # (C, d)
        return KgCoOpLearner(
            self.backbone, classnames, n_ctx=node.N_CTX, csc=False, ctx_init=node.CTX_INIT, position="end"
        )

    def losses(self, encoded: Encoded, labels: Tensor) -> dict[str, Tensor]:
        return {
            "ce": F.cross_entropy(encoded.logits, labels),
            "kg": self.cfg.TRAINER.KGCOOP.W * distance(encoded.text, self.teacher),
        }
