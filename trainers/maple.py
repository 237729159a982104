"""MaPLe: multi-modal prompt learning (Khattak et al., CVPR 2023, arXiv 2210.03117)."""

from __future__ import annotations

import copy

from torch import Tensor, nn
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from prompted_clip import Backbone, Prompts
from trainers.common.base import PromptTrainer
from trainers.common.context import check_count, init_context, random_prompts
from trainers.common.learner import PromptLearner


def add_config(cfg: CfgNode) -> None:
    """MaPLe's keys, at the paper's base-to-new setting."""
    cfg.TRAINER.MAPLE = CfgNode()
    cfg.TRAINER.MAPLE.N_CTX = 2  # b, context tokens
    cfg.TRAINER.MAPLE.CTX_INIT = "a photo of a"  # words that the context starts from; "" for random
    cfg.TRAINER.MAPLE.PREC = "auto"  # auto (fp16 on CUDA, else fp32), fp32, fp16, bf16, amp
    cfg.TRAINER.MAPLE.PROMPT_DEPTH = 9  # J, layers with prompts; 1 is shallow MaPLe


class MultiModalPromptLearner(PromptLearner):
    """Text prompts P_k and vision prompts coupled to them, P̃_k = F_k(P_k), for the layers k = 0 … J−1.

    F_k is a linear layer d_l → d_v with bias. Vision prompts have no parameters of their own, so gradients of both
    towers meet in P_k. F_1 … F_{J−1} start as copies of one layer.

    Args:
        backbone: the frozen CLIP, with a ViT.
        classnames: one name per class.
        n_ctx: b, prompt tokens per layer.
        depth: J, 1 to the number of layers of the shallower tower.
        ctx_init: words that P_0 starts from (see `init_context`); other prompts start as N(0, 0.02²).

    Raises:
        ValueError: ``n_ctx`` or ``depth`` out of range.
    """

    def __init__(self, backbone: Backbone, classnames: list[str], *, n_ctx: int, depth: int, ctx_init: str) -> None:
        super().__init__()
        spec = backbone.spec
        assert isinstance(spec.vision_layers, int), "the trainer refuses a ResNet before this point"
        layers = min(spec.text_layers, spec.vision_layers)
        check_count("PROMPT_DEPTH", depth, 1, layers, f"the backbone's towers have at least {layers} layers")
        self.ctx, self.classes = init_context(backbone, classnames, n_ctx=n_ctx, ctx_init=ctx_init)
        self.proj = nn.Linear(spec.text_width, spec.vision_width)
        self.compound_prompts_text = nn.ParameterList(
            [nn.Parameter(random_prompts(n_ctx, spec.text_width)) for _ in range(depth - 1)]
        )
        coupling = nn.Linear(spec.text_width, spec.vision_width)
        self.compound_prompt_projections = nn.ModuleList([copy.deepcopy(coupling) for _ in range(depth - 1)])

    def forward(self, image_features: Tensor | None = None) -> Prompts:
        """Text prompts (b, d_l) and their images (b, d_v), one pair for each of J layers."""
        deep = list(self.compound_prompts_text)
        return Prompts(
            text=self.ctx,
            text_deep=deep,
            vision=self.proj(self.ctx),
            vision_deep=[couple(prompt) for couple, prompt in zip(self.compound_prompt_projections, deep, strict=True)],
        )

    def checkpoint_key(self, name: str) -> str:
        return f"prompt_learner.{name}"


@TRAINER_REGISTRY.register()
class MaPLe(PromptTrainer):
    """Multi-modal prompt learning: coupled prompts in the first J layers of both towers."""

    node = "MAPLE"
    model_name = "MultiModalPromptLearner"
    needs_vit = True

    def build_learner(self, node: CfgNode, classnames: list[str]) -> MultiModalPromptLearner:
        return MultiModalPromptLearner(
            self.backbone, classnames, n_ctx=node.N_CTX, depth=node.PROMPT_DEPTH, ctx_init=node.CTX_INIT
        )
