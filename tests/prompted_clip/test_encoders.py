"""The encoders against OpenAI's own modules, and against themselves with other ways of doing the same work."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.baseline import encode_text as usual_encode_text
from bench.baseline import tokenize as usual_tokenize
from prompted_clip import Backbone, Prompts, attention, class_prompts, text_prompts
from tests.stubs import SHAPES, random_clip, random_images, random_rn_clip

NAMES = ["cat", "golden retriever", "a very_long name of a thing", "St. Bernard (dog)", "cat"]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-9}
PRECISION = {torch.float32: "fp32", torch.float64: "fp64"}


def backbone_of(model, **options):
    return Backbone(model.state_dict(), precision=PRECISION[model.dtype], **options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_features_without_prompts_are_clips(shape, dtype):
    model = random_clip(3, dtype=dtype, **SHAPES[shape])
    backbone = backbone_of(model)
    texts = [f"a photo of a {name.replace('_', ' ')}." for name in NAMES]
    classes = text_prompts(texts, context_length=backbone.spec.context_length)
    images = random_images(model, 3)
    with torch.no_grad():
        text = model.encode_text(usual_tokenize(model, texts))
        image = model.encode_image(images)
    torch.testing.assert_close(backbone.encode_text(classes), text, atol=TOLERANCE[dtype], rtol=0)
    torch.testing.assert_close(backbone.encode_image(images), image, atol=TOLERANCE[dtype], rtol=0)


def test_resnet_features_are_clips():
    model = random_rn_clip(1)
    backbone = backbone_of(model)
    images = random_images(model, 2)
    with torch.no_grad():
        torch.testing.assert_close(backbone.encode_image(images), model.encode_image(images), atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="need a ViT"):
        backbone.encode_image(images, Prompts(vision=torch.zeros(2, 64)))


def test_logits_are_the_scaled_cosine():
    model = random_clip(0)
    backbone = backbone_of(model)
    images, tokens = random_images(model, 4), usual_tokenize(model, ["a photo of a cat.", "a photo of a dog."])
    classes = text_prompts(["a photo of a cat.", "a photo of a dog."], context_length=backbone.spec.context_length)
    with torch.no_grad():
        expected, _ = model(images, tokens)
        found = backbone.logits(backbone.encode_image(images), backbone.encode_text(classes))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def small():
    model = random_clip(5, dtype=torch.float64)
    return model, backbone_of(model)


def learnable(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("position", ["end", "middle", "front"])
@pytest.mark.parametrize("axis", ["shared", "class", "image"])
@pytest.mark.parametrize("chunk", [1, 2, 4])
@pytest.mark.parametrize("recompute", [False, True])
def test_chunks_and_recomputation_change_nothing(small, position, axis, chunk, recompute):
    _, backbone = small
    torch.manual_seed(1)
    leading = {"shared": (), "class": (len(NAMES),), "image": (3,)}[axis]
    text, deep = learnable(*leading, 3, 64), [learnable(3, 64) for _ in range(2)]
    classes = class_prompts(NAMES, context_length=24, n_ctx=3, position=position, per_class=axis == "class")
    prompts = Prompts(text=text, text_deep=deep, text_axis=axis)
    weight = torch.randn_like(backbone.encode_text(classes, prompts))

    def run(**options):
        features = backbone.encode_text(classes, prompts, **options)
        return features, *torch.autograd.grad((features * weight).sum(), [text, *deep])

    for plain, other in zip(run(), run(chunk=chunk, recompute=recompute), strict=True):
        torch.testing.assert_close(other, plain, atol=1e-10, rtol=1e-9)


@pytest.mark.parametrize("axis", ["shared", "class", "image"])
@pytest.mark.parametrize("names", [NAMES, NAMES[:1], ["cat", "dog"]], ids=["mixed", "one", "equal"])
def test_fused_and_written_out_attention_agree(small, monkeypatch, axis, names):
    _, backbone = small
    torch.manual_seed(4)
    leading = {"shared": (), "class": (len(names),), "image": (3,)}[axis]
    text, deep = learnable(*leading, 2, 64), learnable(2, 64)
    classes = class_prompts(names, context_length=24, n_ctx=2, per_class=axis == "class")
    prompts = Prompts(text=text, text_deep=[deep], text_axis=axis)
    results = []
    for keys in (64, 0):
        monkeypatch.setattr(attention, "PLAIN_KEYS", keys)
        features = backbone.encode_text(classes, prompts)
        results.append((features, *torch.autograd.grad(features.square().sum(), [text, deep])))
    for written_out, fused in zip(*results, strict=True):
        torch.testing.assert_close(fused, written_out, atol=1e-10, rtol=1e-9)


@pytest.mark.parametrize("axis", ["class", "image"])
def test_prompts_per_class_or_image_equal_one_pass_each(small, axis):
    _, backbone = small
    torch.manual_seed(2)
    names = NAMES[:3]
    text = torch.randn(3, 2, 64, dtype=torch.float64)
    together = backbone.encode_text(
        class_prompts(names, context_length=24, n_ctx=2, per_class=axis == "class"), Prompts(text=text, text_axis=axis)
    )
    for i in range(3):
        alone = backbone.encode_text(class_prompts(names, context_length=24, n_ctx=2), Prompts(text=text[i]))
        expected = alone[i] if axis == "class" else alone
        torch.testing.assert_close(together[i], expected, atol=1e-10, rtol=0)


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 16), min_size=1, max_size=12),
    n_ctx=st.integers(1, 4),
    depth=st.integers(1, 3),
    seed=st.integers(0, 100),
)
def test_packed_text_equals_padded_text_for_any_names(small, lengths, n_ctx, depth, seed):
    """Names of 1 to 16 tokens, duplicates among them, up to exactly the context's 24 positions."""
    model, backbone = small
    names = [" ".join(["dog"] * n) for n in lengths]
    generator = torch.Generator().manual_seed(seed)
    prompts = [torch.randn(n_ctx, 64, generator=generator, dtype=torch.float64) for _ in range(depth)]
    classes = class_prompts(names, context_length=24, n_ctx=n_ctx)
    found = backbone.encode_text(classes, Prompts(text=prompts[0], text_deep=prompts[1:]))

    tokens = usual_tokenize(model, [" ".join(["X"] * n_ctx) + f" {name}." for name in names])
    embedded = model.token_embedding(tokens).clone()
    embedded[:, 1 : 1 + n_ctx] = prompts[0]
    with torch.no_grad():
        expected = usual_encode_text(model, embedded, tokens, prompts[1:])
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)


