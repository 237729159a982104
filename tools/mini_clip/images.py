"""Glyph bank to training images: distorted, framed, thick or thin, coarse or fine, in batches on the CPU.

Every image goes through the steps that a picture of a character goes through before CLIP sees it: a shape (affine and
elastic distortion, stroke thickness), a frame (tight or loose), a raster (8x8 block counts, 28x28 grey levels, or any
size between), and at the end the bicubic resize to the input size that the evaluation uses as well.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from mini_clip.glyphs import CHARACTERS, DIGITS, FIELD_SCALE, FIELD_SIZE, GlyphBank

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)

_RASTERS = (28, 8, 32, 20, 14)
_RASTER_SHARES = (0.40, 0.35, 0.10, 0.09, 0.06)
_FINE = 32  # an 8x8 image counts the set pixels of 4x4 blocks of a 32x32 bitmap


@dataclass(frozen=True)
class ImageBatch:
    """Images and what is true of them.

    Attributes:
        pixels: float32 (B, 1, 32, 32), grey levels 0 to 1, before CLIP's normalisation.
        characters: int64 (B,), index into `CHARACTERS`.
        attributes: attribute name to bool (B,); an image may have neither of two opposite attributes.
    """

    pixels: torch.Tensor
    characters: torch.Tensor
    attributes: dict[str, torch.Tensor]


def normalise(pixels: torch.Tensor) -> torch.Tensor:
    """Grey levels (B, 1, H, W) in 0..1 to CLIP's input (B, 3, H, W)."""
    mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
    return (pixels - mean) / std


