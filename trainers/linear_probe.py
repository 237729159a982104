"""Linear probe: logistic regression on CLIP's image features (Radford et al., arXiv 2103.00020, section 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from dassl.data.data_manager import build_data_loader
from dassl.engine import TRAINER_REGISTRY
from prompted_clip import Prompts
from trainers.common.base import PromptTrainer
from trainers.common.learner import PromptLearner

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

#: Inverse regularisation strengths that are tried on the validation images, as in the paper's coarse sweep.
STRENGTHS = (1e6, 1e4, 1e2, 1.0, 1e-2, 1e-4, 1e-6)


def add_config(cfg: CfgNode) -> None:
    """The linear probe's keys."""
    cfg.TRAINER.LINEAR_PROBE = CfgNode()
    cfg.TRAINER.LINEAR_PROBE.PREC = "auto"  # auto (fp16 on CUDA, else fp32), fp32, fp16, bf16, amp
    cfg.TRAINER.LINEAR_PROBE.MAX_ITER = 1000  # L-BFGS iterations


class LinearClassifier(PromptLearner):
    """Weights (C, d) and bias (C,) of a classifier on image features; fitted by scikit-learn, not by gradient steps."""

    class_bound = ("weight", "bias")

    def __init__(self, n_classes: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_classes, width))
        self.bias = nn.Parameter(torch.zeros(n_classes))

    def forward(self, image_features: Tensor | None = None) -> Prompts:
        return Prompts()


@TRAINER_REGISTRY.register()
class LinearProbe(PromptTrainer):
    """Logistic regression on frozen image features; its strength is chosen on the validation images.

    It knows the classes by number, not by name, so that a trained one serves no other set of classes.
    """

    learner: LinearClassifier
    node = "LINEAR_PROBE"
    model_name = "linear_probe"

    def check_cfg(self, cfg: CfgNode) -> None:
        super().check_cfg(cfg)
        if cfg.TRAINER.LINEAR_PROBE.MAX_ITER < 1:
            raise ValueError(f"MAX_ITER is {cfg.TRAINER.LINEAR_PROBE.MAX_ITER}: expected at least 1 iteration.")

    def build_model(self) -> None:
        self.backbone = self.load_backbone()
        self.learner = LinearClassifier(self.num_classes, self.backbone.spec.embed_dim).to(self.device)
        self.introduce(self.learner)
        self.register_model(self.model_name, self.learner)

    def train(self) -> None:  # type: ignore[override]
        """Fit on the training images (test transform, in order), then test."""
        self.before_train()
        features, labels = self._features_of(self.dm.dataset.train_x)
        classifier = self._fit(features, labels, self._strength(features, labels))
        with torch.no_grad():
            # two classes have one row in scikit-learn: the second against the first
            rows = np.vstack([-classifier.coef_, classifier.coef_]) / 2 if self.num_classes == 2 else classifier.coef_
            bias = classifier.intercept_
            bias = np.array([-bias[0], bias[0]]) / 2 if self.num_classes == 2 else bias
            self.learner.weight.copy_(torch.from_numpy(rows))
            self.learner.bias.copy_(torch.from_numpy(bias))
        self.save_model(self.epoch, self.output_dir)
        self.after_train()

    def load_model(self, directory: str, epoch: int | None = None) -> None:
        """Load a fitted classifier.

        Raises:
            ValueError: the new classes are asked for, of which a classifier of base classes knows nothing.
        """
        if self.cfg.DATASET.SUBSAMPLE_CLASSES == "new":
            raise ValueError("LinearProbe knows its classes by number, so that a trained one cannot serve new classes.")
        super().load_model(directory, epoch)

    def model_inference(self, input: Tensor) -> Tensor:
        """(B, 3, H, W) images → (B, C) scores."""
        return self.backbone.encode_image(input) @ self.learner.weight.t() + self.learner.bias

    def _strength(self, features: np.ndarray, labels: np.ndarray) -> float:
        if not self.dm.dataset.val:
            return 1.0  # scikit-learn's own
        val_features, val_labels = self._features_of(self.dm.dataset.val)
        scores = [self._fit(features, labels, c).score(val_features, val_labels) for c in STRENGTHS]
        best = STRENGTHS[int(np.argmax(scores))]
        print(f"Inverse regularisation strength {best:g}: {max(scores):.1%} of the validation images")
        return best

    def _fit(self, features: np.ndarray, labels: np.ndarray, strength: float) -> LogisticRegression:
        from sklearn.linear_model import LogisticRegression  # here: its import takes a second of every run's start

        return LogisticRegression(C=strength, max_iter=self.cfg.TRAINER.LINEAR_PROBE.MAX_ITER).fit(features, labels)

    @torch.no_grad()
    def _features_of(self, items: list) -> tuple[np.ndarray, np.ndarray]:
        """Image features (n, d) and labels (n,) of a list of items, in its order."""
        loader = build_data_loader(
            self.cfg,
            data_source=items,
            batch_size=self.cfg.DATALOADER.TEST.BATCH_SIZE,
            tfm=self.dm.tfm_test,
            is_train=False,
        )
        features, labels = [], []
        for batch in loader:
            images, batch_labels = self.parse_batch_test(batch)
            features.append(self.backbone.encode_image(images).cpu())
            labels.append(batch_labels.cpu())
        # in double precision, L-BFGS ends nearer to the optimum
        return torch.cat(features).double().numpy(), torch.cat(labels).numpy()
