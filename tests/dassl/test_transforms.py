"""Each transform's place in the pipeline, and what our own ones do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import transforms as T
from torchvision.transforms import AutoAugmentPolicy, InterpolationMode

from dassl.config import get_cfg_default
from dassl.data.transforms import (
    AVAI_CHOICES,
    INTERPOLATION_MODES,
    Cutout,
    GaussianNoise,
    InstanceNormalization,
    Random2DTranslation,
    build_transform,
)

# The order of work in training; a name that stands for several steps is written once per step.
ORDER = [
    ("random_translation", Random2DTranslation),
    ("random_crop", T.RandomCrop),
    ("random_resized_crop", T.RandomResizedCrop),
    ("random_flip", T.RandomHorizontalFlip),
    ("imagenet_policy", T.AutoAugment),
    ("cifar10_policy", T.AutoAugment),
    ("svhn_policy", T.AutoAugment),
    ("randaugment", T.RandAugment),
    ("randaugment2", T.RandomApply),
    ("randaugment2", T.RandomApply),
    ("randaugment_fixmatch", T.RandomApply),
    ("randaugment_fixmatch", T.RandomApply),
    ("colorjitter", T.ColorJitter),
    ("randomgrayscale", T.RandomGrayscale),
    ("gaussian_blur", T.RandomApply),
    ("to tensor", T.ToTensor),
    ("cutout", Cutout),
    ("normalize", T.Normalize),
    ("gaussian_noise", GaussianNoise),
    ("instance_norm", InstanceNormalization),
]


def cfg_with(*options: Any) -> Any:
    cfg = get_cfg_default()
    cfg.merge_from_list(["INPUT.SIZE", (12, 10), *options])
    return cfg


def steps(transform: Any) -> list[type]:
    return [type(step) for step in transform.transforms]


def picture(width: int = 20, height: int = 16) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@settings(max_examples=60, deadline=None)
@given(chosen=st.lists(st.sampled_from(AVAI_CHOICES), unique=True))
def test_order_of_work_whatever_the_order_of_names(chosen: list[str]) -> None:
    transform = build_transform(cfg_with("INPUT.TRANSFORMS", tuple(chosen), "INPUT.GB_K", 5))
    expected = [kind for name, kind in ORDER if name in chosen or name == "to tensor"]
    if not {"random_crop", "random_resized_crop"} & set(chosen):
        expected = [T.Resize, *expected]
    assert steps(transform) == expected
    if "random_crop" not in chosen or "random_translation" not in chosen:
        result = transform(picture())
        assert isinstance(result, torch.Tensor) and result.shape == (3, 12, 10)


@pytest.mark.parametrize("name", [n for n in AVAI_CHOICES if n != "center_crop"])
def test_every_name_is_a_step(name: str) -> None:
    assert name in {n for n, _ in ORDER}


def test_settings_reach_the_steps() -> None:
    cfg = cfg_with("INPUT.INTERPOLATION", "bicubic", "INPUT.CROP_PADDING", 3, "INPUT.RRCROP_SCALE", (0.5, 0.9))
    crop, flip, _ = build_transform(cfg, choices=["random_crop", "random_flip"]).transforms
    assert crop.size == (12, 10) and crop.padding == 3 and flip.p == 0.5
    resized, _ = build_transform(cfg, choices=["random_resized_crop"]).transforms
    assert resized.scale == (0.5, 0.9) and resized.interpolation is InterpolationMode.BICUBIC
    augment = build_transform(cfg, choices=["randaugment"]).transforms[1]
    assert (augment.num_ops, augment.magnitude) == (2, 10)
    policy = build_transform(cfg, choices=["svhn_policy"]).transforms[1]
    assert policy.policy is AutoAugmentPolicy.SVHN
    normal = build_transform(cfg, choices=["normalize"]).transforms[-1]
    assert normal.mean == [0.485, 0.456, 0.406] and normal.std == [0.229, 0.224, 0.225]
    jitter = build_transform(cfg, choices=["colorjitter"]).transforms[1]
    assert jitter.brightness == (0.6, 1.4) and jitter.hue == (-0.1, 0.1)


def test_test_transform() -> None:
    cfg = cfg_with("INPUT.TRANSFORMS", ("random_flip", "normalize", "instance_norm", "cutout"))
    transform = build_transform(cfg, is_train=False)
    assert steps(transform) == [T.Resize, T.CenterCrop, T.ToTensor, T.Normalize, InstanceNormalization]
    resize, crop = transform.transforms[:2]
    assert resize.size == 12 and crop.size == (12, 10)
    assert steps(build_transform(cfg, is_train=False, choices=[])) == [T.Resize, T.CenterCrop, T.ToTensor]
    image = build_transform(cfg_with(), is_train=False)(picture(40, 24))
    assert image.shape == (3, 12, 10)  # 24 high -> shorter side 12


def test_refusals() -> None:
    assert build_transform(cfg_with("INPUT.NO_TRANSFORM", True)) is None
    with pytest.raises(ValueError, match="did you mean 'random_flip'"):
        build_transform(cfg_with(), choices=["random_flipp"])
    with pytest.raises(ValueError, match="did you mean 'bicubic'"):
        build_transform(cfg_with("INPUT.INTERPOLATION", "bicubik"))
    for size in ((12,), (0, 12), (3.5, 2), (1, 2, 3)):
        with pytest.raises(ValueError, match=r"expected \(height, width\) in pixels"):
            build_transform(cfg_with("INPUT.SIZE", size))
    with pytest.raises(ValueError, match=r"INPUT\.GB_K is 21, too large a blur"):
        build_transform(cfg_with(), choices=["gaussian_blur"])
    assert set(INTERPOLATION_MODES) == {"bilinear", "bicubic", "nearest"}


def test_translation() -> None:
    image = picture(10, 12)
    still = Random2DTranslation(12, 10, p=0.0)
    assert np.array_equal(np.asarray(still(image)), np.asarray(image))
    moved = Random2DTranslation(12, 10, p=1.0)
    results = {moved(image).tobytes() for _ in range(20)}
    assert len(results) > 1 and moved(image).size == (10, 12)


@settings(max_examples=30, deadline=None)
@given(holes=st.integers(0, 4), length=st.integers(1, 30), seed=st.integers(0, 99))
def test_cutout(holes: int, length: int, seed: int) -> None:
    torch.manual_seed(seed)
    image = torch.ones(3, 12, 10)
    result = Cutout(holes, length)(image)
    assert torch.equal(image, torch.ones(3, 12, 10))  # a copy is changed
    zeros = int((result[0] == 0).sum())
    assert (zeros > 0) == (holes > 0) and zeros <= holes * length**2
    assert torch.equal(result[0], result[1]) and torch.equal(result[0], result[2])


def test_noise_and_instance_norm() -> None:
    image = torch.rand(3, 50, 50)
    assert torch.equal(GaussianNoise(p=0.0)(image), image)
    noise = GaussianNoise(mean=0.5, std=0.2, p=1.0)(image) - image
    assert noise.mean().item() == pytest.approx(0.5, abs=0.02) and noise.std().item() == pytest.approx(0.2, abs=0.02)
    normal = InstanceNormalization()(image * 3 + 1)
    assert torch.allclose(normal.mean(dim=(1, 2)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(normal.std(dim=(1, 2)), torch.ones(3), atol=1e-5)
