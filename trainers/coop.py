"""CoOp: context optimisation (Zhou et al., IJCV 2022, arXiv 2109.01134)."""

from __future__ import annotations

from torch import Tensor
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from prompted_clip import Backbone, Prompts, class_prompts
from prompted_clip.classnames import Position
from trainers.common.base import PromptTrainer
from trainers.common.context import words_or_random
from trainers.common.learner import PromptLearner

POSITIONS = ("end", "middle", "front")


def add_config(cfg: CfgNode) -> None:
    """CoOp's keys."""
    cfg.TRAINER.COOP = CfgNode()
    cfg.TRAINER.COOP.N_CTX = 16  # b, context tokens; with CTX_INIT its number of words counts instead
    cfg.TRAINER.COOP.CSC = False  # class-specific context
    cfg.TRAINER.COOP.CTX_INIT = ""  # words that the context starts from; "" for random
    cfg.TRAINER.COOP.PREC = "auto"  # auto (fp16 on CUDA, else fp32), fp32, fp16, bf16, amp
    cfg.TRAINER.COOP.CLASS_TOKEN_POSITION = "end"  # end, middle or front


class CoOpLearner(PromptLearner):
    """Context tokens around the class name, one set for all classes or one per class: text prompts alone.

    Args:
        backbone: the frozen CLIP.
        classnames: one name per class.
        n_ctx: b, context tokens; with ``ctx_init`` its number of tokens counts instead.
        csc: class-specific context, (C, b, d_l) instead of (b, d_l).
        ctx_init: words that the context starts from; otherwise N(0, 0.02²).
        position: of the class name: "end", "middle" or "front".

    Raises:
        ValueError: ``n_ctx`` out of range, or an unknown position.
    """

    def __init__(
        self, backbone: Backbone, classnames: list[str], *, n_ctx: int, csc: bool, ctx_init: str, position: Position
    ) -> None:
        super().__init__()
        if position not in POSITIONS:
            raise ValueError(f"CLASS_TOKEN_POSITION is {position!r}: expected {', '.join(POSITIONS)}.")
        copies = (len(classnames),) if csc else ()
        self.ctx, n_ctx = words_or_random(backbone, n_ctx=n_ctx, ctx_init=ctx_init, copies=copies)
        self.csc = csc
        self.class_bound = ("ctx",) if csc else ()
        self.classes = class_prompts(
            classnames,
            context_length=backbone.spec.context_length,
            n_ctx=n_ctx,
            position=position,
            per_class=csc,
        )

    def forward(self, image_features: Tensor | None = None) -> Prompts:
        return Prompts(text=self.ctx, text_axis="class" if self.csc else "shared")


@TRAINER_REGISTRY.register()
class CoOp(PromptTrainer):
    """Context optimisation: shallow text prompts."""

    node = "COOP"

    def build_learner(self, node: CfgNode, classnames: list[str]) -> CoOpLearner:
        return CoOpLearner(
            self.backbone,
            classnames,
            n_ctx=node.N_CTX,
            csc=node.CSC,
            ctx_init=node.CTX_INIT,
            position=node.CLASS_TOKEN_POSITION,
        )
