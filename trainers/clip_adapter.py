"""CLIP-Adapter: a bottleneck on image features (Gao et al., IJCV 2024, arXiv 2110.04544)."""

from __future__ import annotations

from torch import Tensor, nn
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from prompted_clip import Backbone, Prompts, text_prompts
from trainers.common.base import PromptTrainer
from trainers.common.learner import Features, PromptLearner

#: The bottleneck is this many times narrower than the joint space.
REDUCTION = 4


def add_config(cfg: CfgNode) -> None:
    """CLIP-Adapter's keys."""
    cfg.TRAINER.CLIP_ADAPTER = CfgNode()
    cfg.TRAINER.CLIP_ADAPTER.RATIO = 0.2  # share of the adapted feature, 0 to 1
    cfg.TRAINER.CLIP_ADAPTER.PREC = "auto"  # auto (fp16 on CUDA, else fp32), fp32, fp16, bf16, amp


class CLIPAdapterLearner(PromptLearner):
    """f ← r · A(f) + (1 − r) · f with A(f) = ReLU(W₂ ReLU(W₁ f)), on features that are not normalised.

    Args:
        backbone: the frozen CLIP; a ResNet too.
        classnames: one name per class.
        ratio: r.
        template: the fixed text, with {} for the class name.

    Raises:
        ValueError: ``ratio`` outside 0 … 1.
    """

    def __init__(self, backbone: Backbone, classnames: list[str], *, ratio: float, template: str) -> None:
        super().__init__()
        if not 0 <= ratio <= 1:
            raise ValueError(f"RATIO is {ratio}: expected a share from 0 to 1.")
        width = backbone.spec.embed_dim
        hidden = max(1, width // REDUCTION)
        self.fc = nn.Sequential(
            nn.Linear(width, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, width, bias=False), nn.ReLU()
        )
        self.ratio = ratio
        texts = [template.format(name) for name in classnames]
        self.classes = text_prompts(texts, context_length=backbone.spec.context_length)

    def forward(self, image_features: Tensor | None = None) -> Prompts:
        return Prompts()

    def logits(self, scale: Tensor, features: Features, *, known_classes: bool) -> Tensor:
        image = features.image  # (B, d)
        adapted = self.ratio * self.fc(image) + (1 - self.ratio) * image
        return super().logits(scale, Features(adapted, features.text), known_classes=known_classes)


@TRAINER_REGISTRY.register()
class CLIPAdapter(PromptTrainer):
    """A residual bottleneck on image features, under fixed class texts."""

    node = "CLIP_ADAPTER"
    model_name = "clip_adapter"

    def reads_template(self) -> bool:
        return True

    def build_learner(self, node: CfgNode, classnames: list[str]) -> CLIPAdapterLearner:
        return CLIPAdapterLearner(self.backbone, classnames, ratio=node.RATIO, template=self.template())
