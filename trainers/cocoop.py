"""CoCoOp: conditional context optimisation (Zhou et al., CVPR 2022, arXiv 2203.05557)."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from prompted_clip import Backbone, Prompts
from trainers.common.base import PromptTrainer
from trainers.common.context import init_context
from trainers.common.learner import PromptLearner

#: The meta-network's bottleneck is this many times narrower than the joint space.
REDUCTION = 16


def add_config(cfg: CfgNode) -> None:
    """CoCoOp's keys."""
    cfg.TRAINER.COCOOP = CfgNode()
    cfg.TRAINER.COCOOP.N_CTX = 4  # b, context tokens
    cfg.TRAINER.COCOOP.CTX_INIT = "a photo of a"  # words that the context starts from; "" for random
    cfg.TRAINER.COCOOP.PREC = "auto"  # auto (fp16 on CUDA, else fp32), fp32, fp16, bf16, amp


class CoCoOpLearner(PromptLearner):
    """Context of image i = ctx + meta_net(normalised feature of image i), added to every context token.

    meta_net = Linear(d, d / 16), ReLU, Linear(d / 16, d_l).

    Args:
        backbone: the frozen CLIP.
        classnames: one name per class.
        n_ctx: b, context tokens.
        ctx_init: words that the context starts from (see `init_context`).
    """

    per_image = True

    def __init__(self, backbone: Backbone, classnames: list[str], *, n_ctx: int, ctx_init: str) -> None:
        super().__init__()
        self.ctx, self.classes = init_context(backbone, classnames, n_ctx=n_ctx, ctx_init=ctx_init)
        spec = backbone.spec
        hidden = max(1, spec.embed_dim // REDUCTION)
        self.meta_net = nn.Sequential(
            OrderedDict(
                linear1=nn.Linear(spec.embed_dim, hidden),
                relu=nn.ReLU(),
                linear2=nn.Linear(hidden, spec.text_width),
            )
        )

    def forward(self, image_features: Tensor | None = None) -> Prompts:
        """(B, d) normalised image features → text prompts (B, b, d_l)."""
        assert image_features is not None, "per-image prompts are asked for with image features"
        shift = self.meta_net(image_features.to(self.ctx.dtype))  # (B, d_l)
        return Prompts(text=self.ctx + shift[:, None], text_axis="image")


@TRAINER_REGISTRY.register()
class CoCoOp(PromptTrainer):
    """Conditional context optimisation: every image has its own shallow text prompts."""

    node = "COCOOP"

    def build_learner(self, node: CfgNode, classnames: list[str]) -> CoCoOpLearner:
        return CoCoOpLearner(self.backbone, classnames, n_ctx=node.N_CTX, ctx_init=node.CTX_INIT)
