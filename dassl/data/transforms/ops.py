"""The few transforms that torchvision does not have. All draw from torch's global generator."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms as T
from torchvision.transforms import InterpolationMode


class Random2DTranslation(nn.Module):
    """With probability `p` resize to 9/8 of the size and cut out a random window, otherwise resize only.

    Args:
        height: of the result, in pixels.
        width: of the result, in pixels.
        p: probability of the shift.
        interpolation: for resizing.
    """

    def __init__(
        self, height: int, width: int, p: float = 0.5, interpolation: InterpolationMode = InterpolationMode.BILINEAR
    ) -> None:
        super().__init__()
        self.p = p
        self.resize = T.Resize((height, width), interpolation=interpolation)
        self.enlarge = T.Resize((round(height * 1.125), round(width * 1.125)), interpolation=interpolation)
        self.window = T.RandomCrop((height, width))

    def forward(self, img: Image.Image) -> Image.Image:
        """PIL image in, PIL image of the given size out."""
        if torch.rand(()) >= self.p:
            return self.resize(img)
        return self.window(self.enlarge(img))


class Cutout(nn.Module):
    """Set `n_holes` squares of a tensor image to zero (DeVries & Taylor, arXiv 1708.04552).

    A hole's centre is anywhere in the image, so a hole may stick out of it.

    Args:
        n_holes: number of squares.
        length: their side, in pixels.
    """

    def __init__(self, n_holes: int = 1, length: int = 16) -> None:
        super().__init__()
        self.n_holes, self.length = n_holes, length

    def forward(self, img: Tensor) -> Tensor:
        """(C, H, W) in, a changed copy out."""
        result = img.clone()
        height, width = img.shape[-2:]
        half = self.length // 2
        for _ in range(self.n_holes):
            y, x = int(torch.randint(height, ())), int(torch.randint(width, ()))
            top, left = max(0, y - half), max(0, x - half)
            result[..., top : max(0, y - half + self.length), left : max(0, x - half + self.length)] = 0
        return result


class GaussianNoise(nn.Module):
    """Add normal noise to a tensor image, with probability `p`.

    Args:
        mean: of the noise.
        std: of the noise.
        p: probability.
    """

    def __init__(self, mean: float = 0.0, std: float = 0.15, p: float = 0.5) -> None:
        super().__init__()
        self.mean, self.std, self.p = mean, std, p

    def forward(self, img: Tensor) -> Tensor:
        """(C, H, W) in, (C, H, W) out."""
        if torch.rand(()) >= self.p:
            return img
        return img + torch.randn_like(img) * self.std + self.mean


class InstanceNormalization(nn.Module):
    """Bring each channel of a tensor image to mean 0 and (unbiased) standard deviation 1.

    Args:
        eps: added to the standard deviation.
    """

    def __init__(self, eps: float = 1e-8) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, img: Tensor) -> Tensor:
        """(C, H, W) in, (C, H, W) out."""
        mean = img.mean(dim=(-2, -1), keepdim=True)
        std = img.std(dim=(-2, -1), keepdim=True)
        return (img - mean) / (std + self.eps)
