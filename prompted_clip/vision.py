"""Prompted image encoders."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prompted_clip.adapters import NOTHING, Adapters
from prompted_clip.layers import FrozenLayerNorm, Transformer, cast_tower, frozen_parameter
from prompted_clip.precision import Precision
from prompted_clip.prompts import Prompts, TowerOutput, deep_prompts, splice


class VisionTransformer(nn.Module):
    """CLIP's ViT with prompt tokens after the patches (deep: replaced before each of the first blocks).

    Prompts enter after the positional embedding and before ``ln_pre``; the class token stays row 0 (MaPLe, section 3.2;
    VPT, arXiv 2203.12119).
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

    def forward(
        self,
        images: Tensor,
        prompts: Prompts | None = None,
        adapters: Adapters | None = None,
        *,
        read_prompts: bool = False,
        read_patches: bool = False,
    ) -> TowerOutput:
        """Encode images.

        Args:
            images: (B, 3, H, W), normalised.
            prompts: vision prompts; None for plain CLIP.
            adapters: what is added inside the blocks.
            read_prompts: give the rows of the prompts too.
            read_patches: give the rows of the patches too.

        Returns:
            (B, d) features, not normalised, and the rows that were asked for.

        Raises:
            ValueError: images of another size than the backbone's, or prompts or adapters that do not fit it.
        """
        prompts, adapters = prompts or Prompts(), adapters or Adapters()
        blocks = self.transformer.blocks
        prompts.check_vision(width=self.width, layers=len(blocks), n_images=len(images))
        adapters.check("vision", layers=len(blocks))
        read_prompts = read_prompts and (prompts.vision is not None or prompts.vision_late is not None)
        x = self._embed(images)  # (B, 1 + patches, d_v)
        n_tokens = x.shape[1]
        if prompts.vision is not None:
            x = torch.cat([x, _rows(prompts.vision, x)], dim=1)  # (B, 1 + patches + b_v, d_v)
        end = x.shape[1]
        x = self.ln_pre(x)

        def pick(rows: Tensor) -> Tensor:
            """The class token, and what is asked for besides."""
            parts = [rows[:, : n_tokens if read_patches else 1]]
            if read_prompts:
                parts.append(rows[:, n_tokens:])
            return torch.cat(parts, dim=1) if read_prompts else parts[0]

        for k, block in enumerate(blocks):
            deep, keep = deep_prompts(prompts.vision_deep, prompts.vision_keep, k)
            if deep is not None:
                x = splice(x, deep, n_tokens, end, keep)
            if prompts.vision_late is not None:
                x = prompts.vision_late.enter(x, k, end)
            adapter = adapters.vision.get(k, NOTHING)
            if k < len(blocks) - 1:
                x = block(x, _attend, adapter)
            else:
                x = block.readout(x, pick, _attend_readout, adapter)
        if not (read_prompts or read_patches):
            return TowerOutput(self.ln_post(x[:, 0]) @ self.proj)
        x = self.ln_post(x)
        features, rest = x[:, 0] @ self.proj, x[:, 1:]
        patches = shallow = late = None
        if read_patches:
            patches, rest = rest[:, : n_tokens - 1] @ self.proj, rest[:, n_tokens - 1 :]
        if read_prompts and prompts.vision is not None:
            shallow = rest[:, : end - n_tokens]
        if read_prompts and prompts.vision_late is not None:
            late = rest[:, end - n_tokens :]
        return TowerOutput(features, shallow, late, patches)

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
    def forward(
        self,
        images: Tensor,
        prompts: Prompts | None = None,
        adapters: Adapters | None = None,
        *,
        read_prompts: bool = False,
        read_patches: bool = False,
    ) -> TowerOutput:
        """(B, 3, H, W) → (B, d) features, not normalised; there are no rows of prompts, and those of patches are not
        to be had.

        Raises:
            ValueError: images of another size than the backbone's, vision prompts or adapters, or patches asked for.
        """
        prompts, adapters = prompts or Prompts(), adapters or Adapters()
        deep = any(each is not None for each in prompts.vision_deep)
        for what, given in (
            ("Vision prompts need", deep or prompts.vision is not None or prompts.vision_late is not None),
            ("Adapters of the vision tower need", bool(adapters.vision)),
            ("Patch rows need", read_patches),
        ):
            if given:
                raise ValueError(f"{what} a ViT backbone: this one is a ResNet.")
        _check_size(images, self.resolution)
        return TowerOutput(self.body(images.to(self.body.conv1.weight.dtype)))
