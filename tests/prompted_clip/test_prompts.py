"""Shapes of prompts are checked once, with a sentence that names what does not fit."""

import pytest
import torch

from prompted_clip import LateTokens, Prompts

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
        Prompts(text=zeros(2, 8), text_deep=[None, zeros(4, 2, 8)], text_axis="class"),
        Prompts(text=zeros(4, 2, 8), text_deep=[zeros(2, 8), None], text_axis="class", text_keep=[0.5, 1]),
        Prompts(text=zeros(2, 8), text_deep=[zeros(5, 2, 8)], text_axis="image", text_keep=0.5),
        Prompts(text=zeros(2, 8), text_late=LateTokens(2, zeros(3, 8))),
        Prompts(text=zeros(2, 8), text_late=LateTokens(0, zeros(3, 8), [None, zeros(3, 8)], 0.25)),
        Prompts(text=zeros(2, 8), text_late=LateTokens(1, zeros(5, 3, 8), [zeros(3, 8)]), text_axis="image"),
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
        (Prompts(text=zeros(2, 8), text_axis="class"), r"text prompts have shape \(2, 8\): expected \(4, 2, 8\)"),
        (Prompts(text=zeros(2, 8), text_deep=[zeros(4, 2, 8)]), r"layer 1 have shape \(4, 2, 8\): expected \(2, 8\)"),
        (
            Prompts(text=zeros(2, 8), text_deep=[None, zeros(3, 2, 8)], text_axis="class"),
            r"layer 2 have shape \(3, 2, 8\): expected \(4, 2, 8\)",
        ),
        (
            Prompts(text=zeros(5, 2, 8), text_deep=[zeros(6, 2, 8)], text_axis="image"),
            r"layer 1 have shape \(6, 2, 8\): expected \(5, 2, 8\)",
        ),
        (Prompts(text=zeros(2, 8), text_deep=[None], text_keep=[0.1, 0.2]), "The 1 deep text prompts have 2 shares"),
        (Prompts(text=zeros(2, 8), text_deep=[None], text_keep=1.5), "text prompts keep a share of 1.5: .* 0 to 1"),
        (Prompts(text=zeros(2, 8), text_late=LateTokens(3, zeros(3, 8))), "at blocks 3 to 3: .* blocks 0 to 2"),
        (Prompts(text=zeros(2, 8), text_late=LateTokens(-1, zeros(3, 8))), "at blocks -1 to -1"),
        (Prompts(text=zeros(2, 8), text_late=LateTokens(1, zeros(3, 8), [None] * 2)), "at blocks 1 to 3"),
        (
            Prompts(text=zeros(2, 8), text_late=LateTokens(1, zeros(3, 7))),
            r"late text tokens of block 1 have shape \(3, 7\): expected \(3, 8\)",
        ),
        (
            Prompts(text=zeros(2, 8), text_late=LateTokens(1, zeros(3, 8), [zeros(2, 8)])),
            r"late text tokens of block 2 have shape \(2, 8\): expected \(3, 8\)",
        ),
        (
            Prompts(text=zeros(4, 2, 8), text_axis="class", text_late=LateTokens(1, zeros(4, 3, 8))),
            r"late text tokens of block 1 have shape \(4, 3, 8\): expected \(3, 8\)",
        ),
        (
            Prompts(text=zeros(5, 2, 8), text_axis="image", text_late=LateTokens(1, zeros(4, 3, 8))),
            r"late text tokens of block 1 have shape \(4, 3, 8\): expected \(5, 3, 8\)",
        ),
        (
            Prompts(text=zeros(2, 8), text_late=LateTokens(1, zeros(3, 8), [None], [0.1, 0.1])),
            "The 1 late text tokens have 2 shares",
        ),
    ],
)
def test_text_prompts_that_do_not_fit(prompts, message):
    with pytest.raises(ValueError, match=message):
        prompts.check_text(**TEXT)


@pytest.mark.parametrize(
    "prompts, message",
    [
        (Prompts(text_deep=[None, zeros(2, 8)]), "class prompts without context slots.*LateTokens"),
        (Prompts(text_axis="image"), "text_axis is 'image', but no text prompts have that axis"),
        (Prompts(text_late=LateTokens(1, zeros(3, 8)), text_axis="class"), "'class', but no text prompts have"),
    ],
)
def test_text_prompts_that_have_no_place(prompts, message):
    with pytest.raises(ValueError, match=message):
        prompts.check_text(**{**TEXT, "n_ctx": 0})


def test_text_prompts_that_need_no_slots():
    for prompts in (
        Prompts(),
        Prompts(text_deep=[None, None]),
        Prompts(text_late=LateTokens(1, zeros(3, 8), [zeros(5, 3, 8)]), text_axis="image"),
    ):
        prompts.check_text(**{**TEXT, "n_ctx": 0})


def test_prompts_per_class_do_not_fit_shared_slots():
    each, deep = zeros(4, 2, 8), Prompts(text=zeros(2, 8), text_deep=[zeros(4, 2, 8)], text_axis="class")
    for prompts in (Prompts(text=each, text_axis="class"), deep):
        with pytest.raises(ValueError, match="per_class=True"):
            prompts.check_text(**TEXT, shared_slots=True)


@pytest.mark.parametrize(
    "prompts, message",
    [
        (Prompts(vision=zeros(2, 5)), r"vision prompts have shape \(2, 5\): expected \(2, 6\)"),
        (Prompts(vision=zeros(4, 2, 6)), r"expected \(5, 2, 6\)"),
        (Prompts(vision=zeros(2, 6), vision_deep=[zeros(3, 6)]), r"layer 1 have shape \(3, 6\)"),
        (Prompts(vision=zeros(2, 6), vision_deep=[zeros(2, 6)] * 3), "depth 4 is above the vision tower's 3 layers"),
        (Prompts(vision_deep=[zeros(2, 6)]), "without shallow ones"),
        (Prompts(vision=zeros(6)), r"vision prompts have shape \(6,\): expected \(tokens, 6\)"),
        (Prompts(vision=zeros(2, 6), vision_deep=[None, zeros(4, 2, 6)]), r"layer 2 .*: expected \(5, 2, 6\)"),
        (Prompts(vision=zeros(2, 6), vision_deep=[None], vision_keep=-0.1), "vision prompts keep a share of -0.1"),
        (Prompts(vision_late=LateTokens(1, zeros(4, 2, 6))), r"late vision tokens of block 1 .* \(5, 2, 6\)"),
        (Prompts(vision_late=LateTokens(2, zeros(2, 6), [None])), "blocks 2 to 3: the vision tower has blocks 0 to 2"),
        (Prompts(vision_late=LateTokens(1, zeros(6))), r"late vision tokens of block 1 .*: expected \(tokens, 6\)"),
    ],
)
def test_vision_prompts_that_do_not_fit(prompts, message):
    with pytest.raises(ValueError, match=message):
        prompts.check_vision(**VISION)


@pytest.mark.parametrize(
    "prompts",
    [
        Prompts(),
        Prompts(vision_deep=[None]),
        Prompts(vision=zeros(2, 6), vision_deep=[None, zeros(5, 2, 6)], vision_keep=[0, 0.5]),
        Prompts(vision_late=LateTokens(1, zeros(5, 2, 6), [zeros(2, 6)])),
    ],
)
def test_vision_prompts_that_fit(prompts):
    prompts.check_vision(**VISION)
