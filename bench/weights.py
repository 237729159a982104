"""Random weights, learner parameters and images, the same for both sides of a measurement."""

from __future__ import annotations

import math

import torch
from clip.model import CLIP
from torch import Tensor, nn

from bench.job import Dims, Job


def openai_clip(dims: Dims, seed: int) -> CLIP:
    """OpenAI's model of these dimensions with random weights, in float32 and evaluation mode.

    Biases and LayerNorm weights are made non-trivial, and the logit scale is that of the released models, 100.
    """
    torch.manual_seed(seed)
    model = CLIP(
        dims.embed_dim,
        dims.resolution,
        dims.vision_layers,
        dims.vision_width,
        dims.patch_size,
        dims.context_length,
        dims.vocabulary,
        dims.text_width,
        dims.text_width // 64,
        dims.text_layers,
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.05)
            elif name == "logit_scale":
                parameter.fill_(math.log(100.0))
    return model.eval().requires_grad_(False)


def cast_like_openai(model: CLIP, dtype: torch.dtype) -> CLIP:
    """Matrix weights in a 16-bit type, in place, by the rule of `clip.model.convert_weights`: convolutions, linear
    layers, attention and the two projections; LayerNorms and embeddings stay in float32."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear, nn.MultiheadAttention)):
            for parameter in module.parameters(recurse=False):
                parameter.data = parameter.data.to(dtype)
    for parameter in (model.text_projection, model.visual.proj):
        parameter.data = parameter.data.to(dtype)
    return model


def learner_parameters(job: Job) -> dict[str, Tensor]:
    """Values for the learner's parameters, float32, by the names of the public checkpoints."""
    dims = job.size()
    generator = torch.Generator().manual_seed(job.seed + 1)

    def prompt() -> Tensor:
        return torch.randn(job.n_ctx, dims.text_width, generator=generator) * 0.02

    def linear(name: str, n_in: int, n_out: int) -> dict[str, Tensor]:
        bound = n_in**-0.5
        weight = (2 * torch.rand(n_out, n_in, generator=generator) - 1) * bound
        bias = (2 * torch.rand(n_out, generator=generator) - 1) * bound
        return {f"{name}.weight": weight, f"{name}.bias": bias}

    values = {"ctx": prompt()}
    if job.method == "cocoop":
        hidden = dims.embed_dim // 16
        values |= linear("meta_net.linear1", dims.embed_dim, hidden)
        values |= linear("meta_net.linear2", hidden, dims.text_width)
        return values
    values |= linear("proj", dims.text_width, dims.vision_width)
    for k in range(job.depth - 1):
        values[f"compound_prompts_text.{k}"] = prompt()
        values |= linear(f"compound_prompt_projections.{k}", dims.text_width, dims.vision_width)
    return values


def batch_of(job: Job, index: int, size: int) -> tuple[Tensor, Tensor]:
    """Images (size, 3, side, side) and labels (size,) of batch `index`, on the job's device."""
    generator = torch.Generator().manual_seed(job.seed + 100 + index)
    side = job.size().resolution
    images = torch.randn(size, 3, side, side, generator=generator)
    labels = torch.randint(0, job.classes, (size,), generator=generator)
    return images.to(job.device), labels.to(job.device)
