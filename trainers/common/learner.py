"""What a method trains: a learner makes prompts; CLIP, frozen, does the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from prompted_clip import Adapters, ClassPrompts, Prompts
from prompted_clip.backbone import cosine_logits
from prompted_clip.prompts import TowerOutput

#: Where the tensors of published checkpoints begin that are CLIP's, and where they end that are embedded class names.
CLIP_TENSORS = ("image_encoder.", "text_encoder.", "logit_scale", "clip_model.")
CLASS_NAME_TENSORS = ("token_prefix", "token_suffix")


@dataclass(frozen=True)
class Features:
    """What the two towers made of a batch; not normalised.

    Attributes:
        image: (B, d) image features.
        text: (C, d) class features, or (B, C, d) with prompts per image.
        image_rows, text_rows: with the rows of the prompts, for learners that read them (``reads_rows``).
    """

    image: Tensor
    text: Tensor
    image_rows: TowerOutput | None = None
    text_rows: TowerOutput | None = None


class PromptLearner(nn.Module):
    """All that a method trains.

    Subclasses create their parameters and set ``classes``; calling one gives the `Prompts` of a step.

    Attributes:
        classes: the class prompts whose context slots the learner fills.
        per_image: the prompts depend on the image: ``forward`` gets the normalised image features, (B, d).
        class_bound: names of the parameters that are tied to the run's classes by their number (a context per class, a
            classifier's rows). With such, a trained learner serves no other classes and no other order of them.
        serves_other_classes: although some parameters are bound to the classes: for other ones these are left out when
            a checkpoint is loaded, and `logits` is told that the classes are not known.
        reads_rows: the learner wants the prompts' rows after the last block, in `Features`.
        foreign: where the names of tensors in published checkpoints begin that are not the learner's and are passed
            over, beside CLIP's and the embedded class names.
    """

    classes: ClassPrompts
    per_image: ClassVar[bool] = False
    class_bound: tuple[str, ...] = ()
    serves_other_classes: ClassVar[bool] = False
    reads_rows: ClassVar[bool] = False
    foreign: ClassVar[tuple[str, ...]] = ()

    def forward(self, image_features: Tensor | None = None) -> Prompts:
        """The prompts of this step; ``image_features`` is None unless ``per_image``."""
        raise NotImplementedError(f"{type(self).__name__} must say which prompts it makes.")

    def adapters(self) -> Adapters | None:
        """What is added inside the frozen blocks in this step; None for nothing."""
        return None

    def logits(self, scale: Tensor, features: Features, *, known_classes: bool) -> Tensor:
        """The head: exp(logit_scale) and features → (B, C); CLIP's cosines unless a method has its own.

        Args:
            scale: exp(logit_scale).
            features: of images and classes.
            known_classes: the classes are those of training, in their order.
        """
        return cosine_logits(scale, features.image, features.text)

    def param_groups(self) -> list[dict[str, Any]]:
        """Groups for the optimiser; ``lr_mult`` in one multiplies OPTIM.LR. Every parameter is in one of them, once."""
        return [{"params": list(self.parameters())}]

    def checkpoint_key(self, name: str) -> str:
        """The name that a parameter has in published checkpoints of the method."""
        return name

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """The learner's tensors under their published names."""
        return {self.checkpoint_key(k): v for k, v in super().state_dict(*args, **kwargs).items()}

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False, *, known_classes: bool = True
    ) -> Any:
        """Load tensors by their published names; for classes not those of training, without what is bound to these.

        Published checkpoints also hold CLIP itself and the embedded class names, which are not the learner's: they
        are passed over. Everything else must fit, also with ``strict=False``: a prompt that silently stays at its
        initial value is a wrong result.

        Raises:
            ValueError: naming the tensors that are missing, left over, of another shape, or not finite.
        """
        own = dict(super().state_dict())
        names = {self.checkpoint_key(k): k for k in own}
        bound = set() if known_classes else {key for key, name in names.items() if name in self.class_bound}
        names = {key: name for key, name in names.items() if key not in bound}
        foreign = (*CLIP_TENSORS, *self.foreign)
        found = {
            k: v
            for k, v in state_dict.items()
            if k in names or not (k in bound or k.startswith(foreign) or k.endswith(CLASS_NAME_TENSORS))
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
        return super().load_state_dict({names[k]: v for k, v in found.items()}, strict=not bound, assign=assign)
