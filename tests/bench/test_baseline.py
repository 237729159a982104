"""The usual implementation against OpenAI's own forward passes, and against closed forms where there are any."""

from __future__ import annotations

import math
import warnings

import clip
import pytest
import torch
from clip.model import build_model

from bench import baseline
from tests import stubs

NAMES = ["cat", "golden_retriever", "a rather long name of a thing", "dog"]


def with_prompts(model: torch.nn.Module, seed: int = 1, std: float = 0.5) -> torch.nn.Module:
    """Gives every parameter a random value that is large enough to matter."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype) * std)
    return model


@pytest.mark.parametrize("shape", stubs.SHAPES)
def test_without_prompts_it_is_openai_clip(shape: str) -> None:
    model = stubs.random_clip(**stubs.SHAPES[shape])
    images = stubs.random_images(model, 3)
    tokens = baseline.tokenize(model, baseline.prompt_texts(NAMES, "a photo of a"))
    text = baseline.encode_text(model, model.token_embedding(tokens), tokens)
    image = baseline.encode_image(model, images)
    assert torch.equal(text, model.encode_text(tokens))
    assert torch.equal(image, model.encode_image(images))
    expected, _ = model(images, tokens)
    assert torch.equal(baseline.cosine_logits(model, image, text), expected)


def test_resnet_without_prompts_is_openai_clip() -> None:
    model = stubs.random_rn_clip()
    images = stubs.random_images(model, 2)
    assert torch.equal(baseline.encode_image(model, images), model.encode_image(images))
    with pytest.raises(ValueError, match="ViT"):
        baseline.UsualVPT(model, NAMES, 2, 2)(images)


def test_zeroshot_with_one_template_is_openai_clip() -> None:
    model = stubs.random_clip(dtype=torch.float64)
    images = stubs.random_images(model, 3)
    tokens = clip.tokenize([f"art of the {name.replace('_', ' ')}." for name in NAMES], context_length=24)
    expected, _ = model(images, tokens)
    torch.testing.assert_close(baseline.UsualZeroshot(model, NAMES, ["art of the {}."])(images), expected)


def test_zeroshot_ensemble_is_the_normalised_mean() -> None:
    model = stubs.random_clip(dtype=torch.float64)
    a, b = "a {}.", "art of the {}."
    one, other = (baseline.UsualZeroshot(model, NAMES, [t]).text_features() for t in (a, b))
    mean = one + other
    both = baseline.UsualZeroshot(model, NAMES, [a, b]).text_features()
    torch.testing.assert_close(both, mean / mean.norm(dim=-1, keepdim=True))
    with pytest.raises(ValueError, match="empty"):
        baseline.UsualZeroshot(model, NAMES, []).text_features()


def test_word_initialised_prompts_leave_the_text_as_it_is() -> None:
    """ctx made of the template's own embeddings and no vision prompt: text features are zero-shot CLIP's."""
    model = stubs.random_clip(dtype=torch.float64)
    expected = model.encode_text(clip.tokenize(baseline.prompt_texts(NAMES, "a photo of a"), context_length=24))
    for n_ctx in (1, 2, 4):
        maple = baseline.UsualMaPLe(model, NAMES, n_ctx, 1, "a photo of a")
        torch.testing.assert_close(maple.text_features(), expected)
    coop = baseline.UsualCoOp(model, NAMES, csc=True, ctx_init="a photo of a")
    assert coop.ctx.shape == (4, 4, 64)
    torch.testing.assert_close(coop.text_features(), expected)
    cocoop = baseline.UsualCoCoOp(model, NAMES)
    torch.nn.init.zeros_(cocoop.meta_net.linear2.weight)
    torch.nn.init.zeros_(cocoop.meta_net.linear2.bias)
    images = stubs.random_images(model, 2)
    tokens = clip.tokenize(baseline.prompt_texts(NAMES, "a photo of a"), context_length=24)
    torch.testing.assert_close(cocoop(images), model(images, tokens)[0])


def test_more_than_four_tokens_are_drawn_at_random_on_placeholders() -> None:
    model = stubs.random_clip()
    maple = baseline.UsualMaPLe(model, NAMES, 5, 2, "a photo of a")
    assert torch.equal(maple.tokens, baseline.tokenize(model, baseline.prompt_texts(NAMES, "X X X X X")))
    assert 0.01 < maple.ctx.std() < 0.03


def test_deep_prompts_equal_to_the_hidden_states_change_nothing() -> None:
    """Depth J with prompts read off a shallow run at positions 1..b is the shallow run."""
    model = stubs.random_clip(dtype=torch.float64)
    shallow = with_prompts(baseline.UsualMaPLe(model, ["cat"], 2, 1))
    seen: list[torch.Tensor] = []
    handles = [
        block.register_forward_hook(lambda _m, _i, out: seen.append(out[1:3, 0]))
        for block in list(model.transformer.resblocks)[:-1]
    ]
    expected = shallow.text_features()
    for handle in handles:
        handle.remove()
    embedded = shallow._with_context(shallow.ctx)
    torch.testing.assert_close(baseline.encode_text(model, embedded, shallow.tokens, seen), expected)
    moved = [seen[0].flip(-1), seen[1]]
    assert not torch.allclose(baseline.encode_text(model, embedded, shallow.tokens, moved), expected)


def test_deep_vision_prompts_take_the_last_rows() -> None:
    model = stubs.random_clip(dtype=torch.float64)
    images, prompt = stubs.random_images(model, 1), torch.randn(2, 64, dtype=torch.float64)
    seen: list[torch.Tensor] = []
    handles = [
        block.register_forward_hook(lambda _m, _i, out: seen.append(out[-2:, 0]))
        for block in list(model.visual.transformer.resblocks)[:-1]
    ]
    expected = baseline.encode_image(model, images, prompt)
    for handle in handles:
        handle.remove()
    torch.testing.assert_close(baseline.encode_image(model, images, prompt, seen), expected)
    assert not torch.allclose(baseline.encode_image(model, images), expected)


def test_depth_one_has_no_deep_prompts_and_equals_shallow() -> None:
    model = stubs.random_clip(dtype=torch.float64)
    images = stubs.random_images(model, 2)
    deep = with_prompts(baseline.UsualMaPLe(model, NAMES, 2, 1))
    assert [name for name, _ in deep.named_parameters()] == ["ctx", "proj.weight", "proj.bias"]
    ivlp = baseline.UsualIVLP(model, NAMES, 2, 2, 1, 1)
    ivlp.load_state_dict({"prompt_learner.ctx": deep.ctx, "image_encoder.VPT": deep.proj(deep.ctx)})
    torch.testing.assert_close(ivlp(images), deep(images))


def test_maple_is_ivlp_with_coupled_prompts() -> None:
    model = stubs.random_clip(dtype=torch.float64)
    images = stubs.random_images(model, 2)
    maple = with_prompts(baseline.UsualMaPLe(model, NAMES, 2, 3))
    ivlp = baseline.UsualIVLP(model, NAMES, 2, 2, 3, 3)
    state = {"prompt_learner.ctx": maple.ctx, "image_encoder.VPT": maple.proj(maple.ctx)}
    for k, text in enumerate(maple.compound_prompts_text):
        state[f"text_encoder.transformer.resblocks.{k + 1}.VPT_shallow"] = text
        state[f"image_encoder.transformer.resblocks.{k + 1}.VPT_shallow"] = maple.compound_prompt_projections[k](text)
    ivlp.load_state_dict(state)
    torch.testing.assert_close(ivlp(images), maple(images))


def test_coop_positions_by_words() -> None:
    """With embeddings of real words as context, each position is the feature of a sentence one can write down."""
    model = stubs.random_clip(dtype=torch.float64)

    def sentence(text: str) -> torch.Tensor:
        return model.encode_text(clip.tokenize([text], context_length=24))

    texts = {
        "end": "red green blue dark golden retriever.",
        "middle": "red green golden retriever blue dark.",
        "front": "golden retriever red green blue dark.",
    }
    for position, text in texts.items():
        coop = baseline.UsualCoOp(model, ["golden_retriever"], position=position, ctx_init="red green blue dark")
        torch.testing.assert_close(coop.text_features(), sentence(text))
    with pytest.raises(ValueError, match="position"):
        baseline.UsualCoOp(model, NAMES, position="start")


def test_two_classes_closed_form() -> None:
    """Features fixed by hand: images along the axes, texts at 0 and 60 degrees; the softmax is known."""
    model = stubs.random_clip(embed_dim=2)
    model.logit_scale.data.fill_(math.log(2.0))
    image = torch.tensor([[3.0, 0.0], [0.0, 0.5]])
    text = torch.tensor([[7.0, 0.0], [0.5, math.sqrt(3) / 2]])
    expected = torch.tensor([[2.0, 1.0], [0.0, math.sqrt(3)]])
    torch.testing.assert_close(baseline.cosine_logits(model, image, text), expected)
    # ctx that turns both towers' features to known values needs no network: a model whose projections are zero but
    # for a bias-like row cannot be prompted, so every prompt must leave its logits alone.
    with torch.no_grad():
        model.ln_final.weight.zero_()
        model.visual.ln_post.weight.zero_()
    maple = baseline.UsualMaPLe(model, ["cat", "dog"], 2, 2)
    images = stubs.random_images(model, 2)
    u, v = model.visual.ln_post.bias @ model.visual.proj, model.ln_final.bias @ model.text_projection
    cosine = torch.nn.functional.cosine_similarity(u, v, dim=0)
    torch.testing.assert_close(with_prompts(maple)(images), (2 * cosine).expand(2, 2))


METHODS = {
    "maple": lambda m: baseline.UsualMaPLe(m, NAMES, 2, 3),
    "coop": lambda m: baseline.UsualCoOp(m, NAMES, 4),
    "coop_csc": lambda m: baseline.UsualCoOp(m, NAMES, 4, csc=True, position="middle"),
    "cocoop": lambda m: baseline.UsualCoCoOp(m, NAMES),
    "ivlp": lambda m: baseline.UsualIVLP(m, NAMES, 2, 3, 3, 2),
    "language": lambda m: baseline.UsualIVLP(m, NAMES, 0, 4, 0, 3),
    "vpt": lambda m: baseline.UsualVPT(m, NAMES, 2, 3),
}


@pytest.mark.parametrize("method", METHODS)
def test_gradient_reaches_every_parameter_and_nothing_else(method: str) -> None:
    model = stubs.random_clip()
    usual = with_prompts(METHODS[method](model), std=0.1)
    loss = torch.nn.functional.cross_entropy(usual(stubs.random_images(model, 3)), torch.tensor([0, 1, 3]))
    loss.backward()
    for name, parameter in usual.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in model.parameters())


def test_checkpoint_keys_are_the_public_ones() -> None:
    model = stubs.random_clip()
    assert sorted(METHODS["maple"](model).state_dict()) == [
        "compound_prompt_projections.0.bias",
        "compound_prompt_projections.0.weight",
        "compound_prompt_projections.1.bias",
        "compound_prompt_projections.1.weight",
        "compound_prompts_text.0",
        "compound_prompts_text.1",
        "ctx",
        "proj.bias",
        "proj.weight",
    ]
    assert sorted(METHODS["ivlp"](model).state_dict()) == [
        "image_encoder.VPT",
        "image_encoder.transformer.resblocks.1.VPT_shallow",
        "image_encoder.transformer.resblocks.2.VPT_shallow",
        "prompt_learner.ctx",
        "text_encoder.transformer.resblocks.1.VPT_shallow",
    ]
    assert sorted(METHODS["cocoop"](model).state_dict()) == [
        "ctx",
        "meta_net.linear1.bias",
        "meta_net.linear1.weight",
        "meta_net.linear2.bias",
        "meta_net.linear2.weight",
    ]


def test_maple_gradient_reaches_the_text_prompts_through_both_towers() -> None:
    model = stubs.random_clip(dtype=torch.float64)
    maple = with_prompts(baseline.UsualMaPLe(model, NAMES, 2, 3))
    images = stubs.random_images(model, 2)
    prompts = [maple.ctx, *maple.compound_prompts_text]
    for features in (maple.text_features(), maple.image_features(images)):
        for gradient in torch.autograd.grad(features.square().sum() + features.sum(), prompts):
            assert gradient.abs().sum() > 0


@pytest.mark.parametrize("make", [stubs.random_clip, stubs.random_rn_clip])
def test_stub_archives_are_read_by_openai(make, tmp_path) -> None:
    model = make(seed=3)
    before = sorted(model.state_dict())
    plain = torch.load(stubs.save_state_dict(model, tmp_path / "plain.pt"), weights_only=True)
    path = stubs.save_jit_archive(model, tmp_path / "archive.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        archive = torch.jit.load(str(path)).state_dict()
    assert sorted(model.state_dict()) == before
    assert int(archive["context_length"]) == model.context_length
    assert int(archive["vocab_size"]) == model.vocab_size
    assert int(archive["input_resolution"]) == model.visual.input_resolution
    assert set(archive) - set(plain) == {"context_length", "vocab_size", "input_resolution"}
    images = stubs.random_images(model, 1)
    rebuilt = build_model(dict(archive)).float()
    torch.testing.assert_close(rebuilt.encode_image(images), model.encode_image(images), rtol=2e-2, atol=2e-2)


def test_same_seed_same_weights_and_no_trivial_ones() -> None:
    one, same, other = stubs.random_clip(1), stubs.random_clip(1), stubs.random_clip(2)
    for (name, a), b, c in zip(one.named_parameters(), same.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        if name != "logit_scale":
            assert not torch.equal(a, c) and a.std() > 0, name
    assert stubs.tokenizer() is stubs.tokenizer()
