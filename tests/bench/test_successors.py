"""The usual implementation of the later methods against closed forms, OpenAI's forward passes and PyTorch's losses."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import clip
import pytest
import torch
import torch.nn.functional as F
from clip.model import CLIP
from hypothesis import given
from hypothesis import strategies as st

from bench import baseline, successors
from tests import stubs
from tests.bench.test_baseline import with_prompts

NAMES = ["cat", "golden_retriever", "a rather long name of a thing", "dog"]
LABELS = torch.tensor([0, 3, 1])
TEACHERS = ["art of the {}.", "a blurry photo of a {}."]

METHODS: dict[str, Callable[[CLIP], Any]] = {
    "KgCoOp": lambda m: successors.UsualKgCoOp(m, NAMES, teacher_template=TEACHERS[0]),
    "PromptSRC": lambda m: successors.UsualPromptSRC(
        m, NAMES, depth_vision=3, depth_text=2, teacher_templates=TEACHERS
    ),
    "TCP": lambda m: successors.UsualTCP(m, NAMES, layer=2, text="person doing {}.", teacher_template=TEACHERS[0]),
    "CLIP-Adapter": lambda m: successors.UsualCLIPAdapter(m, NAMES, template=TEACHERS[0]),
    "CLIP-LoRA": lambda m: successors.UsualCLIPLoRA(m, NAMES, dropout=0.0),
}
TERMS = {
    "KgCoOp": ["ce", "kg"],
    "PromptSRC": ["ce", "text", "image", "kl"],
    "TCP": ["ce", "kg"],
    "CLIP-Adapter": ["ce"],
    "CLIP-LoRA": ["ce"],
}


def small() -> CLIP:
    return stubs.random_clip(dtype=torch.float64)


def sentences(model: CLIP, template: str, names: list[str] = NAMES) -> torch.Tensor:
    """OpenAI's own text features of a template."""
    texts = [template.format(name.replace("_", " ")) for name in names]
    return model.encode_text(clip.tokenize(texts, context_length=model.context_length))


def openai_logits(model: CLIP, images: torch.Tensor, template: str = "a photo of a {}.") -> torch.Tensor:
    """OpenAI's own forward pass."""
    texts = [template.format(name.replace("_", " ")) for name in NAMES]
    return model(images, clip.tokenize(texts, context_length=model.context_length))[0]


# --- all of them -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_terms_of_the_loss(method: str) -> None:
    model = small()
    usual = with_prompts(METHODS[method](model), std=0.1)
    images = stubs.random_images(model, 3)
    logits, losses = usual(images), usual.losses(images, LABELS)
    assert list(losses) == TERMS[method]
    torch.testing.assert_close(losses["ce"], F.cross_entropy(logits, LABELS))
    assert logits.shape == (3, 4)
    assert all(term.shape == () and term > 0 for term in losses.values())


@pytest.mark.parametrize("method", METHODS)
def test_gradient_reaches_every_parameter_and_nothing_else(method: str) -> None:
    model = small()
    usual = with_prompts(METHODS[method](model), std=0.1)
    images = stubs.random_images(model, 3)
    for losses in (usual.losses(images, LABELS), {"ce": usual.losses(images, LABELS)["ce"]}):
        usual.zero_grad()
        sum(losses.values()).backward()
        for name, parameter in usual.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(
    "make, keys",
    [
        ("KgCoOp", ["ctx"]),
        (
            "PromptSRC",
            [
                "image_encoder.VPT",
                "image_encoder.transformer.resblocks.1.VPT_shallow",
                "image_encoder.transformer.resblocks.2.VPT_shallow",
                "prompt_learner.ctx",
                "text_encoder.transformer.resblocks.1.VPT_shallow",
            ],
        ),
        ("TCP", ["ctx", *(f"meta_net.linear{i}.{part}" for i in (1, 2) for part in ("bias", "weight"))]),
        ("CLIP-Adapter", ["fc.0.weight", "fc.2.weight"]),
        (
            "CLIP-LoRA",
            [f"layer_{i}.{p}_proj.w_lora_{m}" for i in range(6) for p in ("k", "q", "v") for m in ("A", "B")],
        ),
    ],
)
def test_checkpoint_keys_are_the_public_ones(make: str, keys: list[str]) -> None:
    assert sorted(METHODS[make](stubs.random_clip()).state_dict()) == keys


