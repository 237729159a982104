"""Tokens that a tower has from a later block on, and rows of prompts that are read from it."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st

from prompted_clip import Backbone, LateTokens, Prompts, class_prompts, text_prompts
from tests.prompted_clip import plain
from tests.prompted_clip.test_deep_prompts import NAMES, WIDTH, close, learnable
from tests.stubs import random_clip, random_images

LAYERS = 3


@pytest.fixture(scope="module")
def small():
    model = random_clip(5, dtype=torch.float64).requires_grad_(False)
    return model, Backbone(model.state_dict(), precision="fp64")


def late_tokens(start, n_tokens, leading, layers, keep):
    """Tokens from ``start`` on; for each later block: "shared" or "image" (with ``leading``) tokens, or none."""
    shapes = {"shared": (n_tokens, WIDTH), "image": (*leading, n_tokens, WIDTH)}
    first, *deep = (None if each == "absent" else learnable(*shapes[each]) for each in layers)
    return LateTokens(start, first, deep, [0.25, 0.75][: len(deep)] if keep == "each" else keep)


def parameters(late):
    return [late.tokens, *(t for t in late.deep if t is not None)]


@st.composite
def layers_of(draw):
    """A first block, and what enters there and later."""
    start = draw(st.integers(0, LAYERS - 1))
    later = draw(st.lists(st.sampled_from(["absent", "shared", "image"]), max_size=LAYERS - 1 - start))
    return start, [draw(st.sampled_from(["shared", "image"])), *later]


@settings(max_examples=40, deadline=None)
@given(
    layers=layers_of(),
    per_image=st.booleans(),
    n_tokens=st.integers(1, 4),
    keep=st.sampled_from([0.0, 0.3, 1.0, "each"]),
    slots=st.sampled_from([None, "end", "front", "own"]),
    names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4),
    chunk=st.sampled_from([0, 1, 3]),
    recompute=st.booleans(),
    seed=st.integers(0, 100),
)
@example(  # the first class is the longest, hence the first row behind the prefix
    layers=(1, ["shared"]),
    per_image=False,
    n_tokens=2,
    keep=0.0,
    slots="own",
    names=NAMES[1::-1],
    chunk=0,
    recompute=False,
    seed=0,
)
def test_late_text_tokens_equal_the_unpacked_sequence(
    small, layers, per_image, n_tokens, keep, slots, names, chunk, recompute, seed
):
    """With and without context slots of their own, shared, behind the name, or a context per class."""
    model, backbone = small
    torch.manual_seed(seed)
    start, kinds = layers
    per_image = per_image and slots != "own"
    late = late_tokens(start, n_tokens, (2,) if per_image else (), kinds, keep)
    if slots is None:
        context, classes = {}, text_prompts([f"a photo of a {name}." for name in names], context_length=24)
    else:
        shape = (*((len(names),) if slots == "own" else ()), 2, WIDTH)
        context = {"text": learnable(*shape), "text_deep": [learnable(*shape)]}
        position = "front" if slots == "front" else "end"
        classes = class_prompts(names, context_length=24, n_ctx=2, position=position, per_class=slots == "own")
    with_axis = per_image and any(t is not None and t.dim() == 3 for t in (late.tokens, *late.deep))
    axis = "class" if slots == "own" else "image" if with_axis else "shared"
    prompts = Prompts(**context, text_axis=axis, text_late=late)
    tensors = parameters(late) + [t for t in (context.get("text"), *context.get("text_deep", ())) if t is not None]
    expected = plain.encode_text(model, classes, prompts)
    close(backbone.encode_text(classes, prompts, chunk=chunk, recompute=recompute), expected[0], tensors)

    read = backbone.read_text(classes, prompts, chunk=chunk, recompute=recompute)
    torch.testing.assert_close(read.features, expected[0], atol=1e-9, rtol=1e-9)
    assert (read.prompts is None) == (slots is None)
    if read.prompts is not None:
        close(read.prompts, expected[1], [context["text"]])
    close(read.late, expected[2], parameters(late))


@settings(max_examples=30, deadline=None)
@given(
    layers=layers_of(),
    n_tokens=st.integers(1, 4),
    keep=st.sampled_from([0.0, 0.3, 1.0, "each"]),
    shallow=st.sampled_from([None, (), (3,)]),
    patches=st.booleans(),
    seed=st.integers(0, 100),
)
def test_late_vision_tokens_equal_the_plain_tower(small, layers, n_tokens, keep, shallow, patches, seed):
    model, backbone = small
    torch.manual_seed(seed)
    late = late_tokens(layers[0], n_tokens, (3,), layers[1], keep)
    vision, deep = (None, []) if shallow is None else (learnable(*shallow, 2, WIDTH), [learnable(2, WIDTH)])
    prompts = Prompts(vision=vision, vision_deep=deep, vision_keep=0.5, vision_late=late)
    images = random_images(model, 3)
    tensors = parameters(late) + ([] if vision is None else [vision, *deep])
    expected = plain.encode_image(model, images, prompts)
    close(backbone.encode_image(images, prompts), expected[0], tensors)

    read = backbone.read_image(images, prompts, patches=patches)
    torch.testing.assert_close(read.features, expected[0], atol=1e-9, rtol=1e-9)
    assert (read.prompts is None, read.patches is None) == (vision is None, not patches)
    if read.prompts is not None:
        close(read.prompts, expected[1], [vision, *deep])
    close(read.late, expected[2], parameters(late))
    if read.patches is not None:
        close(read.patches, expected[3], tensors)


def test_tokens_from_block_0_are_shallow_prompts_up_to_position():
    """With one position vector for all, the place behind start-of-text is the context's. Vision: behind ln_pre."""
    model = random_clip(2, dtype=torch.float64).requires_grad_(False)
    same = model.positional_embedding[:1].clone()
    model.positional_embedding.copy_(same.expand_as(model.positional_embedding))
    backbone = Backbone(model.state_dict(), precision="fp64")
    text, vision, *deep = (torch.randn(2, WIDTH, dtype=torch.float64) for _ in range(4))
    context = class_prompts(NAMES, context_length=24, n_ctx=2)
    names = class_prompts(NAMES, context_length=24)
    shallow = backbone.encode_text(context, Prompts(text=text, text_deep=deep))
    late = backbone.encode_text(names, Prompts(text_late=LateTokens(0, text + same, deep)))
    torch.testing.assert_close(late, shallow, atol=1e-10, rtol=0)

    images = random_images(model, 2)
    shallow = backbone.encode_image(images, Prompts(vision=vision, vision_deep=deep))
    late = backbone.encode_image(images, Prompts(vision_late=LateTokens(0, backbone.visual.ln_pre(vision), deep)))
    torch.testing.assert_close(late, shallow, atol=1e-10, rtol=0)


