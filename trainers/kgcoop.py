"""KgCoOp: knowledge-guided context optimisation (Yao et al., CVPR 2023, arXiv 2303.13283)."""

from __future__ import annotations

from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from trainers.common.guided import KnowledgeGuided
from trainers.coop import CoOpLearner


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
class KgCoOp(KnowledgeGuided):
    """CoOp's context, with class features that stay near those of frozen CLIP under a template by hand."""

    node = "KGCOOP"
    templates = {"DescribableTextures": "a photo of a {}, a type of texture."}

    def build_learner(self, node: CfgNode, classnames: list[str]) -> KgCoOpLearner:
        self.set_teacher(classnames)
        return KgCoOpLearner(
            self.backbone, classnames, n_ctx=node.N_CTX, csc=False, ctx_init=node.CTX_INIT, position="end"
        )