@pytest.mark.parametrize(
    "make, count",
    [
        (lambda m: successors.UsualKgCoOp(m, NAMES), 2_048),
        (lambda m: successors.UsualPromptSRC(m, NAMES), 46_080),
        (lambda m: successors.UsualPromptSRC(m, NAMES, depth_vision=3, depth_text=3), 15_360),
        (lambda m: successors.UsualTCP(m, NAMES), 331_904),
        (lambda m: successors.UsualCLIPAdapter(m, NAMES), 131_072),
        (lambda m: successors.UsualCLIPLoRA(m, NAMES), 184_320),
    ],
    ids=["KgCoOp", "PromptSRC", "PromptSRC across datasets", "TCP", "CLIP-Adapter", "CLIP-LoRA"],
)
def test_published_parameter_counts_at_vit_b16(make: Callable[[CLIP], Any], count: int) -> None:
    with torch.device("meta"):  # shapes alone
        model = CLIP(512, 224, 12, 768, 16, 77, 49408, 512, 8, 12)
        usual = make(model)
    assert sum(parameter.numel() for parameter in usual.parameters()) == count


def test_the_adapter_at_a_resnets_joint_width() -> None:
    model = stubs.random_rn_clip(embed_dim=1024, dtype=torch.float64)
    adapter = successors.UsualCLIPAdapter(model, NAMES)
    assert sum(parameter.numel() for parameter in adapter.parameters()) == 524_288
    assert adapter(stubs.random_images(model, 2)).shape == (2, 4)
    with pytest.raises(ValueError, match="ViT"):
        successors.UsualCLIPLoRA(model, NAMES)


def test_frozen_text_is_the_mean_of_unnormalised_features() -> None:
    model = small()
    expected = (sentences(model, TEACHERS[0]) + sentences(model, TEACHERS[1])) / 2
    names = [name.replace("_", " ") for name in NAMES]
    found = successors.frozen_text(model, names, TEACHERS)
    torch.testing.assert_close(found, expected)
    assert not found.requires_grad


# --- KgCoOp ----------------------------------------------------------------------------------------------------------


def test_kgcoop_starts_as_zero_shot_clip_with_nothing_to_pay() -> None:
    """The context is the teacher's own words: its logits are CLIP's, and its features are the teacher's."""
    model = small()
    images = stubs.random_images(model, 3)
    usual = successors.UsualKgCoOp(model, NAMES)
    assert torch.equal(usual.ctx, model.token_embedding(clip.tokenize("a photo of a")[0, 1:5]))
    torch.testing.assert_close(usual(images), openai_logits(model, images))
    torch.testing.assert_close(usual.losses(images, LABELS)["kg"], torch.zeros((), dtype=torch.float64))
    with_prompts(usual)
    assert usual.losses(images, LABELS)["kg"] > 1e-3


@pytest.mark.parametrize("method", ["KgCoOp", "TCP"])
def test_kg_is_the_weighted_cosine_distance_of_all_classes(method: str) -> None:
    model = small()
    usual = with_prompts(METHODS[method](model))
    cosine = F.cosine_similarity(usual.text_features(), sentences(model, TEACHERS[0]))
    for labels in (LABELS, LABELS * 0):  # classes that are not in the batch count as well
        losses = usual.losses(stubs.random_images(model, 3), labels)
        torch.testing.assert_close(losses["kg"], 8 * (1 - cosine.sum() / 4))
    assert cosine.max() - cosine.min() > 1e-3


def test_kgcoop_without_words_draws_the_context() -> None:
    usual = successors.UsualKgCoOp(stubs.random_clip(), NAMES, n_ctx=6, ctx_init="")
    assert usual.ctx.shape == (6, 64) and 0.015 < usual.ctx.std() < 0.025
    expected = baseline.UsualCoOp(stubs.random_clip(), NAMES, 6)
    assert torch.equal(usual.tokens, expected.tokens)
    expected.load_state_dict(usual.state_dict())
    torch.testing.assert_close(usual.text_features(), expected.text_features())


# --- PromptSRC -------------------------------------------------------------------------------------------------------


