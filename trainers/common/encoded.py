"""What the towers make of a batch under a learner's prompts and adapters, and its head of that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from prompted_clip import Adapters, Backbone, Prompts
from prompted_clip.prompts import TowerOutput
from trainers.common.learner import Features, PromptLearner

#: (prompts, adapters) → what the text tower computes.
TextEncoder = Callable[[Prompts, Adapters | None], TowerOutput]
#: (B, 3, H, W) images → (B, d) features without prompts and without gradient.
FrozenImages = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Encoded(Features):
    """A batch with its features and its logits.

    Attributes:
        images: (B, 3, H, W) normalised images, the first view where a batch has several.
        logits: (B, C), by the learner's head.
        views: all views of the images, the first one included.
    """

    images: Tensor
    logits: Tensor
    views: Sequence[Tensor]


def encode(
    backbone: Backbone,
    learner: PromptLearner,
    images: Tensor | Sequence[Tensor],
    *,
    encode_text: TextEncoder | None = None,
    frozen_images: FrozenImages | None = None,
    known_classes: bool = True,
) -> Encoded:
    """Images and the learner's classes through both towers and the learner's head.

    Args:
        backbone: the frozen CLIP.
        learner: gives prompts, adapters and the head.
        images: (B, 3, H, W), normalised; or several views of them, of which the first goes through the tower.
        encode_text: what computes class features; None to compute them here, afresh.
        frozen_images: what computes features without prompts, for learners whose prompts depend on the image.
        known_classes: the classes are those of training.

    Returns:
        Features, logits and what else the learner reads.
    """
    views = [images] if isinstance(images, Tensor) else list(images)
    adapters, read = learner.adapters(), learner.reads_rows
    run_image = backbone.read_image if read else backbone.encode_image
    run_text = backbone.read_text if read else backbone.encode_text
    if learner.per_image:
        frozen = (frozen_images or backbone.encode_image)(views[0])
        prompts = learner(F.normalize(frozen, dim=-1))
    else:
        prompts = learner()
    plain = prompts.vision is None and prompts.vision_late is None and not (adapters and adapters.vision)
    if learner.per_image and plain and not read:
        image = TowerOutput(frozen)  # it is known already
    else:
        image = as_output(run_image(views[0], prompts, adapters))
    text = encode_text(prompts, adapters) if encode_text else as_output(run_text(learner.classes, prompts, adapters))
    features = Features(image.features, text.features, *((image, text) if read else ()))
    logits = learner.logits(backbone.logit_scale.exp(), features, known_classes=known_classes)
    return Encoded(**vars(features), images=views[0], logits=logits, views=views)


def as_output(found: Tensor | TowerOutput) -> TowerOutput:
    """What a tower gave, features alone or with rows, in one form."""
    return TowerOutput(found) if isinstance(found, Tensor) else found


def learner_logits(backbone: Backbone, learner: PromptLearner, images: Tensor) -> Tensor:
    """(B, 3, H, W) normalised images → (B, C) logits over the learner's classes, everything computed here."""
    return encode(backbone, learner, images).logits
