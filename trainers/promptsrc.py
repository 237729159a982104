"""PromptSRC: self-regulating prompts (Khattak et al., ICCV 2023, arXiv 2307.06948)."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from prompted_clip.backbone import cosine_logits
from trainers.common.base import PromptTrainer
from trainers.common.encoded import Encoded
from trainers.common.frozen import fill
from trainers.common.templates import IMAGENET_60
from trainers.ivlp import IVLPLearner, prompt_options


def add_config(cfg: CfgNode) -> None:
    """PromptSRC's keys, at the paper's base-to-new setting."""
    cfg.TRAINER.PROMPTSRC = CfgNode()
    cfg.TRAINER.PROMPTSRC.N_CTX_VISION = 4  # b_v, vision prompt tokens
    cfg.TRAINER.PROMPTSRC.N_CTX_TEXT = 4  # b, context tokens
    cfg.TRAINER.PROMPTSRC.CTX_INIT = "a photo of a"  # words that the context starts from; "" for random
    cfg.TRAINER.PROMPTSRC.PREC = "auto"  # auto (fp16 on CUDA, else fp32), fp32, fp16, bf16, amp
    cfg.TRAINER.PROMPTSRC.PROMPT_DEPTH_VISION = 9  # layers with vision prompts, at least 1
    cfg.TRAINER.PROMPTSRC.PROMPT_DEPTH_TEXT = 9  # layers with text prompts, at least 1
    cfg.TRAINER.PROMPTSRC.TEXT_LOSS_WEIGHT = 25.0  # of the distance between class features and frozen CLIP's
    cfg.TRAINER.PROMPTSRC.IMAGE_LOSS_WEIGHT = 10.0  # of the distance between image features and frozen CLIP's
    cfg.TRAINER.PROMPTSRC.GPA_MEAN = 15.0  # μ, the epoch that weighs most in the averaged prompts
    cfg.TRAINER.PROMPTSRC.GPA_STD = 1.0  # σ in epochs, above 0


class PromptSRCLearner(IVLPLearner):
    """Independent prompts in both towers."""

    foreign = ("prompt_learner.ZS_image_encoder.",)  # the public teacher


def gaussian_weights(epochs: int, mean: float, std: float) -> list[float]:
    """w_e ∝ exp(−(e − μ)² / 2σ²) for the epochs e = 1 … E, with sum 1."""
    nearest = min((epoch - mean) ** 2 for epoch in range(1, epochs + 1))  # so that one weight is 1, however far μ is
    weights = [math.exp(-((epoch - mean) ** 2 - nearest) / (2 * std**2)) for epoch in range(1, epochs + 1)]
    total = sum(weights)
    return [weight / total for weight in weights]


@TRAINER_REGISTRY.register()
class PromptSRC(PromptTrainer):
    """Prompts held to frozen CLIP by its features and its logits, and averaged over the epochs (GPA).

    CE + w_t · mean|ĝ − ĝ⁰| + w_v · mean|f̂ − f̂⁰| + KL(p⁰ ‖ p) / (B · C), means over all elements. After the last step of
    epoch e, w_e times the prompts is added up; after the last epoch, the sum takes the prompts' place.
    """

    node = "PROMPTSRC"
    model_name = "VLPromptLearner"
    needs_vit = True

    def check_cfg(self, cfg: CfgNode) -> None:
        super().check_cfg(cfg)
        node = cfg.TRAINER.PROMPTSRC
        for key in ("TEXT_LOSS_WEIGHT", "IMAGE_LOSS_WEIGHT"):
            if node[key] < 0:
                raise ValueError(f"TRAINER.PROMPTSRC.{key} is {node[key]}: expected a weight of at least 0.")
        if node.GPA_STD <= 0:
            raise ValueError(f"TRAINER.PROMPTSRC.GPA_STD is {node.GPA_STD}: expected a number of epochs above 0.")
        if node.PROMPT_DEPTH_VISION < 1:
            raise ValueError(f"PROMPT_DEPTH_VISION is {node.PROMPT_DEPTH_VISION}: expected at least 1 layer.")

    def build_learner(self, node: CfgNode, classnames: list[str]) -> PromptSRCLearner:
        self.teacher = F.normalize(self.frozen.text(fill(IMAGENET_60, classnames)), dim=-1)  # (C, d)
        self.average: dict[str, Tensor] = {}
        return PromptSRCLearner(self.backbone, classnames, **prompt_options(node))

    def losses(self, encoded: Encoded, labels: Tensor) -> dict[str, Tensor]:
        node = self.cfg.TRAINER.PROMPTSRC
        frozen = F.normalize(self.frozen.image(encoded.images), dim=-1)  # (B, d)
        target = cosine_logits(self.backbone.logit_scale.exp(), frozen, self.teacher).log_softmax(-1)
        divergence = F.kl_div(encoded.logits.log_softmax(-1), target, reduction="sum", log_target=True)
        return {
            "ce": F.cross_entropy(encoded.logits, labels),
            "text": node.TEXT_LOSS_WEIGHT * F.l1_loss(F.normalize(encoded.text, dim=-1), self.teacher),
            "image": node.IMAGE_LOSS_WEIGHT * F.l1_loss(F.normalize(encoded.image, dim=-1), frozen),
            "kl": divergence / target.numel(),
        }

    @torch.no_grad()
    def on_epoch_end(self) -> None:
        node = self.cfg.TRAINER.PROMPTSRC
        weight = gaussian_weights(self.max_epoch, node.GPA_MEAN, node.GPA_STD)[self.epoch]
        for name, parameter in self.learner.named_parameters():
            self.average[name] = weight * parameter + self.average.get(name, 0.0)
        if self.epoch + 1 == self.max_epoch:
            for name, parameter in self.learner.named_parameters():
                parameter.copy_(self.average[name])

    def extra_state(self) -> dict[str, Any]:
        return {"average": self.average}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        self.average = {name: value.to(self.device) for name, value in state["average"].items()}