def test_promptsrc_without_prompts_of_its_own_is_the_teacher() -> None:
    """Words of the teacher, no deep and no vision prompts: the three distillation terms vanish, and cross entropy is
    CLIP's; another teacher makes two of them count, vision prompts the third."""
    model = small()
    images = stubs.random_images(model, 3)
    options = {"n_ctx_vision": 0, "depth_vision": 0, "depth_text": 1}
    losses = successors.UsualPromptSRC(model, NAMES, **options).losses(images, LABELS)
    torch.testing.assert_close(losses["ce"], F.cross_entropy(openai_logits(model, images), LABELS))
    assert all(losses[name].abs() < 1e-12 for name in ("text", "image", "kl"))
    losses = successors.UsualPromptSRC(model, NAMES, **options, teacher_templates=TEACHERS).losses(images, LABELS)
    assert losses["text"] > 1e-3 and losses["kl"] > 1e-6 and losses["image"].abs() < 1e-12
    losses = with_prompts(successors.UsualPromptSRC(model, NAMES, depth_vision=1, depth_text=1)).losses(images, LABELS)
    assert losses["image"] > 1e-3


def test_promptsrc_terms_by_pytorchs_own_losses() -> None:
    model = small()
    images = stubs.random_images(model, 3)
    usual = with_prompts(METHODS["PromptSRC"](model))
    losses = usual.losses(images, LABELS)
    text, image = F.normalize(usual.text_features()), F.normalize(usual.image_features(images))
    frozen_text = F.normalize(sentences(model, TEACHERS[0]) + sentences(model, TEACHERS[1]))
    frozen_image = F.normalize(model.encode_image(images))
    scale = math.exp(2.5)
    logits, frozen = scale * image @ text.t(), scale * frozen_image @ frozen_text.t()
    torch.testing.assert_close(losses["text"], 25 * F.l1_loss(text, frozen_text))
    torch.testing.assert_close(losses["image"], 10 * F.l1_loss(image, frozen_image))
    kl = F.kl_div(logits.log_softmax(1), frozen.log_softmax(1), reduction="sum", log_target=True)
    torch.testing.assert_close(losses["kl"], kl / 12)
    other_way = F.kl_div(frozen.log_softmax(1), logits.log_softmax(1), reduction="sum", log_target=True)
    assert not torch.allclose(kl, other_way)


def test_gaussian_weights_of_the_published_settings() -> None:
    weights = successors.gaussian_weights(20, 15, 1)
    assert len(weights) == 20 and math.isclose(sum(weights), 1)
    assert weights.index(max(weights)) == 14 and round(weights[14], 4) == 0.3989
    cut_off = 5 * math.sqrt(math.pi / 2) * (1 + math.erf(5.5 / 5 / math.sqrt(2)))  # the bell's area up to epoch 50
    assert math.isclose(successors.gaussian_weights(50, 45, 5)[44], 1 / cut_off, rel_tol=1e-3)
    few = successors.gaussian_weights(50, 30, 30)
    assert math.isclose(few[0] / few[29], math.exp(-(29**2) / 1800))


@given(st.integers(1, 60), st.floats(-5, 80), st.floats(0.5, 40))
def test_gaussian_weights_sum_to_one_and_follow_the_bell(epochs: int, mean: float, std: float) -> None:
    weights = successors.gaussian_weights(epochs, mean, std)
    assert len(weights) == epochs and math.isclose(sum(weights), 1)
    for e in range(1, epochs):
        ratio = math.exp(((e - mean) ** 2 - (e + 1 - mean) ** 2) / (2 * std**2))
        if min(weights[e - 1], weights[e]) > 1e-290:  # below, doubles lose digits
            assert math.isclose(weights[e - 1] * ratio, weights[e], rel_tol=1e-9)


def test_gaussian_average() -> None:
    states = [{"a": torch.full((2,), float(e)), "b": torch.tensor([[1.0, -e]])} for e in (1, 2, 3)]
    side = math.exp(-0.5) / (1 + 2 * math.exp(-0.5))  # symmetric about epoch 2
    average = successors.gaussian_average(states, 2, 1)
    torch.testing.assert_close(average["a"], torch.full((2,), 2.0))
    torch.testing.assert_close(average["b"], torch.tensor([[1.0, -2.0]]))
    bent = successors.gaussian_average([*states[:2], {**states[2], "a": torch.full((2,), 13.0)}], 2, 1)
    torch.testing.assert_close(bent["a"], torch.full((2,), 2 + 10 * side))
    assert torch.equal(states[0]["a"], torch.ones(2))
    late = successors.gaussian_average(states, 3, 0.1)
    torch.testing.assert_close(late["a"], states[2]["a"])


# --- TCP -------------------------------------------------------------------------------------------------------------


