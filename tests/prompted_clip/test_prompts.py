"""Shapes of prompts are checked once, with a sentence that names what does not fit."""

import pytest
import torch

from prompted_clip import Prompts

TEXT = {"width": 8, "layers": 3, "n_ctx": 2, "n_classes": 4}
VISION = {"width": 6, "layers": 3, "n_images": 5}


def zeros(*shape):
    return torch.zeros(*shape)


@pytest.mark.parametrize(
    "prompts",
    [
        Prompts(text=zeros(2, 8)),
        Prompts(text=zeros(4, 2, 8), text_axis="class"),
        Prompts(text=zeros(5, 2, 8), text_axis="image"),
        Prompts(text=zeros(2, 8), text_deep=[zeros(2, 8)] * 2),
    ],
)
def test_text_prompts_that_fit(prompts):
    prompts.check_text(**TEXT)


@pytest.mark.parametrize(
    "prompts, message",
    [
        (Prompts(), "2 context slots"),
        (Prompts(text=zeros(3, 8)), r"text prompts have shape \(3, 8\): expected \(2, 8\)"),
        (Prompts(text=zeros(3, 2, 8), text_axis="class"), r"expected \(4, 2, 8\)"),
        (Prompts(text=zeros(2, 8), text_axis="image"), r"expected \(images, 2, 8\)"),
        (Prompts(text=zeros(2, 8), text_deep=[zeros(2, 7)]), r"layer 1 have shape \(2, 7\)"),
        (Prompts(text=zeros(2, 8), text_deep=[zeros(2, 8)] * 3), "depth 4 is above the text tower's 3 layers"),
        (Prompts(text=zeros(2, 8), text_axis="batch"), "text_axis is 'batch'"),
    ],
)
def test_text_prompts_that_do_not_fit(prompts, message):
    with pytest.raises(ValueError, match=message):
        prompts.check_text(**TEXT)


@pytest.mark.parametrize(
    "prompts, message",
    [
        (Prompts(vision=zeros(2, 5)), r"vision prompts have shape \(2, 5\): expected \(2, 6\)"),
        (Prompts(vision=zeros(4, 2, 6)), r"expected \(5, 2, 6\)"),
        (Prompts(vision=zeros(2, 6), vision_deep=[zeros(3, 6)]), r"layer 1 have shape \(3, 6\)"),
        (Prompts(vision=zeros(2, 6), vision_deep=[zeros(2, 6)] * 3), "depth 4 is above the vision tower's 3 layers"),
        (Prompts(vision_deep=[zeros(2, 6)]), "without shallow ones"),
    ],
)
def test_vision_prompts_that_do_not_fit(prompts, message):
    with pytest.raises(ValueError, match=message):
        prompts.check_vision(**VISION)


def test_absent_vision_prompts_fit():
    Prompts().check_vision(**VISION)
