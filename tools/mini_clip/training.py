"""CLIP's contrastive training for the mini CLIP, on the modules of OpenAI's own implementation."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import clip
import torch
import torch.nn.functional as F
from clip.model import CLIP
from torch import nn

from mini_clip import towers
from mini_clip.captions import CaptionBatch, CaptionSampler, vocabulary
from mini_clip.glyphs import GlyphBank
from mini_clip.images import ImageSampler, normalise

VOCABULARY_SIZE, CONTEXT_LENGTH = 49408, 77  # of the BPE tokenizer that comes with openai-clip
MAX_LOGIT_SCALE = math.log(100.0)


@dataclass(frozen=True)
class Architecture:
    """Sizes of both towers; heads are width / 64 as in every CLIP.

    Attributes:
        embed_dim: width of the joint space.
        image_size, patch_size: pixels.
        vision_width, vision_layers, text_width, text_layers: of the transformers.
    """

    embed_dim: int = 128
    image_size: int = 32
    patch_size: int = 8
    vision_width: int = 192
    vision_layers: int = 6
    text_width: int = 128
    text_layers: int = 4


@dataclass(frozen=True)
class Recipe:
    """Optimisation settings.

    Attributes:
        steps: optimiser steps.
        batch_size: images per step.
        peak_lr: learning rate after warm-up, decayed to zero along a cosine.
        warmup_steps: steps of linear warm-up.
        weight_decay: on weight matrices only.
        digit_share: share of digits among the images.
        ramp: share of the steps over which the images grow from mildly to fully distorted.
        bf16: run the towers in bfloat16; weights and loss stay float32.
    """

    steps: int = 2500
    batch_size: int = 128
    peak_lr: float = 1e-3
    warmup_steps: int = 200
    weight_decay: float = 0.1
    digit_share: float = 0.65
    ramp: float = 0.3
    bf16: bool = False

    def difficulty_at(self, step: int) -> float:
        """Strength of the images' distortion at step 0, 1, …: grows from a fifth to full."""
        return min(1.0, 0.2 + 0.8 * step / max(1, round(self.ramp * self.steps)))

    def lr_at(self, step: int) -> float:
        """Learning rate of step 0, 1, …"""
        if step < self.warmup_steps:
            return self.peak_lr * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return self.peak_lr * 0.5 * (1 + math.cos(math.pi * done))


def build_model(architecture: Architecture) -> CLIP:
    """An untrained CLIP with OpenAI's initialisation, drawn from PyTorch's global generator."""
    a = architecture
    return CLIP(
        embed_dim=a.embed_dim,
        image_resolution=a.image_size,
        vision_layers=a.vision_layers,
        vision_width=a.vision_width,
        vision_patch_size=a.patch_size,
        context_length=CONTEXT_LENGTH,
        vocab_size=VOCABULARY_SIZE,
        transformer_width=a.text_width,
        transformer_heads=a.text_width // 64,
        transformer_layers=a.text_layers,
    )


class Trainee(nn.Module):
    """CLIP with only the token rows in use as parameters.

    Of the vocabulary's 49,408 rows the captions use about two hundred. Training just those saves the optimiser most of
    its work; the rows are put back by `state_dict_for_release`.

    Args:
        architecture: sizes.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.clip = build_model(architecture)
        self.ids: torch.Tensor
        ids = clip.tokenize(vocabulary()).unique()  # 0, the padding, among them
        self.register_buffer("ids", ids)
        self.rows = nn.Parameter(self.clip.token_embedding.weight.detach()[ids].clone())
        self.clip.token_embedding.requires_grad_(False)
        self._tokens: dict[str, torch.Tensor] = {}

    def encode_image(self, pixels: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """Normalised pixels (B, 3, H, W) to unit features (B, embed_dim)."""
        return F.normalize(towers.encode_image(self.clip, pixels, dtype).float(), dim=1)

    def encode_text(self, texts: list[str], dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """Captions, all of `vocabulary`'s words, to unit features (C, embed_dim)."""
        tokens = torch.stack([self._tokenize(text) for text in texts])
        ends = tokens.argmax(1)
        embedded = self.rows[torch.searchsorted(self.ids, tokens[:, : int(ends.max()) + 1].contiguous())]  # (C, L, D)
        return F.normalize(towers.encode_text(self.clip, embedded, ends, dtype).float(), dim=1)

    def _tokenize(self, text: str) -> torch.Tensor:
        if text not in self._tokens:
            self._tokens[text] = clip.tokenize(text)[0]
        return self._tokens[text]

    def trainable(self) -> list[nn.Parameter]:
        """Everything but the full token embedding."""
        return [p for p in self.parameters() if p.requires_grad]

    @torch.no_grad()
    def state_dict_for_release(self) -> dict[str, torch.Tensor]:
        """OpenAI-format state dict in half precision; token rows never seen in training hold the mean of the others.

        A row of its own would be noise to the text tower. The mean row is at least a word without meaning.
        """
        state = {key: value.detach().clone() for key, value in self.clip.state_dict().items()}
        rows = self.rows.detach()
        seen_words = rows[(self.ids > 0) & (self.ids < VOCABULARY_SIZE - 2)]
        table = seen_words.mean(0).repeat(VOCABULARY_SIZE, 1)
        table[self.ids] = rows
        state["token_embedding.weight"] = table
        return {key: value.half().contiguous() for key, value in state.items()}


