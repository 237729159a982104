"""What a method trains: a learner makes prompts; CLIP, frozen, does the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prompted_clip import Backbone, ClassPrompts, Prompts


class PromptLearner(nn.Module):
    """All that a method trains.

    Subclasses create their parameters and set ``classes``; calling one gives the `Prompts` of a step.

    Attributes:
        classes: the class prompts whose context slots the learner fills.
        per_image: the prompts depend on the image: ``forward`` gets the normalised image features, (B, d).
        class_bound: names of the parameters that are tied to the run's classes by their number (a context per class, a
            classifier's rows). With such, a trained learner serves no other classes and no other order of them.
    """

    classes: ClassPrompts
    per_image: ClassVar[bool] = False
    class_bound: tuple[str, ...] = ()

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
            ValueError: naming the tensors that are missing, left over, of another shape, or not finite.
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
                what = "The number of classes, N_CTX" if name in self.class_bound else "N_CTX"
                raise ValueError(
                    f"The checkpoint's tensor {key} has shape {tuple(found[key].shape)}: expected"
                    f" {tuple(own[name].shape)}. {what} or the backbone differ from those it was trained with."
                )
            if not bool(torch.isfinite(found[key]).all()):
                raise ValueError(f"The checkpoint's tensor {key} has values that are not finite: its training failed.")
        return super().load_state_dict({names[k]: v for k, v in found.items()}, strict=True, assign=assign)


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