def block_inputs(model: CLIP, run: Callable[[], Any]) -> list[torch.Tensor]:
    """What goes into each block of the text tower, (C, L, d_l), while `run` runs."""
    seen: list[torch.Tensor] = []
    handles = [
        block.register_forward_pre_hook(lambda _module, args: seen.append(args[0].permute(1, 0, 2)))
        for block in model.transformer.resblocks
    ]
    run()
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("layer", [1, 2])
def test_tcp_puts_each_class_its_own_rows_before_one_block(layer: int) -> None:
    model = small()
    usual = with_prompts(successors.UsualTCP(model, NAMES, layer=layer))
    rows = block_inputs(model, usual.text_features)
    plain = block_inputs(model, lambda: baseline.encode_text(model, usual._with_context(usual.ctx), usual.tokens))
    features = F.normalize(sentences(model, "a photo of a {}."))
    first, second = usual.meta_net.linear1, usual.meta_net.linear2
    for c, feature in enumerate(features):
        hidden = first.weight @ feature + first.bias
        expected = second.weight @ (hidden * torch.sigmoid(1.702 * hidden)) + second.bias  # QuickGELU
        for b in range(4):
            torch.testing.assert_close(rows[layer][c, 1 + b], expected[64 * b : 64 * (b + 1)])
    for k in range(layer):
        assert torch.equal(rows[k], plain[k])
    others = [0, *range(5, model.context_length)]
    assert torch.equal(rows[layer][:, others], plain[layer][:, others])
    for k in range(layer + 1, 3):  # carried on by the blocks, not put in again
        assert not torch.allclose(rows[k][:, 1:5], rows[layer][:, 1:5])


def test_tcp_with_the_rows_that_stand_there_is_coop() -> None:
    model = small()
    coop = with_prompts(baseline.UsualCoOp(model, ["cat"], 4))
    rows = block_inputs(model, coop.text_features)[2][0, 1:5]
    usual = successors.UsualTCP(model, ["cat"], layer=2)
    with torch.no_grad():
        usual.ctx.copy_(coop.ctx)
        usual.meta_net.linear2.weight.zero_()
        usual.meta_net.linear2.bias.copy_(rows.flatten())
    torch.testing.assert_close(usual.text_features(), coop.text_features())


def test_tcp_texts_start_and_blocks() -> None:
    model = stubs.random_clip()
    usual = METHODS["TCP"](model)
    texts = [f"X X X X person doing {name.replace('_', ' ')}." for name in NAMES]
    assert torch.equal(usual.tokens, clip.tokenize(texts, context_length=24).long())
    assert usual.ctx.shape == (4, 64) and 0.015 < usual.ctx.std() < 0.025
    assert usual.meta_net.linear1.weight.shape == (8, 32) and usual.meta_net.linear2.weight.shape == (256, 8)
    for layer in (0, 3):
        with pytest.raises(ValueError, match=f"layer is {layer}, .* from 1 to 2"):
            successors.UsualTCP(model, NAMES, layer=layer)


def test_tcp_takes_new_classes_without_training() -> None:
    """A model with other names has each class's features, whatever classes stand beside it."""
    model = small()
    usual = with_prompts(successors.UsualTCP(model, NAMES, layer=2))
    other = successors.UsualTCP(model, ["a zebra", *reversed(NAMES)], layer=2)
    other.load_state_dict(usual.state_dict())
    torch.testing.assert_close(other.text_features()[1:].flip(0), usual.text_features())


# --- CLIP-Adapter ----------------------------------------------------------------------------------------------------


def test_clip_adapter_mixes_before_normalising() -> None:
    model = small()
    images = stubs.random_images(model, 3)
    usual = METHODS["CLIP-Adapter"](model)
    feature = model.encode_image(images)
    down, up = usual.fc[0].weight, usual.fc[2].weight
    assert down.shape == (8, 32) and up.shape == (32, 8)
    for weight in (down, up):  # torch.nn.Linear's own start
        assert 0.8 / math.sqrt(weight.shape[1]) < weight.abs().max() <= 1 / math.sqrt(weight.shape[1])
    adapted = 0.2 * (up @ (down @ feature.t()).clamp(min=0)).clamp(min=0).t() + 0.8 * feature
    cosine = F.normalize(adapted) @ F.normalize(sentences(model, TEACHERS[0])).t()
    torch.testing.assert_close(usual(images), math.exp(2.5) * cosine)
    with torch.no_grad():
        up.zero_()
    torch.testing.assert_close(usual(images), openai_logits(model, images, TEACHERS[0]))