def contrastive_loss(logits: torch.Tensor, captions: CaptionBatch) -> torch.Tensor:
    """CLIP's symmetric cross entropy with more than one right answer.

    For every image the target is spread evenly over the captions that are true of it, and for every caption over the
    images; look-alike pairs are taken out of the softmax.

    Args:
        logits: (B, C), scaled cosines.
        captions: truth about the pairs.

    Returns:
        Scalar mean of both directions.
    """
    logits = logits.masked_fill(captions.ignored, -1e4)
    positive = captions.positive.float()
    total = logits.new_zeros(())
    for dim in (1, 0):
        count = positive.sum(dim)
        log_probability = (logits.log_softmax(dim) * positive).sum(dim)
        total = total - (log_probability / count.clamp_min(1))[count > 0].mean()
    return total / 2


def train(
    bank: GlyphBank,
    architecture: Architecture,
    recipe: Recipe,
    seed: int,
    report: Callable[[str], None] = print,
    report_every: int = 50,
    inspect: Callable[[Trainee, int], None] | None = None,
    inspect_every: int = 500,
) -> Trainee:
    """Pretrain a mini CLIP from scratch.

    Args:
        bank: training glyphs.
        architecture, recipe: sizes and settings.
        seed: of weights, images and captions; the same seed on the same machine gives the same weights.
        report: gets a progress line every `report_every` steps.
        inspect: called with the model and the step number every `inspect_every` steps.

    Returns:
        The trained model, in evaluation mode.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    dtype = torch.bfloat16 if recipe.bf16 else torch.float32
    torch.manual_seed(seed)
    model = Trainee(architecture)
    images = ImageSampler(
        bank, torch.Generator().manual_seed(seed + 1), architecture.image_size, digit_share=recipe.digit_share
    )
    captions = CaptionSampler(random.Random(seed + 2))
    decayed = [p for p in model.trainable() if p.ndim >= 2]
    kept = [p for p in model.trainable() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": kept, "weight_decay": 0.0}],
        lr=recipe.peak_lr,
        betas=(0.9, 0.98),
    )
    start, shown_loss, shown_steps = time.monotonic(), 0.0, 0
    for step in range(recipe.steps):
        images.difficulty = recipe.difficulty_at(step)
        batch = images.draw(recipe.batch_size)
        truth = captions.draw(batch.characters, batch.attributes)
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr_at(step)
        image_features = model.encode_image(normalise(batch.pixels), dtype)
        text_features = model.encode_text(truth.texts, dtype)
        loss = contrastive_loss(model.clip.logit_scale.exp() * image_features @ text_features.T, truth)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss.item()} at step {step + 1}; lower the learning rate")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.trainable(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.clip.logit_scale.clamp_(max=MAX_LOGIT_SCALE)
        shown_loss, shown_steps = shown_loss + loss.item(), shown_steps + 1
        if (step + 1) % report_every == 0 or step + 1 == recipe.steps:
            seconds = time.monotonic() - start
            left = seconds / (step + 1) * (recipe.steps - step - 1)
            report(
                f"step {step + 1}/{recipe.steps}  loss {shown_loss / shown_steps:.3f}  lr {recipe.lr_at(step):.2e}"
                f"  scale {model.clip.logit_scale.exp().item():.1f}  {seconds:.0f} s, {left:.0f} s to go"
            )
            shown_loss, shown_steps = 0.0, 0
        if inspect is not None and (step + 1) % inspect_every == 0:
            inspect(model.eval(), step + 1)
            model.train()
    return model.eval()
