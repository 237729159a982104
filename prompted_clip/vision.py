"""Prompted image encoders."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prompted_clip.layers import FrozenLayerNorm, Transformer, cast_tower, frozen_parameter
from prompted_clip.precision import Precision
from prompted_clip.prompts import Prompts


class VisionTransformer(nn.Module):
    """CLIP's ViT with prompt tokens after the patches (deep: replaced before each of the first blocks).

    Prompts enter after the positional embedding and before ``ln_pre``; the class token stays row 0 (arXiv 2210.03117,
    section 3.2; arXiv 2203.12119).
    """

    def __init__(
        self,
        *,
        resolution: int,
        patch_size: int,
        width: int,
        heads: int,
        layers: int,
        mlp_width: int,
        out_dim: int,
        activation: str,
    ) -> None:
        super().__init__()
        self.resolution = resolution
        self.width = width
        self.conv1 = nn.Conv2d(3, width, patch_size, stride=patch_size, bias=False).requires_grad_(False)
        self.class_embedding = frozen_parameter(width)
        self.positional_embedding = frozen_parameter((resolution // patch_size) ** 2 + 1, width)
        self.ln_pre = FrozenLayerNorm(width)
        self.transformer = Transformer(width, heads, layers, mlp_width, activation)
        self.ln_post = FrozenLayerNorm(width)
        self.proj = frozen_parameter(width, out_dim)

    def cast(self, precision: Precision) -> None:
        cast_tower(self, precision)

    def forward(self, images: Tensor, prompts: Prompts | None = None) -> Tensor:
        """Encode images.

        Args:
            images: (B, 3, H, W), normalised.
            prompts: vision prompts; None for plain CLIP.

        Returns:
            (B, d) features, not normalised.

        Raises:
            ValueError: images of another size than the backbone's, or prompts that do not fit it.
        """
        prompts = prompts or Prompts()
        blocks = self.transformer.blocks
        prompts.check_vision(width=self.width, layers=len(blocks), n_images=len(images))
        x = self._embed(images)  # (B, 1 + patches, d_v)
        n_tokens = x.shape[1]
        if prompts.vision is not None:
            x = torch.cat([x, _rows(prompts.vision, x)], dim=1)  # (B, 1 + patches + b_v, d_v)
        x = self.ln_pre(x)
        for k, block in enumerate(blocks):
            if 1 <= k <= len(prompts.vision_deep):
                x = torch.cat([x[:, :n_tokens], _rows(prompts.vision_deep[k - 1], x)], dim=1)
            if k < len(blocks) - 1:
                x = block(x, _attend)
            else:
                x = block.readout(x, lambda rows: rows[:, :1], _attend_readout)
        return self.ln_post(x[:, 0]) @ self.proj

    def _embed(self, images: Tensor) -> Tensor:
        _check_size(images, self.resolution)
        with torch.no_grad():  # nothing that trains comes before this point
            patches = self.conv1(images.to(self.conv1.weight.dtype)).flatten(2).transpose(1, 2)
            patches = patches.to(self.positional_embedding.dtype)
            first = self.class_embedding.expand(len(images), 1, -1)
            return torch.cat([first, patches], dim=1) + self.positional_embedding


def _check_size(images: Tensor, resolution: int) -> None:
    if tuple(images.shape[1:]) != (3, resolution, resolution):
        raise ValueError(
            f"The images have shape {tuple(images.shape[1:])}: this backbone takes"
            f" (3, {resolution}, {resolution}). Set INPUT.SIZE to ({resolution}, {resolution})."
        )


def _rows(prompts: Tensor, x: Tensor) -> Tensor:
    return prompts.to(x.dtype).expand(len(x), -1, -1)


def _attend(qkv: Tensor) -> Tensor:
    """(B, L, 3, heads, e) → (B, L, heads · e), every row attending to every row."""
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def _attend_readout(query: Tensor, keys_values: Tensor) -> Tensor:
    """(B, R, heads, e) and (B, L, 2, heads, e) → (B, R, heads · e)."""
    k, v = keys_values.permute(2, 0, 3, 1, 4)
    return F.scaled_dot_product_attention(query.transpose(1, 2), k, v).transpose(1, 2).flatten(2)


class ResNetEncoder(nn.Module):
    """CLIP's modified ResNet image encoder (openai-clip's own module): takes no vision prompts."""

    def __init__(self, *, layers: tuple[int, ...], width: int, resolution: int, out_dim: int) -> None:
        super().__init__()
        from prompted_clip.classnames import tokenizer

        tokenizer()  # imports openai-clip with its import-time warnings held back
        from clip.model import ModifiedResNet

        heads = width * 32 // 64
        self.body = ModifiedResNet(layers, out_dim, heads, resolution, width).requires_grad_(False).eval()
        self.resolution = resolution

    def cast(self, precision: Precision) -> None:
        self.body.to(precision.compute)

    def train(self, mode: bool = True) -> ResNetEncoder:
        """Batch statistics are frozen with the weights: the encoder always stays in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor, prompts: Prompts | None = None) -> Tensor:
        """(B, 3, H, W) → (B, d) features, not normalised.

        Raises:
            ValueError: images of another size than the backbone's, or vision prompts.
        """
        if prompts is not None and prompts.vision is not None:
            raise ValueError("Vision prompts need a ViT backbone: this one is a ResNet.")
        _check_size(images, self.resolution)
        return self.body(images.to(self.body.conv1.weight.dtype))
