"""The two sides of every measurement: the usual implementation and ours, on the same weights and parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from bench import flops, weights
from bench.baseline import UsualCoCoOp, UsualMaPLe
from bench.job import Job
from bench.names import class_names
from prompted_clip import Adapters, Backbone, Prompts
from prompted_clip.prompts import TowerOutput
from trainers.cocoop import CoCoOpLearner
from trainers.common.encoded import encode
from trainers.common.learner import PromptLearner
from trainers.maple import MultiModalPromptLearner

TEMPLATE = "a photo of a"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Side:
    """A learner on a frozen CLIP.

    Attributes:
        learner: its parameters are all that trains, under the names of the public checkpoints.
        logits: images (B, 3, H, W) → (B, C), for training.
    """

    learner: nn.Module
    logits: Callable[[Tensor], Tensor]

    def evaluator(self) -> Callable[[Tensor], Tensor]:
        """What an evaluation calls for every batch."""
        return self.logits

    def work(self, images: int, text_passes: int) -> list[flops.Work]:
        """The operations for `images` images in `text_passes` passes of the text tower."""
        raise NotImplementedError


def _fill(learner: nn.Module, values: Mapping[str, Tensor]) -> None:
    own = dict(learner.named_parameters())
    if own.keys() != values.keys():
        raise ValueError(f"the learner's parameters are {sorted(own)}, but expected were {sorted(values)}")
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(values[name])


class UsualSide(Side):
    """OpenAI's modules, full context length, text recomputed for every batch (`bench.baseline`)."""

    def __init__(self, job: Job) -> None:
        self.job = job
        model = weights.openai_clip(job.size(), job.seed)
        if job.precision not in DTYPES:
            raise ValueError(f"the usual implementation runs in {', '.join(DTYPES)}, not in {job.precision}")
        if job.precision != "fp32":
            weights.cast_like_openai(model, DTYPES[job.precision])
        model.to(job.device)
        names = class_names(job.classes)
        if job.method == "cocoop":
            self.learner = UsualCoCoOp(model, names, job.n_ctx, TEMPLATE)
        else:
            self.learner = UsualMaPLe(model, names, job.n_ctx, job.depth, TEMPLATE)
        _fill(self.learner, weights.learner_parameters(job))
        self.logits = self.learner

    def work(self, images: int, text_passes: int) -> list[flops.Work]:
        dims, maple = self.job.size(), self.job.method == "maple"
        prompts = self.job.n_ctx if maple else 0
        copies = text_passes if maple else images
        return [
            flops.vision_work(dims, images, prompts, readout=False, trains=maple),
            flops.usual_text_work(dims, copies * self.job.classes),
        ]


class OurSide(Side):
    """`prompted_clip` and a learner of `trainers`, called as a training step calls them."""

    def __init__(self, job: Job) -> None:
        self.job = job
        state = weights.openai_clip(job.size(), job.seed).state_dict()
        self.backbone = Backbone(state, precision=job.precision, device=job.device)
        names = class_names(job.classes)
        self.prompt_learner: PromptLearner
        if job.method == "cocoop":
            self.prompt_learner = CoCoOpLearner(self.backbone, names, n_ctx=job.n_ctx, ctx_init=TEMPLATE)
        else:
            self.prompt_learner = MultiModalPromptLearner(
                self.backbone, names, n_ctx=job.n_ctx, depth=job.depth, ctx_init=TEMPLATE
            )
        self.prompt_learner.to(job.device)
        self.prompt_learner.classes = self.prompt_learner.classes.to(job.device)
        _fill(self.prompt_learner, weights.learner_parameters(job))
        self.learner = self.prompt_learner
        self.logits = self._logits
        if job.compiled:  # every step has the same shapes; on a GPU, CUDA graphs take away the launch overhead
            mode = "reduce-overhead" if job.device == "cuda" else "default"
            self.logits = torch.compile(self._logits, dynamic=False, mode=mode)

    def _encode_text(self, prompts: Prompts, adapters: Adapters | None = None) -> TowerOutput:
        features = self.backbone.encode_text(
            self.prompt_learner.classes, prompts, adapters, chunk=self.job.chunk, recompute=self.job.recompute
        )
        return TowerOutput(features)

    def _logits(self, images: Tensor) -> Tensor:
        return encode(self.backbone, self.prompt_learner, images, encode_text=self._encode_text).logits

    def evaluator(self) -> Callable[[Tensor], Tensor]:
        """As `PromptTrainer` evaluates: class features once, unless each image has its own."""
        if self.prompt_learner.per_image:
            return self.logits
        prompts = self.prompt_learner()
        text = self._encode_text(prompts).features
        return lambda images: self.backbone.logits(self.backbone.encode_image(images, prompts), text)

    def work(self, images: int, text_passes: int) -> list[flops.Work]:
        dims, classes = self.job.size(), self.prompt_learner.classes
        maple = self.job.method == "maple"
        prompts = self.job.n_ctx if maple else 0
        copies = 1 if maple else images
        return [
            flops.vision_work(dims, images, prompts, readout=True, trains=maple),
            flops.packed_text_work(dims, classes.prefix_length, classes.suffix_lengths, copies),
        ]


def build_side(job: Job) -> Side:
    return UsualSide(job) if job.side == "usual" else OurSide(job)
