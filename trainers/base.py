"""What all trainers share: the frozen CLIP, one training step, cached class features, checkpoints of the learner."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from yacs.config import CfgNode

from dassl.engine import TrainerX
from dassl.metrics import compute_accuracy
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils.checkpoint import find_checkpoint, load_checkpoint, strip_module_prefix
from prompted_clip import Backbone, Prompts, load_backbone
from prompted_clip.precision import resolve_precision
from trainers.common.cached_features import CachedFeatures
from trainers.common.class_text import first_prompts, refuse_equal_prompts
from trainers.common.trained_classes import compare_classes
from trainers.learner import PromptLearner, learner_logits


def add_config(cfg: CfgNode) -> None:
    """Keys that all methods read."""
    cfg.MODEL.TEXT_CHUNK = 0  # classes per pass of the text tower; 0 for all at once (same result, other memory)
    cfg.MODEL.RECOMPUTE = False  # keep no text activations; compute them again in the backward pass
    cfg.MODEL.COMPILE = False  # torch.compile for both encoders; on CUDA with CUDA graphs
    cfg.MODEL.ALLOW_EQUAL_PROMPTS = False  # go on although classes have equal prompts, and so equal scores


class PromptTrainer(TrainerX):
    """Trains a `PromptLearner` on a frozen CLIP. Subclasses set the class attributes and ``build_learner``.

    Attributes:
        node: name of the method's config node under TRAINER; it has the key PREC.
        model_name: name of the learner's folder in a run.
        needs_vit: the method prompts the image tower, which only a ViT can take.
    """

    node: ClassVar[str]
    model_name: ClassVar[str] = "prompt_learner"
    needs_vit: bool = False

    backbone: Backbone
    learner: PromptLearner

    def __init__(self, cfg: CfgNode) -> None:
        self._features = CachedFeatures()
        super().__init__(cfg)

    def check_cfg(self, cfg: CfgNode) -> None:
        """Refuse an unknown precision or a negative chunk (ValueError), before weights are read."""
        resolve_precision(cfg.TRAINER[self.node].PREC, "cpu")
        if cfg.MODEL.TEXT_CHUNK < 0:
            raise ValueError(f"MODEL.TEXT_CHUNK is {cfg.MODEL.TEXT_CHUNK}: expected a number of classes, or 0 for all.")

    def build_learner(self, node: CfgNode, classnames: list[str]) -> PromptLearner:
        """Make the learner from the method's config node and the run's class names."""
        raise NotImplementedError(f"{type(self).__name__} must build its learner.")

    def build_model(self) -> None:
        """Load the backbone, build the learner, and hand the learner's parameters to the optimiser."""
        cfg = self.cfg
        self.backbone = self.load_backbone()
        self.learner = self.build_learner(cfg.TRAINER[self.node], list(self.dm.dataset.classnames))
        self.introduce(self.learner)
        self.learner.to(self.device)
        self.learner.classes = self.learner.classes.to(self.device)
        self.model = self.learner
        self.optim = build_optimizer(self.learner, cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, cfg.OPTIM)
        self.register_model(self.model_name, self.learner, self.optim, self.sched)
        self.scaler = torch.amp.GradScaler(self.device.type) if self.backbone.precision.scaled else None

    def introduce(self, *learners: PromptLearner) -> None:
        """Refuse class prompts that the backbone cannot tell apart, and show the first of them.

        Args:
            learners: the learner; for an ensemble of templates, one per template.

        Raises:
            ValueError: two classes have equal prompts.
        """
        cfg, names = self.cfg, list(self.dm.dataset.classnames)
        template = cfg.DATASET.get("TEMPLATE", "")
        if template and not self.reads_template():
            own = f": its words are TRAINER.{self.node}.CTX_INIT" if "CTX_INIT" in cfg.TRAINER[self.node] else ""
            print(f"DATASET.TEMPLATE {template!r} is not read by {cfg.TRAINER.NAME}{own}")
        ensemble = [learner.classes.rows for learner in learners if hasattr(learner, "classes")]
        if not ensemble:
            return  # it reads no text
        refuse_equal_prompts(
            self.backbone,
            [sum(rows, ()) for rows in zip(*ensemble, strict=True)],
            names,
            backbone_name=cfg.MODEL.BACKBONE.NAME,
            published=getattr(self.dm.dataset, "shared_names", ()),
            class_bound=[name for learner in learners for name in learner.class_bound],
            allowed=cfg.MODEL.ALLOW_EQUAL_PROMPTS,
        )
        if cfg.VERBOSE:
            print(first_prompts(ensemble, names))

    def reads_template(self) -> bool:
        """Whether the method's class prompts are made with DATASET.TEMPLATE."""
        return False

    def load_backbone(self) -> Backbone:
        """The frozen CLIP that the config names.

        Raises:
            ValueError, FileNotFoundError, OSError: no such backbone, one of no use here, or images of another size.
        """
        cfg = self.cfg
        name = cfg.MODEL.BACKBONE.NAME
        backbone = load_backbone(name, precision=cfg.TRAINER[self.node].PREC, device=self.device)
        spec = backbone.spec
        if self.needs_vit and not spec.is_vit:
            raise ValueError(
                f"{cfg.TRAINER.NAME} prompts the image tower and needs a ViT backbone: {name} is a ResNet."
            )
        if tuple(cfg.INPUT.SIZE) != (spec.resolution, spec.resolution):
            raise ValueError(
                f"INPUT.SIZE is {tuple(cfg.INPUT.SIZE)}: the backbone {name} takes"
                f" ({spec.resolution}, {spec.resolution})."
            )
        if cfg.MODEL.COMPILE:
            backbone.compile_encoders()
        return backbone

    def load_model(self, directory: str, epoch: int | None = None) -> None:
        """Load the learner from a checkpoint, and say how the classes that it was trained on compare with the run's.

        Args:
            directory: a run's folder, the model's folder in it, or a checkpoint file.
            epoch: of which epoch; None: the best on validation, else the last (see `find_checkpoint`).

        Raises:
            ValueError, FileNotFoundError: nothing given, no such checkpoint, or one that does not fit.
        """
        if not directory:
            raise ValueError(f"{self.cfg.TRAINER.NAME} needs a trained model to test: give its folder as --model-dir.")
        path = find_checkpoint(directory, self.model_name, epoch)
        checkpoint = load_checkpoint(path)
        if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), dict):
            raise ValueError(f"{path} is no checkpoint of a method: it has no state_dict.")
        trained, told = checkpoint.get("classnames"), ""
        new = self.cfg.DATASET.get("SUBSAMPLE_CLASSES") == "new"
        try:
            # a released checkpoint, or one of an earlier version, has no names
            if isinstance(trained, list) and all(isinstance(name, str) for name in trained):
                told = compare_classes(
                    trained, self.dm.dataset.classnames, class_bound=self.learner.class_bound, new=new
                )
            self.learner.load_state_dict(strip_module_prefix(checkpoint["state_dict"]))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        self.epoch_loaded = checkpoint.get("epoch", epoch)
        print(f"Loaded {self.model_name} from {path} (epoch {self.epoch_loaded})")
        if told:
            print(told)

    def forward_backward(self, batch: dict[str, Any]) -> dict[str, float]:
        """One step of cross entropy over the run's class names."""
        images, labels, *_ = self.parse_batch_train(batch)
        logits = self.model_inference(images)
        loss = F.cross_entropy(logits, labels)
        self.model_backward_and_update(loss)
        if self.batch_idx + 1 == self.num_batches:
            self.update_lr()
        return {"loss": loss.item(), "acc": compute_accuracy(logits, labels)[0].item()}

    def model_inference(self, input: Tensor) -> Tensor:
        """(B, 3, H, W) images → (B, C) logits, under the learner's prompts."""
        return learner_logits(self.backbone, self.learner, input, self._encode_text)

    def _encode_text(self, prompts: Prompts) -> Tensor:
        """Class features, computed again only when something that they depend on has changed."""
        if prompts.text is not None and (torch.is_grad_enabled() or self.learner.per_image):
            return self.compute_class_features(prompts)
        modules = [
            self.learner,
            *(m for m in self._models.values() if isinstance(m, nn.Module) and m is not self.learner),
        ]
        return self._features.get(
            lambda: self.compute_class_features(prompts), modules, (self.learner.classes, self.backbone)
        )

    def set_model_mode(self, mode: str = "train", names: str | list[str] | None = None) -> None:
        """As the engine's; an epoch or a test begins, for which class features are computed afresh."""
        self._features.clear()
        super().set_model_mode(mode, names)

    def compute_class_features(self, prompts: Prompts) -> Tensor:
        """The text tower's work: (C, d) features, or (B, C, d) for prompts per image."""
        model = self.cfg.MODEL
        return self.backbone.encode_text(
            self.learner.classes, prompts, chunk=model.TEXT_CHUNK, recompute=model.RECOMPUTE
        )