@pytest.mark.parametrize("precision, bound", [("fp32", 1e-5), ("bf16", 5e-2), ("fp16", 1e-2), ("amp", 5e-2)])
def test_rows_are_float32_in_every_precision(precision, bound):
    model = random_clip(2)
    images, classes = random_images(model, 3), class_prompts(NAMES, context_length=24, n_ctx=2)
    torch.manual_seed(0)
    text, vision, late = (torch.randn(2, WIDTH, requires_grad=True) for _ in range(3))
    tokens = LateTokens(1, late, [late], keep=0.5)
    prompts = Prompts(text=text, text_late=tokens, vision=vision, vision_late=tokens)

    def rows(precision):
        backbone = Backbone(model.state_dict(), precision=precision)
        read = [*backbone.read_image(images, prompts, patches=True), *backbone.read_text(classes, prompts)[:3]]
        return read, torch.autograd.grad(sum(each.sum() for each in read), [text, vision, late])

    (exact, reference), (found, gradient) = rows("fp64"), rows(precision)
    assert len(found) == 7
    for ours, plain_rows in zip(found, exact, strict=True):
        assert ours.dtype == torch.float32
        assert ((ours - plain_rows).norm() / plain_rows.norm()).item() < bound
    for g, r in zip(gradient, reference, strict=True):
        assert g.dtype == torch.float32
        assert F.cosine_similarity(g.flatten(), r.flatten(), dim=0) > 0.98


def test_reading_no_rows_is_encoding(small):
    """Without prompts there are no rows to read, and reading costs nothing: the same values to the last bit."""
    model, backbone = small
    images, classes = random_images(model, 2), text_prompts(["a cat.", "a dog."], context_length=24)
    read, words = backbone.read_image(images), backbone.read_text(classes)
    assert torch.equal(read.features, backbone.encode_image(images))
    assert torch.equal(words.features, backbone.encode_text(classes))
    assert read[1:] == words[1:] == (None, None, None)


def test_only_the_rows_that_are_read_are_computed_in_the_last_block(small, monkeypatch):
    model, backbone = small
    seen = []
    last = backbone.visual.transformer.blocks[-1].mlp
    monkeypatch.setattr(last, "forward", lambda x, adapter: (seen.append(tuple(x.shape[:-1])), x)[1])
    prompts = Prompts(vision=torch.zeros(2, WIDTH), vision_late=LateTokens(1, torch.zeros(3, WIDTH)))
    images = random_images(model, 2)
    backbone.encode_image(images, prompts)
    backbone.read_image(images, prompts)
    backbone.read_image(images, prompts, patches=True)
    backbone.read_image(images, patches=True)
    assert seen == [(2, 1), (2, 1 + 2 + 3), (2, 1 + 4 + 2 + 3), (2, 1 + 4)]
