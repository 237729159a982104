"""CLIP-LoRA: low-rank deltas at the attention's products (Zanella and Ben Ayed, CVPRW 2024, arXiv 2405.18541)."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from prompted_clip import Adapters, Backbone, BlockAdapter, Prompts, text_prompts
from trainers.common.base import PromptTrainer
from trainers.common.context import check_count
from trainers.common.learner import PromptLearner

#: POSITION → the share of the blocks, from below, that have deltas: of 12, "bottom" are 0 to 3.
POSITIONS = {
    "all": (0, 1),
    "bottom": (0, 1 / 3),
    "mid": (1 / 3, 2 / 3),
    "up": (2 / 3, 1),
    "half-bottom": (0, 1 / 2),
    "half-up": (1 / 2, 1),
    "top3": (3 / 4, 1),
}
ENCODERS = {"both": ("text", "vision"), "text": ("text",), "vision": ("vision",)}
#: PARAMS' letters → the published name of the product's weight.
PRODUCTS = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "out": "proj"}


def add_config(cfg: CfgNode) -> None:
    """CLIP-LoRA's keys."""
    cfg.TRAINER.CLIP_LORA = CfgNode()
    cfg.TRAINER.CLIP_LORA.POSITION = "all"  # all, bottom, mid, up, half-bottom, half-up or top3 of the blocks
    cfg.TRAINER.CLIP_LORA.ENCODER = "both"  # both, text or vision
    cfg.TRAINER.CLIP_LORA.PARAMS = ["q", "k", "v"]  # of q, k, v, out
    cfg.TRAINER.CLIP_LORA.R = 2  # r, rank
    cfg.TRAINER.CLIP_LORA.ALPHA = 1.0  # α; the deltas' scale is α / √r
    cfg.TRAINER.CLIP_LORA.DROPOUT = 0.25  # of the deltas' input, in training
    cfg.TRAINER.CLIP_LORA.STEPS_PER_SHOT = 500  # training steps for each image per class; 0: by OPTIM
    cfg.TRAINER.CLIP_LORA.CTX_INIT = "a photo of a"  # the fixed text before the class name
    cfg.TRAINER.CLIP_LORA.PREC = "auto"  # auto (fp16 on CUDA, else fp32), fp32, fp16, bf16, amp


class LowRank(nn.Module):
    """Δ(x) = (α / √r) · B A dropout(x): A (r, D) Kaiming-uniform, B (D, r) zero, so that it starts as nothing."""

    def __init__(self, width: int, rank: int, alpha: float, dropout: float) -> None:
        super().__init__()
        self.w_lora_A = nn.Linear(width, rank, bias=False).weight  # PyTorch's start of a layer is that of the paper
        self.w_lora_B = nn.Parameter(self.w_lora_A.new_zeros(width, rank))
        self.dropout = nn.Dropout(dropout)
        self.scale = alpha / math.sqrt(rank)

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * (self.dropout(x) @ self.w_lora_A.t()) @ self.w_lora_B.t()


class CLIPLoRALearner(PromptLearner):
    """Low-rank deltas at the attention's products, under fixed class texts.

    Args:
        backbone: the frozen CLIP; with a ViT if the image tower has deltas.
        classnames: one name per class.
        position: of `POSITIONS`.
        encoder: of `ENCODERS`.
        params: of `PRODUCTS`.
        rank, alpha, dropout: of `LowRank`.
        template: words before the class name.

    Raises:
        ValueError: a number out of range, or an unknown name.
    """

    def __init__(
        self,
        backbone: Backbone,
        classnames: list[str],
        *,
        position: str,
        encoder: str,
        params: list[str],
        rank: int,
        alpha: float,
        dropout: float,
        template: str,
    ) -> None:
        super().__init__()
        spec = backbone.spec
        check_count("R", rank, 1, min(spec.text_width, spec.vision_width), "a product's width")
        if not 0 <= dropout < 1:
            raise ValueError(f"DROPOUT is {dropout}: expected a share from 0 to below 1.")
        for what, name, known in (("POSITION", position, POSITIONS), ("ENCODER", encoder, ENCODERS)):
            if name not in known:
                raise ValueError(f"{what} is {name!r}: expected {', '.join(known)}.")
        if not params or any(name not in PRODUCTS for name in params):
            raise ValueError(f"PARAMS is {params}: expected some of {', '.join(PRODUCTS)}.")
        layers = {"text": (spec.text_layers, spec.text_width), "vision": (spec.vision_layers, spec.vision_width)}
        self.places: dict[str, dict[int, BlockAdapter]] = {}
        for tower in ENCODERS[encoder]:
            depth, width = layers[tower]
            assert isinstance(depth, int), "the trainer refuses a ResNet before this point"
            self.places[tower] = {}
            for block in range(*(round(share * depth) for share in POSITIONS[position])):
                parts = {name: LowRank(width, rank, alpha, dropout) for name in params}
                # published files number the layers of the text tower, then those of the image tower
                layer = nn.ModuleDict({PRODUCTS[name]: part for name, part in parts.items()})
                self.add_module(f"layer_{sum(map(len, self.places.values()))}", layer)
                self.places[tower][block] = BlockAdapter(delta=parts)
        self.classes = text_prompts([f"{template} {name}." for name in classnames], context_length=spec.context_length)

    def forward(self, image_features: Tensor | None = None) -> Prompts:
        return Prompts()

    def adapters(self) -> Adapters:
        return Adapters(**self.places)


@TRAINER_REGISTRY.register()
class CLIPLoRA(PromptTrainer):
    """Low-rank deltas of q, k and v in the blocks of both towers, trained for so many steps per shot."""

    node = "CLIP_LORA"
    model_name = "clip_lora"

    def check_cfg(self, cfg: CfgNode) -> None:
        super().check_cfg(cfg)
        node = cfg.TRAINER.CLIP_LORA
        self.needs_vit = node.ENCODER != "text"
        if node.STEPS_PER_SHOT < 0:
            raise ValueError(f"STEPS_PER_SHOT is {node.STEPS_PER_SHOT}: expected a number of steps, or 0.")

    def total_steps(self) -> int:
        steps = self.cfg.TRAINER.CLIP_LORA.STEPS_PER_SHOT * max(self.cfg.DATASET.NUM_SHOTS, 0)
        return steps or super().total_steps()

    def read_checkpoint(self, content: Any) -> dict[str, Tensor]:
        """Also the public code's file: layer → product → tensor, under ``weights``."""
        if not isinstance(content, dict) or not isinstance(content.get("weights"), dict):
            return super().read_checkpoint(content)
        layers = content["weights"].items()
        return {f"{k}.{p}.{w}": v for k, parts in layers for p, pair in parts.items() for w, v in pair.items()}

    def build_learner(self, node: CfgNode, classnames: list[str]) -> CLIPLoRALearner:
        options = {key.lower(): node[key] for key in ("POSITION", "ENCODER", "PARAMS", "ALPHA", "DROPOUT")}
        return CLIPLoRALearner(self.backbone, classnames, rank=node.R, template=node.CTX_INIT, **options)