class ImageSampler:
    """Draws batches of images from a glyph bank.

    Args:
        bank: the glyphs.
        generator: source of every random number.
        image_size: side of the images, pixels.
        digit_share: share of digits among the images, the rest are letters (all digits if the bank has no letters).

    Attributes:
        difficulty: strength of distortion and damage, 0 (as printed) to 1 (full); may be changed between draws.
    """

    def __init__(
        self, bank: GlyphBank, generator: torch.Generator, image_size: int = 32, digit_share: float = 0.65
    ) -> None:
        self.bank, self.generator, self.image_size = bank, generator, image_size
        self.difficulty = 1.0
        weight = torch.zeros(len(bank), dtype=torch.float64)
        for character in bank.characters.unique().tolist():
            here = bank.characters == character
            per_family = torch.bincount(bank.families[here], minlength=len(bank.family_names))
            # a family counts by its weight, however many faces it has
            weight[here] = bank.weight[here].double() / per_family[bank.families[here]]
            weight[here] /= weight[here].sum()
        is_digit = bank.characters < len(DIGITS)
        weight[is_digit] *= digit_share / len(DIGITS)
        weight[~is_digit] *= (1 - digit_share) / (len(CHARACTERS) - len(DIGITS))
        self._cumulative = (weight / weight.sum()).cumsum(0)

    def _uniform(self, n: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        return torch.rand(n, generator=self.generator) * (high - low) + low

    def _normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=self.generator)

    def _chance(self, n: int, p: float) -> torch.Tensor:
        return self._uniform(n) < p

    def draw(self, n: int) -> ImageBatch:
        """A batch of `n` images."""
        picks = torch.searchsorted(self._cumulative, torch.rand(n, generator=self.generator, dtype=torch.float64))
        picks = picks.clamp_max(len(self.bank) - 1)
        field = self._distort(self.bank.fields[picks].float() / FIELD_SCALE)  # (n, 64, 64)
        threshold, half_stroke = self._thickness(picks)
        raster = torch.multinomial(torch.tensor(_RASTER_SHARES), n, replacement=True, generator=self.generator)
        # on an 8x8 raster a hairline is not to be seen: draw thicker
        threshold = torch.where(raster == _RASTERS.index(8), threshold - self._uniform(n, 0.3, 1.8), threshold)
        field = field - threshold.view(n, 1, 1)

        soft = self._uniform(n, 0.35, 1.1)  # half width of the edge, raster pixels
        pixels = torch.empty(n, 1, self.image_size, self.image_size)
        share = torch.empty(n)
        blurred = torch.zeros(n, dtype=torch.bool)
        for i, size in enumerate(_RASTERS):
            rows = (raster == i).nonzero()[:, 0]
            if rows.numel():
                drawn, share[rows] = self._frame(field[rows], size, soft[rows])
                drawn, blurred[rows] = self._degrade(drawn)
                pixels[rows] = resize_bicubic(drawn, self.image_size)
        attributes = {
            "bold": half_stroke > 3.6,
            "thin": half_stroke < 1.6,
            "large": share > 0.92,
            "small": share < 0.7,
            "pixelated": raster == _RASTERS.index(8),
            "blurry": blurred,
            "handwritten": self.bank.handwriting[picks],
            "printed": ~self.bank.handwriting[picks],
        }
        dark = self._chance(n, 0.2)
        attributes |= {"light": ~dark, "dark": dark}
        pixels = torch.where(dark.view(n, 1, 1, 1), 1 - pixels, pixels).clamp(0, 1)
        return ImageBatch(pixels, self.bank.characters[picks], attributes)

    def _distort(self, field: torch.Tensor) -> torch.Tensor:
        """Random affine and elastic distortion of distance fields (n, 64, 64)."""
        n = field.shape[0]
        d = self.difficulty
        angle = (self._normal(n) * 9.0 * d).clamp(-25, 25) * math.pi / 180
        shear = ((0.1 + self._normal(n) * 0.22) * d).clamp(
            -0.5, 0.7
        )  # hands lean to the right more often than to the left
        aspect = ((0.06 + self._normal(n) * 0.2) * d).clamp(-0.5, 0.6).exp()
        cos, sin = angle.cos(), angle.sin()
        # output position to glyph position: rotate, shear, stretch
        affine = torch.zeros(n, 2, 3)
        affine[:, 0, 0], affine[:, 0, 1] = cos * aspect, (-sin + shear) * aspect
        affine[:, 1, 0], affine[:, 1, 1] = sin / aspect, cos / aspect
        grid = F.affine_grid(affine, [n, 1, FIELD_SIZE, FIELD_SIZE], align_corners=False)
        # two smooth displacement fields: the pose of the parts, and the tremble of the line
        for knots, amplitude in ((4, 0.13), (7, 0.05)):
            strength = (self._uniform(n) ** 1.5 * amplitude * d).view(n, 1, 1, 1)
            bend = self._normal(n, 2, knots, knots) * strength
            grid = grid + _spread(bend, FIELD_SIZE).permute(0, 2, 3, 1)
        field = F.grid_sample(field[:, None], grid, padding_mode="border", align_corners=False)
        return field[:, 0]

    def _thickness(self, picks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Level at which the field is cut (n,), and half the stroke that comes out, for a 40-pixel glyph (n,)."""
        n = picks.shape[0]
        half, thin = self.bank.half_width[picks], self.bank.thin_width[picks]
        wanted = (0.75 + 0.45 * self._normal(n)).exp().clamp(0.9, 5.5)
        natural = self._chance(n, 0.3)
        threshold = torch.where(natural, 0.3 * self._normal(n), half - wanted)
        threshold = torch.minimum(threshold, 0.75 * thin).clamp_min(-3.5)  # thin strokes stay, holes stay open
        return threshold, half - threshold

    def _frame(self, field: torch.Tensor, size: int, soft: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cut the character out of its field and draw it into a frame of `size` pixels.

        Returns:
            Grey levels (n, 1, size, size), and the share of the frame's side that the character takes up (n,).
        """
        n = field.shape[0]
        inside = field > 0
        inside[:, FIELD_SIZE // 2, FIELD_SIZE // 2] |= ~inside.flatten(1).any(1)
        top, bottom = _extent(inside.any(2))
        left, right = _extent(inside.any(1))
        height, width = bottom - top, right - left

        coarse = size == 8
        tight = self._chance(n, 0.85 if coarse else 0.25)
        # share of the frame's side that the longer side of the character takes: 20 of 28 pixels when loose
        share = torch.where(tight, self._uniform(n, 0.92, 1.06), self._uniform(n, 0.55, 0.88))
        jitter = torch.where(tight, 0.03, (1 - share).clamp_min(0.05) * 0.3)
        longer = torch.maximum(height, width)
        # a tight frame is filled from top to bottom whatever the shape; now and then the width is stretched as well
        stretched = tight & self._chance(n, 0.1)
        side_y = torch.where(tight, height, longer) / share
        side_x = torch.where(stretched, 0.5 * (width + longer), torch.where(tight, height, longer)) / share
        side_x = torch.maximum(side_x, width / share)
        center_x = (left + right) / 2 + jitter * side_x * self._normal(n).clamp(-2, 2) * 0.7
        center_y = (top + bottom) / 2 + jitter * side_y * self._normal(n).clamp(-2, 2) * 0.7

        fine = _FINE if coarse else size
        affine = torch.zeros(n, 2, 3)
        affine[:, 0, 0], affine[:, 1, 1] = side_x / FIELD_SIZE, side_y / FIELD_SIZE
        affine[:, 0, 2], affine[:, 1, 2] = 2 * center_x / FIELD_SIZE - 1, 2 * center_y / FIELD_SIZE - 1
        grid = F.affine_grid(affine, [n, 1, fine, fine], align_corners=False)
        cut = F.grid_sample(field[:, None], grid, padding_mode="border", align_corners=False)
        # distance in raster pixels, to the grey level of an edge that is 2 * soft pixels wide
        cut = cut * (fine / torch.maximum(side_x, side_y)).view(n, 1, 1, 1)
        if coarse:
            drawn = F.avg_pool2d((cut > 0).float(), _FINE // size)
            drawn = (drawn * 16).round() / 16
        else:
            drawn = (0.5 + cut / (2 * soft.view(n, 1, 1, 1))).clamp(0, 1)
        return drawn, share

    def _degrade(self, drawn: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Blur, uneven ink, contrast and noise. Returns the images and which of them were blurred."""
        n, size = drawn.shape[0], drawn.shape[-1]
        coarse = size == 8  # where every pixel counts, damage less
        blurred = self._chance(n, (0.08 if coarse else 0.2) * self.difficulty)
        sigma = torch.where(blurred, self._uniform(n, 0.5, 1.1) * max(0.7, size / 22), torch.tensor(0.05))
        steps = torch.arange(-3, 4).float()
        kernel = torch.exp(-0.5 * (steps[None] / sigma[:, None]) ** 2)
        kernel = kernel / kernel.sum(1, keepdim=True)  # (n, 7)
        for shape in ((n, 1, 7, 1), (n, 1, 1, 7)):
            pad = (0, 0, 3, 3) if shape[2] == 7 else (3, 3, 0, 0)
            padded = F.pad(drawn.view(1, n, size, size), pad)
            drawn = F.conv2d(padded, kernel.view(shape), groups=n).view(n, 1, size, size)

        uneven = self._chance(n, (0.1 if coarse else 0.25) * self.difficulty).view(n, 1, 1, 1)
        ink = _spread(self._normal(n, 1, 4, 4), size)
        drawn = torch.where(uneven, drawn * (1 - 0.3 * ink.abs()).clamp(0.3, 1), drawn)
        gain = torch.where(self._chance(n, 0.35 * self.difficulty), self._uniform(n, 0.65, 1.0), 1.0).view(n, 1, 1, 1)
        ground = torch.where(self._chance(n, 0.15 * self.difficulty), self._uniform(n, 0.0, 0.2), 0.0).view(n, 1, 1, 1)
        drawn = ground + (gain - ground) * drawn
        noise = torch.where(self._chance(n, 0.25 * self.difficulty), self._uniform(n, 0.0, 0.08), 0.0).view(n, 1, 1, 1)
        return (drawn + noise * self._normal(n, 1, size, size)).clamp(0, 1), blurred


def _extent(occupied: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """First occupied position and the one past the last, of bool (n, 64), as floats (n,)."""
    first = occupied.int().argmax(1)
    last = FIELD_SIZE - occupied.flip(1).int().argmax(1)
    return first.float(), last.float()


def _spread(knots: torch.Tensor, size: int) -> torch.Tensor:
    """Smooth field (n, c, size, size) through the values at a coarse grid of knots (n, c, k, k)."""
    matrix = _bicubic_matrix(knots.shape[-1], size, True)
    return matrix @ knots @ matrix.T


def resize_bicubic(pixels: torch.Tensor, size: int) -> torch.Tensor:
    """Bicubic resize (n, 1, s, s) to (n, 1, size, size) with the kernel of PIL's resize, clipped to 0..1."""
    if pixels.shape[-1] == size:
        return pixels
    matrix = _bicubic_matrix(pixels.shape[-1], size, False)
    return (matrix @ pixels @ matrix.T).clamp(0, 1)


@functools.cache
def _bicubic_matrix(source: int, target: int, corners: bool) -> torch.Tensor:
    """Matrix (target, source) of bicubic interpolation along one axis, PIL's kernel unless corners are aligned."""
    unit = torch.eye(source).view(source, 1, source, 1).expand(source, 1, source, source)
    resized = F.interpolate(
        unit, size=(target, source), mode="bicubic", align_corners=corners, antialias=not corners
    )  # (source, 1, target, source), each equal along the last axis
    return resized[:, 0, :, 0].T.contiguous()
