"""From the names in ``cfg.INPUT.TRANSFORMS`` to a torchvision pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchvision import transforms as T
from torchvision.transforms import AutoAugmentPolicy, InterpolationMode

from dassl.utils.registry import check_availability

from .ops import Cutout, GaussianNoise, InstanceNormalization, Random2DTranslation

#: What may be chosen. The order of work is fixed, whatever the order of the names.
AVAI_CHOICES = [
    "random_translation",
    "random_crop",
    "random_resized_crop",
    "center_crop",  # always done when testing; accepted and of no effect in training
    "random_flip",
    "imagenet_policy",
    "cifar10_policy",
    "svhn_policy",
    "randaugment",
    "randaugment2",
    "randaugment_fixmatch",
    "colorjitter",
    "randomgrayscale",
    "gaussian_blur",
    "cutout",
    "normalize",
    "gaussian_noise",
    "instance_norm",
]

INTERPOLATION_MODES = {
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
    "nearest": InterpolationMode.NEAREST,
}

_POLICIES = {
    "imagenet_policy": AutoAugmentPolicy.IMAGENET,
    "cifar10_policy": AutoAugmentPolicy.CIFAR10,
    "svhn_policy": AutoAugmentPolicy.SVHN,
}


def build_transform(cfg: Any, is_train: bool = True, choices: Sequence[str] | None = None) -> Any:
    """The transform of training or test images.

    Training, as far as chosen, in this order: resize to SIZE (unless a crop is chosen), random_translation,
    random_crop, random_resized_crop, random_flip, one of the policies, randaugment*, colorjitter, randomgrayscale,
    gaussian_blur, to tensor, cutout, normalize, gaussian_noise, instance_norm. Testing: resize the shorter side to
    max(SIZE), centre crop, to tensor, normalize, instance_norm.

    Args:
        cfg: a config; its INPUT section is read.
        is_train: for training.
        choices: names to use instead of ``cfg.INPUT.TRANSFORMS``.

    Returns:
        A callable from PIL image to tensor (3, H, W), or None when ``INPUT.NO_TRANSFORM`` is set.

    Raises:
        ValueError: an unknown name, interpolation or size.
    """
    if cfg.INPUT.NO_TRANSFORM:
        return None
    chosen = list(cfg.INPUT.TRANSFORMS if choices is None else choices)
    for name in chosen:
        check_availability(name, AVAI_CHOICES)
    size = input_size(cfg)
    steps = _train_steps(cfg.INPUT, chosen, size) if is_train else _test_steps(cfg.INPUT, chosen, size)
    return T.Compose(steps)


def input_size(cfg: Any) -> tuple[int, int]:
    """``cfg.INPUT.SIZE``, checked.

    Returns:
        Height and width in pixels.

    Raises:
        ValueError: it is not two positive whole numbers.
    """
    size = cfg.INPUT.SIZE
    if len(size) != 2 or not all(isinstance(n, int) and n > 0 for n in size):
        raise ValueError(f"INPUT.SIZE is {size!r}; expected (height, width) in pixels, e.g. (224, 224)")
    return size[0], size[1]


def normalization(node: Any) -> T.Normalize:
    """Normalisation with the INPUT section's PIXEL_MEAN and PIXEL_STD."""
    return T.Normalize(mean=list(node.PIXEL_MEAN), std=list(node.PIXEL_STD))


def interpolation_mode(node: Any) -> InterpolationMode:
    """The mode that the INPUT section's INTERPOLATION names; ValueError for an unknown name."""
    check_availability(node.INTERPOLATION, INTERPOLATION_MODES)
    return INTERPOLATION_MODES[node.INTERPOLATION]


def _train_steps(node: Any, chosen: list[str], size: tuple[int, int]) -> list[Any]:
    mode = interpolation_mode(node)
    steps: list[Any] = []
    if "random_crop" not in chosen and "random_resized_crop" not in chosen:
        steps.append(T.Resize(size, interpolation=mode))
    if "random_translation" in chosen:
        steps.append(Random2DTranslation(size[0], size[1], interpolation=mode))
    if "random_crop" in chosen:
        steps.append(T.RandomCrop(size, padding=node.CROP_PADDING))
    if "random_resized_crop" in chosen:
        steps.append(T.RandomResizedCrop(size, scale=tuple(node.RRCROP_SCALE), interpolation=mode))
    if "random_flip" in chosen:
        steps.append(T.RandomHorizontalFlip())
    steps += [T.AutoAugment(policy) for name, policy in _POLICIES.items() if name in chosen]
    steps += _randaugment_steps(node, chosen)
    if "colorjitter" in chosen:
        steps.append(T.ColorJitter(node.COLORJITTER_B, node.COLORJITTER_C, node.COLORJITTER_S, node.COLORJITTER_H))
    if "randomgrayscale" in chosen:
        steps.append(T.RandomGrayscale(p=node.RGS_P))
    if "gaussian_blur" in chosen:
        if min(size) <= node.GB_K // 2:
            raise ValueError(f"INPUT.GB_K is {node.GB_K}, too large a blur for images of INPUT.SIZE {size}")
        steps.append(T.RandomApply([T.GaussianBlur(node.GB_K)], p=node.GB_P))
    steps.append(T.ToTensor())
    if "cutout" in chosen:
        steps.append(Cutout(node.CUTOUT_N, node.CUTOUT_LEN))
    if "normalize" in chosen:
        steps.append(normalization(node))
    if "gaussian_noise" in chosen:
        steps.append(GaussianNoise(node.GN_MEAN, node.GN_STD))
    if "instance_norm" in chosen:
        steps.append(InstanceNormalization())
    return steps


def _randaugment_steps(node: Any, chosen: list[str]) -> list[Any]:
    steps: list[Any] = []
    if "randaugment" in chosen:
        steps.append(T.RandAugment(num_ops=node.RANDAUGMENT_N, magnitude=node.RANDAUGMENT_M))
    if "randaugment2" in chosen:
        # each operation is left out in 4 of 10 cases
        one = T.RandAugment(num_ops=1, magnitude=node.RANDAUGMENT_M)
        steps += [T.RandomApply([one], p=0.6) for _ in range(node.RANDAUGMENT_N)]
    if "randaugment_fixmatch" in chosen:
        # FixMatch draws the strength of each operation anew, as TrivialAugment does, and applies it in half the cases
        steps += [T.RandomApply([T.TrivialAugmentWide()], p=0.5) for _ in range(node.RANDAUGMENT_N)]
    return steps


def _test_steps(node: Any, chosen: list[str], size: tuple[int, int]) -> list[Any]:
    steps: list[Any] = [T.Resize(max(size), interpolation=interpolation_mode(node)), T.CenterCrop(size), T.ToTensor()]
    if "normalize" in chosen:
        steps.append(normalization(node))
    if "instance_norm" in chosen:
        steps.append(InstanceNormalization())
    return steps
