"""Deep prompts that are absent in some layers, differ by class or image, or blend with the rows that were there."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prompted_clip import Backbone, Prompts, class_prompts
from tests.prompted_clip import plain
from tests.stubs import random_clip, random_images

NAMES = ["cat", "golden retriever", "a very_long name of a thing", "cat"]
WIDTH = 64


@pytest.fixture(scope="module")
def small():
    model = random_clip(5, dtype=torch.float64).requires_grad_(False)
    return model, Backbone(model.state_dict(), precision="fp64")


def learnable(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def close(found, expected, tensors):
    """Values and gradients to 1e-9."""
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)
    weight = torch.randn_like(expected)
    options = {"retain_graph": True, "materialize_grads": True}
    gradients = [torch.autograd.grad((out * weight).sum(), tensors, **options) for out in (found, expected)]
    for ours, reference in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, reference, atol=1e-9, rtol=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    axis=st.sampled_from(["shared", "class", "image"]),
    position=st.sampled_from(["end", "middle", "front"]),
    shallow_has_axis=st.booleans(),
    layers=st.lists(st.sampled_from(["absent", "shared", "axis"]), max_size=2),
    n_ctx=st.integers(1, 4),
    n_classes=st.integers(1, 4),
    keep=st.sampled_from([0.0, 0.3, 1.0, "each"]),
    chunk=st.sampled_from([0, 1, 3]),
    recompute=st.booleans(),
    seed=st.integers(0, 100),
)
def test_deep_text_prompts_equal_the_plain_tower(
    small, axis, position, shallow_has_axis, layers, n_ctx, n_classes, keep, chunk, recompute, seed
):
    model, backbone = small
    torch.manual_seed(seed)
    names = NAMES[:n_classes]
    if axis != "shared" and "axis" not in layers:
        shallow_has_axis = True  # else nothing would have it
    leading = {"shared": (), "class": (n_classes,), "image": (2,)}[axis]
    text = learnable(*(leading if shallow_has_axis else ()), n_ctx, WIDTH)
    shapes = {"absent": None, "shared": (n_ctx, WIDTH), "axis": (*leading, n_ctx, WIDTH)}
    deep = [None if shapes[layer] is None else learnable(*shapes[layer]) for layer in layers]
    keep = [0.25, 0.75][: len(layers)] if keep == "each" else keep
    classes = class_prompts(names, context_length=24, n_ctx=n_ctx, position=position, per_class=axis == "class")
    prompts = Prompts(text=text, text_deep=deep, text_axis=axis, text_keep=keep)
    found = backbone.encode_text(classes, prompts, chunk=chunk, recompute=recompute)
    close(
        found, plain.encode_text(model, classes, prompts)[0], [text] + [t for t in deep if t is not None and keep != 1]
    )


@settings(max_examples=20, deadline=None)
@given(
    shallow_per_image=st.booleans(),
    layers=st.lists(st.sampled_from([None, (), (3,)]), max_size=2),
    n_tokens=st.integers(1, 4),
    keep=st.sampled_from([0.0, 0.3, 1.0, "each"]),
    seed=st.integers(0, 100),
)
def test_deep_vision_prompts_equal_the_plain_tower(small, shallow_per_image, layers, n_tokens, keep, seed):
    model, backbone = small
    torch.manual_seed(seed)
    images = random_images(model, 3)
    vision = learnable(*((3,) if shallow_per_image else ()), n_tokens, WIDTH)
    deep = [None if leading is None else learnable(*leading, n_tokens, WIDTH) for leading in layers]
    keep = [0.25, 0.75][: len(layers)] if keep == "each" else keep
    prompts = Prompts(vision=vision, vision_deep=deep, vision_keep=keep)
    expected = plain.encode_image(model, images, prompts)[0]
    close(backbone.encode_image(images, prompts), expected, [vision] + [t for t in deep if t is not None])


@pytest.mark.parametrize("chunk", [0, 1, 3])
def test_a_class_with_prompts_of_its_own_in_every_layer_is_that_class_alone(small, chunk):
    """Per-class prompts everywhere are a context per class (CSC) carried on: each class as if it were the only one."""
    _, backbone = small
    torch.manual_seed(0)
    text, *deep = (torch.randn(len(NAMES), 2, WIDTH, dtype=torch.float64) for _ in range(3))
    classes = class_prompts(NAMES, context_length=24, n_ctx=2, per_class=True)
    together = backbone.encode_text(classes, Prompts(text=text, text_deep=deep, text_axis="class"), chunk=chunk)
    for c, name in enumerate(NAMES):
        alone = Prompts(text=text[c], text_deep=[each[c] for each in deep])
        expected = backbone.encode_text(class_prompts([name], context_length=24, n_ctx=2), alone)
        torch.testing.assert_close(together[c], expected[0], atol=1e-10, rtol=0)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("tower", ["text", "vision"])
def test_a_share_of_zero_is_replacement_and_one_is_none_bit_for_bit(precision, tower):
    model = random_clip(3)
    backbone = Backbone(model.state_dict(), precision=precision)
    torch.manual_seed(0)
    shallow, *deep = (torch.randn(2, WIDTH) for _ in range(3))
    classes = class_prompts(NAMES, context_length=24, n_ctx=2)

    def features(deep, **keep):
        if tower == "text":
            return backbone.encode_text(classes, Prompts(text=shallow, text_deep=deep, **keep))
        return backbone.encode_image(random_images(model, 3), Prompts(vision=shallow, vision_deep=deep, **keep))

    key = f"{tower}_keep"
    assert torch.equal(features(deep, **{key: [0, 0.0]}), features(deep))
    assert torch.equal(features(deep, **{key: 1.0}), features([]))
    assert torch.equal(features(deep, **{key: [0.0, 1.0]}), features(deep[:1]))
    assert torch.equal(features([None, deep[1]]), features(deep, **{key: [1, 0]}))
    assert not torch.allclose(features(deep, **{key: 0.5}), features(deep), atol=1e-3)


def test_prompts_per_class_need_rows_per_class(small):
    _, backbone = small
    shared = class_prompts(NAMES, context_length=24, n_ctx=2)
    each = torch.zeros(len(NAMES), 2, WIDTH)
    for prompts in (
        Prompts(text=each, text_axis="class"),
        Prompts(text=each[0], text_deep=[None, each], text_axis="class"),
    ):
        with pytest.raises(ValueError, match=r"lie in the prefix that all classes share.*per_class=True"):
            backbone.encode_text(shared, prompts)
    one = class_prompts(NAMES[:1], context_length=24, n_ctx=2)  # a single class shares its rows with nobody
    backbone.encode_text(one, Prompts(text=each[0], text_deep=[each[:1]], text_axis="class"))
