"""Independent vision-language prompting and deep language prompting (MaPLe's ablations, arXiv 2210.03117, table 1)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from prompted_clip import Backbone, Prompts
from trainers.common.base import PromptTrainer
from trainers.common.context import check_count, init_context, random_prompts
from trainers.common.learner import PromptLearner
from trainers.vpt import VisionPrompts


def add_config(cfg: CfgNode) -> None:
    """IVLP's keys; vision depth 0 is deep language prompting."""
    cfg.TRAINER.IVLP = CfgNode()
    cfg.TRAINER.IVLP.N_CTX_VISION = 2  # b_v, vision prompt tokens
    cfg.TRAINER.IVLP.N_CTX_TEXT = 2  # b, context tokens
    cfg.TRAINER.IVLP.CTX_INIT = "a photo of a"  # words that the context starts from; "" for random
    cfg.TRAINER.IVLP.PREC = "auto"  # auto (fp16 on CUDA, else fp32), fp32, fp16, bf16, amp
    cfg.TRAINER.IVLP.PROMPT_DEPTH_VISION = 9  # layers with vision prompts; 0 for none
    cfg.TRAINER.IVLP.PROMPT_DEPTH_TEXT = 9  # layers with text prompts, at least 1


class IVLPLearner(PromptLearner):
    """Separate prompts in the first layers of each tower, in the places of MaPLe's.

    Args:
        backbone: the frozen CLIP; with a ViT if there are vision prompts.
        classnames: one name per class.
        n_ctx_text: b, context tokens.
        depth_text: layers with text prompts, at least 1.
        n_ctx_vision: b_v, vision prompt tokens per layer.
        depth_vision: layers with vision prompts; 0 for none.
        ctx_init: words that the context starts from (see `init_context`); other prompts start as N(0, 0.02²).

    Raises:
        ValueError: a number out of range.
    """

    def __init__(
        self,
        backbone: Backbone,
        classnames: list[str],
        *,
        n_ctx_text: int,
        depth_text: int,
        n_ctx_vision: int,
        depth_vision: int,
        ctx_init: str,
    ) -> None:
        super().__init__()
        spec = backbone.spec
        layers = spec.text_layers
        check_count("PROMPT_DEPTH_TEXT", depth_text, 1, layers, f"the text tower has {layers} layers")
        self.ctx, self.classes = init_context(backbone, classnames, n_ctx=n_ctx_text, ctx_init=ctx_init)
        self.text = nn.ParameterList(
            [nn.Parameter(random_prompts(n_ctx_text, spec.text_width)) for _ in range(depth_text - 1)]
        )
        if depth_vision or n_ctx_vision:
            self.vision: VisionPrompts | None = VisionPrompts(backbone, n_ctx=n_ctx_vision, depth=depth_vision)
        else:
            self.vision = None

    def forward(self, image_features: Tensor | None = None) -> Prompts:
        if self.vision is None:
            return Prompts(text=self.ctx, text_deep=list(self.text))
        shallow, *deep = self.vision
        return Prompts(text=self.ctx, text_deep=list(self.text), vision=shallow, vision_deep=deep)

    def checkpoint_key(self, name: str) -> str:
        part, _, layer = name.partition(".")
        if part == "vision":
            return VisionPrompts.checkpoint_key(layer)
        if part == "text":  # counted from the prompts that enter before block 1
            return f"text_encoder.transformer.resblocks.{int(layer) + 1}.VPT_shallow"
        return f"prompt_learner.{name}"


def prompt_options(node: CfgNode) -> dict[str, Any]:
    """The keyword arguments of `IVLPLearner`, from a config node."""
    return {
        "n_ctx_text": node.N_CTX_TEXT,
        "depth_text": node.PROMPT_DEPTH_TEXT,
        "n_ctx_vision": node.N_CTX_VISION,
        "depth_vision": node.PROMPT_DEPTH_VISION,
        "ctx_init": node.CTX_INIT,
    }


@TRAINER_REGISTRY.register()
class IVLP(PromptTrainer):
    """Independent vision-language prompting; with vision depth 0, deep language prompting."""

    node = "IVLP"
    model_name = "VLPromptLearner"

    def check_cfg(self, cfg: CfgNode) -> None:
        super().check_cfg(cfg)
        self.needs_vit = cfg.TRAINER.IVLP.PROMPT_DEPTH_VISION > 0

    def build_learner(self, node: CfgNode, classnames: list[str]) -> IVLPLearner:
        return IVLPLearner(self.backbone, classnames, **prompt_options(node))
