"""What all trainers share: the frozen CLIP, one training step, cached class features, checkpoints of the learner.

A method is a learner, and of the hooks below those in which it differs: `losses`, `backward`, `on_epoch_end`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from yacs.config import CfgNode

from dassl.engine import TrainerX
from dassl.metrics import compute_accuracy
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.optim.lr_scheduler import moves_per_step
from dassl.utils.checkpoint import find_checkpoint, load_checkpoint, strip_module_prefix
from prompted_clip import Adapters, Backbone, Prompts, load_backbone
from prompted_clip.precision import resolve_precision
from prompted_clip.prompts import TowerOutput
from trainers.common.cached_features import CachedFeatures
from trainers.common.class_text import first_prompts, refuse_equal_prompts
from trainers.common.encoded import Encoded, as_output, encode
from trainers.common.frozen import Frozen
from trainers.common.learner import PromptLearner
from trainers.common.trained_classes import compare_classes


def add_config(cfg: CfgNode) -> None:
    """Keys that all methods read."""
    cfg.MODEL.TEXT_CHUNK = 0  # classes per pass of the text tower; 0 for all at once (same result, other memory)
    cfg.MODEL.RECOMPUTE = False  # keep no text activations; compute them again in the backward pass
    cfg.MODEL.COMPILE = False  # torch.compile for both encoders; on CUDA with CUDA graphs
    cfg.MODEL.ALLOW_EQUAL_PROMPTS = False  # go on although classes have equal prompts, and so equal scores


#: Where a dataset names no template of its own.
GENERAL_TEMPLATE = "a photo of a {}."


class PromptTrainer(TrainerX):
    """Trains a `PromptLearner` on a frozen CLIP. Subclasses set the class attributes and ``build_learner``.

    Attributes:
        node: name of the method's config node under TRAINER; it has the key PREC.
        model_name: name of the learner's folder in a run.
        needs_vit: the method prompts the image tower, which only a ViT can take.
        views: views of a training image that the method needs (DATALOADER.K_TRANSFORMS).
        known_classes: the classes are those that the learner was trained on.
    """

    node: ClassVar[str]
    model_name: ClassVar[str] = "prompt_learner"
    needs_vit: bool = False
    views: ClassVar[int] = 1
    known_classes: bool = True

    backbone: Backbone
    learner: PromptLearner
    _frozen: Frozen | None = None

    def __init__(self, cfg: CfgNode) -> None:
        self._features = CachedFeatures()
        super().__init__(cfg)

    @classmethod
    def bare(cls, cfg: CfgNode, backbone: Backbone, dataset: Any) -> PromptTrainer:
        """A trainer without data, folders and logs, with what a step needs: for benchmarks and tests.

        Args:
            cfg: the config.
            backbone: the frozen CLIP.
            dataset: what a method reads of one: ``classnames``, and ``template`` where it asks for that.
        """
        trainer = cls.__new__(cls)
        trainer._models, trainer._features = OrderedDict(), CachedFeatures()
        trainer.cfg, trainer.device, trainer.backbone = cfg, backbone.device, backbone
        trainer.dm = cast(Any, SimpleNamespace(dataset=dataset))
        trainer.learner = trainer._make_learner()
        return trainer

    def check_cfg(self, cfg: CfgNode) -> None:
        """Refuse an unknown precision or a negative chunk (ValueError), before weights are read."""
        resolve_precision(cfg.TRAINER[self.node].PREC, "cpu")
        if cfg.MODEL.TEXT_CHUNK < 0:
            raise ValueError(f"MODEL.TEXT_CHUNK is {cfg.MODEL.TEXT_CHUNK}: expected a number of classes, or 0 for all.")
        if self.views > cfg.DATALOADER.K_TRANSFORMS:
            raise ValueError(
                f"DATALOADER.K_TRANSFORMS is {cfg.DATALOADER.K_TRANSFORMS}: {cfg.TRAINER.NAME} needs {self.views} views"
                " of an image."
            )

    def build_learner(self, node: CfgNode, classnames: list[str]) -> PromptLearner:
        """Make the learner from the method's config node and the run's class names."""
        raise NotImplementedError(f"{type(self).__name__} must build its learner.")

    def build_model(self) -> None:
        """Load the backbone, build the learner, and hand the learner's parameters to the optimiser."""
        cfg = self.cfg
        self.backbone = self.load_backbone()
        self.model = self.learner = self._make_learner()
        self.introduce(self.learner)
        self.optim = build_optimizer(self.learner, cfg.OPTIM, self._param_groups())
        self.sched = build_lr_scheduler(self.optim, cfg.OPTIM, len(self.train_loader_x), self.total_steps())
        self.register_model(self.model_name, self.learner, self.optim, self.sched)
        self.scaler = torch.amp.GradScaler(self.device.type) if self.backbone.precision.scaled else None

    def _make_learner(self) -> PromptLearner:
        """The learner for the run's classes, on the device."""
        learner = self.build_learner(self.cfg.TRAINER[self.node], list(self.dm.dataset.classnames)).to(self.device)
        learner.classes = learner.classes.to(self.device)
        return learner

    def _param_groups(self) -> list[dict[str, Any]]:
        groups = [dict(group) for group in self.learner.param_groups()]
        grouped = [id(parameter) for group in groups for parameter in group["params"]]
        if sorted(grouped) != sorted(id(parameter) for parameter in self.learner.parameters()):
            raise ValueError(f"{type(self.learner).__name__}'s param_groups must hold each of its parameters, once.")
        for group in groups:
            group["lr"] = self.cfg.OPTIM.LR * group.pop("lr_mult", 1.0)
        return groups

    @property
    def frozen(self) -> Frozen:
        """Features of the run's backbone as it came."""
        if self._frozen is None or self._frozen.backbone is not self.backbone:
            self._frozen = Frozen(self.backbone, chunk=self.cfg.MODEL.TEXT_CHUNK)
        return self._frozen

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
        """Whether the method makes texts with DATASET.TEMPLATE."""
        return False

    def template(self, special: Mapping[str, str] | None = None) -> str:
        """The run's template: DATASET.TEMPLATE, else what a method has for the dataset, else the dataset's own.

        Args:
            special: the method's templates by name of the dataset, where they are not the dataset's.
        """
        data = self.cfg.DATASET
        own = (special or {}).get(data.NAME, "")
        return data.get("TEMPLATE", "") or own or getattr(self.dm.dataset, "template", GENERAL_TEMPLATE)

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
        try:
            state = self.read_checkpoint(checkpoint)
            told = self.compare_classes(checkpoint.get("classnames"))
            known = self.known_classes or not self.learner.serves_other_classes
            self.learner.load_state_dict(state, known_classes=known)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        self.epoch_loaded = checkpoint.get("epoch", epoch)
        print(f"Loaded {self.model_name} from {path} (epoch {self.epoch_loaded})")
        if told:
            print(told)

    def read_checkpoint(self, content: Any) -> dict[str, Tensor]:
        """The learner's tensors in what a checkpoint file holds.

        Raises:
            ValueError: it holds no state dict.
        """
        if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
            raise ValueError("it is no checkpoint of a method: it has no state_dict.")
        return strip_module_prefix(content["state_dict"])

    def compare_classes(self, trained: Any) -> str:
        """What it means that a model of these classes is tested on the run's; "" if nothing, or if they are not known.

        Raises:
            ValueError: the learner serves no other classes.
        """
        new = self.cfg.DATASET.get("SUBSAMPLE_CLASSES") == "new"
        named = isinstance(trained, list) and bool(trained) and all(isinstance(name, str) for name in trained)
        if not named:  # a released checkpoint, or one of an earlier version, has no names
            self.known_classes = not new
            return ""
        self.known_classes = list(trained) == list(self.dm.dataset.classnames)
        bound = () if self.learner.serves_other_classes else self.learner.class_bound
        return compare_classes(trained, self.dm.dataset.classnames, class_bound=bound, new=new)

    def forward_backward(self, batch: dict[str, Any]) -> dict[str, float]:
        """One training step: encode, `losses`, `backward`, the optimiser's step, the schedule's where one is due."""
        images, labels, *_ = self.parse_batch_train(batch)
        encoded = self.encode(images)
        losses = self.losses(encoded, labels)
        total = sum_of(losses)
        self.detect_anomaly(total)
        self.model_zero_grad()
        self.backward(losses)
        self.scaled_update()
        if self.batch_idx + 1 == self.num_batches or moves_per_step(self.cfg.OPTIM):
            self.update_lr()
        parts = losses if len(losses) > 1 else {}
        summary = {"loss": total, **parts, "acc": compute_accuracy(encoded.logits, labels)[0]}
        return {name: value.item() for name, value in summary.items()}

    def losses(self, encoded: Encoded, labels: Tensor) -> dict[str, Tensor]:
        """The terms of the loss by name, weighted; their sum is minimised, each is logged.

        Args:
            encoded: the batch: features, logits, images.
            labels: (B,) class indices.
        """
        return {"loss": F.cross_entropy(encoded.logits, labels)}

    def backward(self, losses: dict[str, Tensor]) -> None:
        """Leave the step's gradient in the parameters (times the scaler's scale, where there is one: `scaled`)."""
        self.scaled(sum_of(losses)).backward()

    def on_epoch_end(self) -> None:
        """Called after the last step of an epoch, before its checkpoint is written. What it keeps from epoch to epoch
        belongs into `extra_state`, or a resumed run would end elsewhere than an unbroken one."""

    def after_epoch(self) -> None:
        self.on_epoch_end()
        super().after_epoch()

    def encode(self, images: Tensor | list[Tensor]) -> Encoded:
        """Images, (B, 3, H, W) or a list of views, through both towers and the learner's head."""
        return encode(
            self.backbone,
            self.learner,
            images,
            encode_text=self._encode_text,
            frozen_images=self.frozen.image,
            known_classes=self.known_classes,
        )

    def model_inference(self, input: Tensor) -> Tensor:
        """(B, 3, H, W) images → (B, C) logits, under the learner's prompts."""
        return self.encode(input).logits

    def _encode_text(self, prompts: Prompts, adapters: Adapters | None) -> TowerOutput:
        """Class features, computed again only when something that they depend on has changed."""
        if self.learner.per_image or (prompts.text is not None and torch.is_grad_enabled()):
            return self.compute_class_features(prompts, adapters)
        modules = [
            self.learner,
            *(m for m in self._models.values() if isinstance(m, nn.Module) and m is not self.learner),
        ]
        return self._features.get(
            lambda: self.compute_class_features(prompts, adapters), modules, (self.learner.classes, self.backbone)
        )

    def set_model_mode(self, mode: str = "train", names: str | list[str] | None = None) -> None:
        """As the engine's; an epoch or a test begins, for which class features are computed afresh."""
        self._features.clear()
        super().set_model_mode(mode, names)

    def compute_class_features(self, prompts: Prompts, adapters: Adapters | None = None) -> TowerOutput:
        """The text tower's work: (C, d) features, or (B, C, d) for prompts per image; with rows if they are read."""
        model = self.cfg.MODEL
        run = self.backbone.read_text if self.learner.reads_rows else self.backbone.encode_text
        return as_output(
            run(self.learner.classes, prompts, adapters, chunk=model.TEXT_CHUNK, recompute=model.RECOMPUTE)
        )


def sum_of(losses: dict[str, Tensor]) -> Tensor:
    """The sum of the terms; a single one as it is."""
    return next(iter(losses.values())) if len(losses) == 1 else torch.stack(list(losses.values())).sum()
