"""CLIP zero-shot (Radford et al., arXiv 2103.00020): with the dataset's template, or an ensemble of templates."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from prompted_clip import Adapters, Prompts, text_prompts
from prompted_clip.prompts import TowerOutput
from trainers.common.base import PromptTrainer
from trainers.common.learner import PromptLearner

#: The templates that CLIP's authors selected for ImageNet, used for the ensemble.
ENSEMBLE_TEMPLATES = (
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)


def add_config(cfg: CfgNode) -> None:
    """Zero-shot classification has nothing to set but its precision."""
    cfg.TRAINER.ZSCLIP = CfgNode()
    cfg.TRAINER.ZSCLIP.PREC = "auto"  # auto (fp16 on CUDA, else fp32), fp32, fp16, bf16, amp


class FixedPrompts(PromptLearner):
    """One text per class, nothing to learn."""

    def __init__(self, texts: list[str], context_length: int) -> None:
        super().__init__()
        self.classes = text_prompts(texts, context_length=context_length)

    def forward(self, image_features: Tensor | None = None) -> Prompts:
        return Prompts()


@TRAINER_REGISTRY.register()
class ZeroshotCLIP(PromptTrainer):
    """CLIP with one template per dataset; "training" is nothing, testing is as for every method."""

    node = "ZSCLIP"

    def templates(self) -> list[str]:
        """The templates whose mean feature stands for a class."""
        return [self.template()]

    def reads_template(self) -> bool:
        return self.template() in self.templates()

    def build_model(self) -> None:
        self.backbone = self.load_backbone()
        names = [name.replace("_", " ") for name in self.dm.dataset.classnames]
        length = self.backbone.spec.context_length
        self.ensemble = [FixedPrompts([t.format(n) for n in names], length) for t in self.templates()]
        for learner in self.ensemble:
            learner.classes = learner.classes.to(self.device)
        self.learner = self.ensemble[0]
        self.introduce(*self.ensemble)

    def load_model(self, directory: str, epoch: int | None = None) -> None:
        """There is nothing to load: CLIP is as it is.

        Raises:
            ValueError: a folder of a trained model was given.
        """
        if directory:
            raise ValueError(f"{self.cfg.TRAINER.NAME} trains nothing, so it takes no --model-dir.")

    def train(self) -> None:  # type: ignore[override]
        """Test without training."""
        self.before_train()
        self.after_train()

    def compute_class_features(self, prompts: Prompts, adapters: Adapters | None = None) -> TowerOutput:
        """Mean of the normalised features of each template (the features themselves where there is one)."""
        features = [F.normalize(self.backbone.encode_text(each.classes), dim=-1) for each in self.ensemble]
        return TowerOutput(torch.stack(features).mean(dim=0))


@TRAINER_REGISTRY.register()
class ZeroshotCLIP2(ZeroshotCLIP):
    """CLIP with seven templates, and the dataset's own where the dataset is not ImageNet."""

    def templates(self) -> list[str]:
        own = [] if "ImageNet" in self.cfg.DATASET.NAME else super().templates()
        return [*ENSEMBLE_TEMPLATES, *own]
