"""TCP: textual-based class-aware prompts (Yao et al., CVPR 2024, arXiv 2311.18231)."""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from prompted_clip import Backbone, Prompts, class_prompts, encode_words
from trainers.common.context import check_count, words_or_random
from trainers.common.guided import KnowledgeGuided
from trainers.common.learner import PromptLearner

#: The meta-network's bottleneck is this many times narrower than the joint space.
REDUCTION = 4
#: The teacher's templates where they are not the dataset's.
TEMPLATES = {
    "DescribableTextures": "a photo of a {}, a type of texture.",
    "FGVCAircraft": "a photo of an aircraft {}.",
    "Food101": "a photo of a {}, a type of food.",
}
#: The words around the class name behind the context, where they are not "{}.".
WORDS = {
    "OxfordPets": "{}, a type of pet.",
    "OxfordFlowers": "{}, a type of flower.",
    "FGVCAircraft": "{}, a type of aircraft.",
    "DescribableTextures": "{} texture.",
    "StanfordCars": "{}, a type of car",  # without a full stop, as published
    "Food101": "{}, a type of food.",
    "UCF101": "person doing {}.",
}


def add_config(cfg: CfgNode) -> None:
    """TCP's keys."""
    cfg.TRAINER.TCP = CfgNode()
    cfg.TRAINER.TCP.N_CTX = 4  # b, context tokens; with CTX_INIT its number of words counts instead
    cfg.TRAINER.TCP.CTX_INIT = ""  # words that the context starts from; "" for random
    cfg.TRAINER.TCP.W = 8.0  # weight of the distance to frozen CLIP's class features, at least 0
    cfg.TRAINER.TCP.LAYER = 8  # block, counted from 0, before which a class's own tokens enter; at least 1
    cfg.TRAINER.TCP.PREC = "auto"  # auto (fp16 on CUDA, else fp32), fp32, fp16, bf16, amp


class QuickGelu(nn.Module):
    """x · sigmoid(1.702 x), CLIP's activation."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class TCPLearner(PromptLearner):
    """A shared context, and before one block the class's own tokens t_c = meta_net(ĝ⁰_c) in its place.

    meta_net = Linear(d, d / 4), QuickGELU, Linear(d / 4, b · d_l).

    Args:
        backbone: the frozen CLIP; a ResNet too.
        classnames: one name per class.
        teacher: (C, d) features of frozen CLIP for the classes, g⁰.
        n_ctx: b, context tokens; with ``ctx_init`` its number of tokens counts instead.
        ctx_init: words that the context starts from; otherwise N(0, 0.02²).
        layer: the block before which t_c enters.
        words: what stands behind the context, with {} for the class name.

    Raises:
        ValueError: a number out of range.
    """

    teacher: Tensor

    def __init__(
        self,
        backbone: Backbone,
        classnames: list[str],
        teacher: Tensor,
        *,
        n_ctx: int,
        ctx_init: str,
        layer: int,
        words: str = "{}.",
    ) -> None:
        super().__init__()
        spec = backbone.spec
        check_count("LAYER", layer, 1, spec.text_layers - 1, f"the text tower has {spec.text_layers} blocks")
        self.ctx, self.n_ctx = words_or_random(backbone, n_ctx=n_ctx, ctx_init=ctx_init)
        hidden = max(1, spec.embed_dim // REDUCTION)
        self.meta_net = nn.Sequential(
            OrderedDict(
                linear1=nn.Linear(spec.embed_dim, hidden),
                gelu=QuickGelu(),
                linear2=nn.Linear(hidden, self.n_ctx * spec.text_width),
            )
        )
        self.layer = layer
        self.register_buffer("teacher", F.normalize(teacher, dim=-1), persistent=False)
        before, _, ending = words.partition("{}")
        self.classes = class_prompts(
            classnames,
            context_length=spec.context_length,
            n_ctx=self.n_ctx,
            frozen_tokens=encode_words(before),
            per_class=True,  # rows that are the same before the block differ behind it
            ending=ending,
        )

    def forward(self, image_features: Tensor | None = None) -> Prompts:
        own = self.meta_net(self.teacher.to(self.ctx.dtype)).unflatten(-1, (self.n_ctx, -1))  # (C, b, d_l)
        return Prompts(text=self.ctx, text_deep=[*[None] * (self.layer - 1), own], text_axis="class")


@TRAINER_REGISTRY.register()
class TCP(KnowledgeGuided):
    """Tokens of each class's own, made from its frozen text feature; class features stay near the frozen ones."""

    node = "TCP"
    templates = TEMPLATES

    def build_learner(self, node: CfgNode, classnames: list[str]) -> TCPLearner:
        self.set_teacher(classnames)
        words = WORDS.get(self.cfg.DATASET.NAME, "{}.")
        options = {"n_ctx": node.N_CTX, "ctx_init": node.CTX_INIT, "layer": node.LAYER, "words": words}
        return TCPLearner(self.backbone, classnames, self.teacher.cpu(), **options)
