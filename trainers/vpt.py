"""Deep vision prompting (VPT, Jia et al., ECCV 2022, arXiv 2203.12119, as in MaPLe's table 1)."""

from __future__ import annotations

from torch import Tensor, nn
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from prompted_clip import Backbone, Prompts, text_prompts
from trainers.common.base import PromptTrainer
from trainers.common.context import check_count, random_prompts
from trainers.common.learner import PromptLearner


def add_config(cfg: CfgNode) -> None:
    """VPT's keys."""
    cfg.TRAINER.VPT = CfgNode()
    cfg.TRAINER.VPT.N_CTX_VISION = 8  # b_v, vision prompt tokens
    cfg.TRAINER.VPT.CTX_INIT = "a photo of a"  # the fixed text before the class name
    cfg.TRAINER.VPT.PREC = "auto"  # auto (fp16 on CUDA, else fp32), fp32, fp16, bf16, amp
    cfg.TRAINER.VPT.PROMPT_DEPTH_VISION = 12  # layers with vision prompts, at least 1


class VisionPrompts(nn.ParameterList):
    """Vision prompts of the layers k = 0 … J−1, each (b_v, d_v), from N(0, 0.02²).

    Args:
        backbone: the frozen CLIP, with a ViT.
        n_ctx: b_v, prompt tokens per layer.
        depth: J, layers with prompts.

    Raises:
        ValueError: a number out of range.
    """

    def __init__(self, backbone: Backbone, *, n_ctx: int, depth: int) -> None:
        spec = backbone.spec
        assert isinstance(spec.vision_layers, int), "the trainer refuses a ResNet before this point"
        check_count("N_CTX_VISION", n_ctx, 1, spec.context_length, "as many as the text tower has positions")
        check_count(
            "PROMPT_DEPTH_VISION", depth, 1, spec.vision_layers, f"the image tower has {spec.vision_layers} layers"
        )
        super().__init__([nn.Parameter(random_prompts(n_ctx, spec.vision_width)) for _ in range(depth)])

    @staticmethod
    def checkpoint_key(layer: str) -> str:
        """The published name of a layer's prompts."""
        return "image_encoder.VPT" if layer == "0" else f"image_encoder.transformer.resblocks.{layer}.VPT_shallow"


class VPTLearner(PromptLearner):
    """Vision prompts alone, under fixed class texts.

    Args:
        backbone: the frozen CLIP, with a ViT.
        classnames: one name per class.
        n_ctx: b_v, prompt tokens per layer.
        depth: J, layers with prompts.
        template: words before the class name.

    Raises:
        ValueError: a number out of range, or no template.
    """

    def __init__(self, backbone: Backbone, classnames: list[str], *, n_ctx: int, depth: int, template: str) -> None:
        super().__init__()
        self.vision = VisionPrompts(backbone, n_ctx=n_ctx, depth=depth)
        self.classes = text_prompts(
            [f"{template} {name}." for name in classnames], context_length=backbone.spec.context_length
        )

    def forward(self, image_features: Tensor | None = None) -> Prompts:
        shallow, *deep = self.vision
        return Prompts(vision=shallow, vision_deep=deep)

    def checkpoint_key(self, name: str) -> str:
        return VisionPrompts.checkpoint_key(name.removeprefix("vision."))


@TRAINER_REGISTRY.register()
class VPT(PromptTrainer):
    """Deep vision prompting."""

    node = "VPT"
    needs_vit = True

    def build_learner(self, node: CfgNode, classnames: list[str]) -> VPTLearner:
        return VPTLearner(
            self.backbone,
            classnames,
            n_ctx=node.N_CTX_VISION,
            depth=node.PROMPT_DEPTH_VISION,
            template=node.CTX_INIT,
        )
