"""What all prompt learning methods share: a frozen CLIP, a learner, one training step, cached class features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from yacs.config import CfgNode

from dassl.engine import TrainerX
from dassl.metrics import compute_accuracy
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils.checkpoint import BEST, load_checkpoint, newest_checkpoint, strip_module_prefix
from prompted_clip import Backbone, ClassPrompts, Prompts, class_prompts, encode_words, load_backbone
from prompted_clip.precision import resolve_precision

#: Standard deviation of prompts that start at random (all methods of the paper).
INIT_STD = 0.02

#: More context tokens than this, and CTX_INIT is not used to initialise them.
MAX_INIT_WORDS = 4


def add_config(cfg: CfgNode) -> None:
    """Keys that all methods read."""
    cfg.MODEL.TEXT_CHUNK = 0  # classes per pass of the text tower; 0 for all at once (same result, other memory)
    cfg.MODEL.RECOMPUTE = False  # keep no text activations; compute them again in the backward pass
    cfg.MODEL.COMPILE = False  # torch.compile for both encoders; on CUDA with CUDA graphs


class PromptLearner(nn.Module):
    """All that a method trains.

    Subclasses create their parameters and set ``classes``; calling one gives the `Prompts` of a step.

    Attributes:
        classes: the class prompts whose context slots the learner fills.
        per_image: the prompts depend on the image: ``forward`` gets the normalised image features, (B, d).
    """

    classes: ClassPrompts
    per_image: ClassVar[bool] = False

    def forward(self, image_features: Tensor | None = None) -> Prompts:
        """The prompts of this step; ``image_features`` is None unless ``per_image``."""
        raise NotImplementedError(f"{type(self).__name__} must say which prompts it makes.")

    def checkpoint_key(self, name: str) -> str:
        """The name that a parameter has in published checkpoints of the method."""
        return name

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """The learner's tensors under their published names."""
        return {self.checkpoint_key(k): v for k, v in super().state_dict(*args, **kwargs).items()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load tensors by their published names.

        Published checkpoints also hold CLIP itself and the embedded class names, which are not the learner's: they
        are passed over. Everything else must fit, also with ``strict=False``: a prompt that silently stays at its
        initial value is a wrong result.

        Raises:
            ValueError: naming the tensors that are missing, left over, or of another shape.
        """
        own = dict(super().state_dict())
        names = {self.checkpoint_key(k): k for k in own}
        foreign = ("image_encoder.", "text_encoder.", "logit_scale", "clip_model.")
        found = {
            k: v
            for k, v in state_dict.items()
            if k in names or not (k.startswith(foreign) or k.endswith(("token_prefix", "token_suffix")))
        }
        missing = sorted(set(names) - set(found))
        leftover = sorted(set(found) - set(names))
        if missing or leftover:
            parts = [f"it lacks {', '.join(missing[:3])}"] if missing else []
            parts += [f"it has {', '.join(leftover[:3])}, which this method does not know"] if leftover else []
            raise ValueError(
                f"The checkpoint does not fit {type(self).__name__}: {'; '.join(parts)}. It is another method's, or was"
                " trained with another prompt depth."
            )
        for key, name in names.items():
            if found[key].shape != own[name].shape:
                raise ValueError(
                    f"The checkpoint's tensor {key} has shape {tuple(found[key].shape)}: expected"
                    f" {tuple(own[name].shape)}. N_CTX or the backbone differ from those it was trained with."
                )
        return super().load_state_dict({names[k]: v for k, v in found.items()}, strict=True, assign=assign)


def check_count(name: str, value: int, low: int, high: int, limit: str) -> None:
    """Check a number of tokens or layers from the config.

    Raises:
        ValueError: outside low … high; ``limit`` says where ``high`` comes from.
    """
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}: expected {low} to {high} ({limit}).")


def init_context(
    backbone: Backbone, classnames: list[str], *, n_ctx: int, ctx_init: str
) -> tuple[nn.Parameter, ClassPrompts]:
    """Shallow text prompts before the class name, as CoOp, CoCoOp, MaPLe and IVLP make them.

    With ``ctx_init`` and at most 4 context tokens, the context starts as the embeddings of the template's first
    ``n_ctx`` tokens and the template's other words stay in the prompt, frozen. Otherwise it starts as N(0, 0.02²).

    Args:
        backbone: the frozen CLIP.
        classnames: one name per class.
        n_ctx: b, context tokens.
        ctx_init: template words, or "".

    Returns:
        the context, (b, d_l) float32, and the class prompts with its slots.

    Raises:
        ValueError: no context token, more than fit, or more than ``ctx_init`` has words for.
    """
    spec = backbone.spec
    # start, a word, the full stop and end-of-text need a place as well
    check_count("N_CTX", n_ctx, 1, spec.context_length - 4, f"the text tower has {spec.context_length} positions")
    words = encode_words(ctx_init) if ctx_init and n_ctx <= MAX_INIT_WORDS else []
    if words and len(words) < n_ctx:
        raise ValueError(f"N_CTX is {n_ctx}, but CTX_INIT {ctx_init!r} has {len(words)} tokens to start from.")
    if words:
        context = backbone.embed_tokens(words[:n_ctx])
    else:
        context = random_prompts(n_ctx, spec.text_width)
    classes = class_prompts(classnames, context_length=spec.context_length, n_ctx=n_ctx, frozen_tokens=words[n_ctx:])
    return nn.Parameter(context.to("cpu")), classes


def random_prompts(*shape: int) -> Tensor:
    """Prompts drawn from N(0, 0.02²), float32, from PyTorch's global generator (which the run's seed sets)."""
    return torch.empty(*shape).normal_(std=INIT_STD)


def learner_logits(
    backbone: Backbone,
    learner: PromptLearner,
    images: Tensor,
    encode_text: Callable[[Prompts], Tensor] | None = None,
) -> Tensor:
    """Logits of images over the learner's classes, exp(logit_scale) · cos(image, text).

    Args:
        backbone: the frozen CLIP.
        learner: gives the prompts.
        images: (B, 3, H, W), normalised.
        encode_text: prompts → (C, d) or (B, C, d) class features; None to compute them here.

    Returns:
        (B, C) logits.
    """
    encode_text = encode_text or (lambda prompts: backbone.encode_text(learner.classes, prompts))
    if learner.per_image:
        image_features = backbone.encode_image(images)
        prompts = learner(F.normalize(image_features, dim=-1))
    else:
        prompts = learner()
        image_features = backbone.encode_image(images, prompts)
    return backbone.logits(image_features, encode_text(prompts))


def last_epoch(folder: Path) -> int:
    """The epoch of the newest checkpoint in a model's folder.

    Raises:
        FileNotFoundError: there is none.
    """
    name = newest_checkpoint(str(folder))
    return int(str(name).rsplit("-", 1)[-1])


class PromptTrainer(TrainerX):
    """Trains a `PromptLearner` on a frozen CLIP.

    Subclasses set the class attributes and ``build_learner``.

    Attributes:
        node: name of the method's config node under TRAINER; it has the key PREC.
        model_name: name of the learner's folder in a run.
        needs_vit: the method prompts the image tower, which only a ViT can take.
    """

    node: ClassVar[str]
    model_name: ClassVar[str] = "prompt_learner"
    needs_vit: ClassVar[bool] = False

    backbone: Backbone
    learner: PromptLearner

    def check_cfg(self, cfg: CfgNode) -> None:
        """Check what can be checked before weights are read.

        Raises:
            ValueError: an unknown precision, or a negative chunk.
        """
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
        self._features: tuple[Any, Tensor] | None = None
        self.learner = self.build_learner(cfg.TRAINER[self.node], list(self.dm.dataset.classnames))
        self.learner.to(self.device)
        self.learner.classes = self.learner.classes.to(self.device)
        self.model = self.learner
        self.optim = build_optimizer(self.learner, cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, cfg.OPTIM)
        self.register_model(self.model_name, self.learner, self.optim, self.sched)
        self.scaler = torch.amp.GradScaler(self.device.type) if self.backbone.precision.scaled else None

    def load_backbone(self) -> Backbone:
        """The frozen CLIP that the config names.

        Raises:
            ValueError, FileNotFoundError, OSError: no such backbone, one that the method cannot use, or images of
                another size than it takes.
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
        """Load the learner's tensors from a run folder, or from a released model's.

        Args:
            directory: the folder that holds ``<model_name>/model.pth.tar-<epoch>``.
            epoch: which one; None for the best on validation where there is one, else the last.

        Raises:
            ValueError: no folder given, or a checkpoint that does not fit.
            FileNotFoundError: no such checkpoint.
        """
        if not directory:
            raise ValueError(f"{self.cfg.TRAINER.NAME} needs a trained model to test: give its folder as --model-dir.")
        folder = Path(directory, self.model_name)
        if epoch is None and not (folder / BEST).is_file():
            epoch = last_epoch(folder)
        path = folder / (BEST if epoch is None else f"model.pth.tar-{epoch}")
        checkpoint = load_checkpoint(path)
        try:
            self.learner.load_state_dict(strip_module_prefix(checkpoint["state_dict"]))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        self.epoch_loaded = checkpoint.get("epoch", epoch)
        print(f"Loaded {self.model_name} from {path} (epoch {self.epoch_loaded})")

    def forward_backward(self, batch: dict[str, Any]) -> dict[str, float]:
        """One step of cross entropy over the run's class names."""
        images, labels, *_ = self.parse_batch_train(batch)
        logits = self.logits(images)
        loss = F.cross_entropy(logits, labels)
        if self.scaler is None:
            self.model_backward_and_update(loss)
        else:
            self.detect_anomaly(loss)
            self.optim.zero_grad()
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optim)
            self.scaler.update()
        if self.batch_idx + 1 == self.num_batches:
            self.update_lr()
        return {"loss": loss.item(), "acc": compute_accuracy(logits, labels)[0].item()}

    def model_inference(self, input: Tensor) -> Tensor:
        """(B, 3, H, W) images → (B, C) logits."""
        return self.logits(input)

    def logits(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) images → (B, C) logits, under the learner's prompts."""
        return learner_logits(self.backbone, self.learner, images, self._encode_text)

    def _encode_text(self, prompts: Prompts) -> Tensor:
        """Class features, computed again only when something that they depend on has changed."""
        if prompts.text is not None and (torch.is_grad_enabled() or self.learner.per_image):
            return self.compute_class_features(prompts)
        # in-place updates (optimiser steps, loading) raise a tensor's version
        state = tuple((id(p), p._version) for p in self.learner.parameters()) if prompts.text is not None else ()
        key = (state, id(self.learner.classes), id(self.backbone))
        if self._features is None or self._features[0] != key:
            with torch.no_grad():
                self._features = (key, self.compute_class_features(prompts))
        return self._features[1]

    def compute_class_features(self, prompts: Prompts) -> Tensor:
        """The text tower's work: (C, d) features, or (B, C, d) for prompts per image."""
        model = self.cfg.MODEL
        return self.backbone.encode_text(
            self.learner.classes, prompts, chunk=model.TEXT_CHUNK, recompute=model.RECOMPUTE
        )