def test_a_thousand_classes(small):
    _, backbone = small
    names = [f"thing {i}" for i in range(1000)]
    classes = class_prompts(names, context_length=24, n_ctx=2)
    prompts = Prompts(text=torch.randn(2, 64, dtype=torch.float64))
    features = backbone.encode_text(classes, prompts)
    for i in (0, 7, 123, 999):
        alone = backbone.encode_text(class_prompts([names[i]], context_length=24, n_ctx=2), prompts)
        torch.testing.assert_close(features[i], alone[0], atol=1e-10, rtol=0)


@pytest.mark.parametrize("precision, bound", [("bf16", 5e-2), ("fp16", 1e-2), ("amp", 5e-2)])
def test_low_precision_is_near_and_features_are_float32(precision, bound):
    model = random_clip(2)
    images, full = random_images(model, 4), backbone_of(model)
    low = Backbone(model.state_dict(), precision=precision)
    names = class_prompts(NAMES, context_length=24, n_ctx=2)
    text, vision = torch.randn(2, 64, requires_grad=True), torch.randn(2, 64, requires_grad=True)
    prompts = Prompts(text=text, text_deep=[text], vision=vision, vision_deep=[vision])

    def logits(backbone):
        return backbone.logits(backbone.encode_image(images, prompts), backbone.encode_text(names, prompts))

    exact, found = logits(full), logits(low)
    assert found.dtype == torch.float32
    assert ((found - exact).norm() / exact.norm()).item() < bound
    gradient = torch.autograd.grad(found.logsumexp(1).sum(), [text, vision])
    reference = torch.autograd.grad(exact.logsumexp(1).sum(), [text, vision])
    for g, r in zip(gradient, reference, strict=True):
        assert g.dtype == torch.float32
        assert torch.nn.functional.cosine_similarity(g.flatten(), r.flatten(), dim=0) > 0.98


def test_nothing_in_the_backbone_trains_and_gelu_is_another_function():
    model = random_clip(0)
    backbone = backbone_of(model)
    assert not any(p.requires_grad for p in backbone.parameters())
    images = random_images(model, 2)
    other = backbone_of(model, activation="gelu")
    assert not torch.allclose(other.encode_image(images), backbone.encode_image(images), atol=1e-4)


@pytest.mark.slow
def test_compiled_encoders_are_the_same_function():
    model = random_clip(5)
    plain, compiled = backbone_of(model), backbone_of(model)
    compiled.compile_encoders()
    classes = class_prompts(NAMES, context_length=24, n_ctx=2)
    torch.manual_seed(0)
    text = torch.randn(2, 64, requires_grad=True)
    vision = torch.randn(2, 64, requires_grad=True)
    prompts = Prompts(text=text, text_deep=[torch.randn(2, 64)], vision=vision)
    for batch in (3, 2):
        images = random_images(model, batch)
        results = []
        for backbone in (plain, compiled):
            image, words = backbone.encode_image(images, prompts), backbone.encode_text(classes, prompts)
            loss = image.square().sum() + words.square().sum()
            results.append((image, words, *torch.autograd.grad(loss, [text, vision])))
        for expected, found in zip(*results, strict=True):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
