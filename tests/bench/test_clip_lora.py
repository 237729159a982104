"""The usual CLIP-LoRA, and the attention written out for it, against OpenAI's own modules with merged weights."""

from __future__ import annotations

import math

import pytest
import torch

from bench import openai_towers, successors
from tests import stubs
from tests.bench.test_baseline import with_prompts
from tests.bench.test_successors import NAMES, openai_logits, small


def test_clip_lora_starts_as_zero_shot_clip() -> None:
    model = small()
    images = stubs.random_images(model, 3)
    usual = successors.UsualCLIPLoRA(model, NAMES, r=4)
    torch.testing.assert_close(usual(images), openai_logits(model, images), atol=1e-12, rtol=0)
    for name, parameter in usual.named_parameters():
        if name.endswith("A"):  # Kaiming-uniform, a = √5: bound 1 / √D
            assert parameter.shape == (4, 64) and 0.94 / 8 < parameter.abs().max() <= 1 / 8, name
        else:
            assert parameter.shape == (64, 4) and parameter.abs().max() == 0, name


@pytest.mark.parametrize("training", [True, False])
def test_clip_lora_with_b_zero_does_not_depend_on_a(training: bool) -> None:
    model = stubs.random_clip()
    images = stubs.random_images(model, 3)
    usual = successors.UsualCLIPLoRA(model, NAMES, dropout=0.5).train(training)
    expected = usual(images)
    with torch.no_grad():
        for name, parameter in usual.named_parameters():
            if name.endswith("A"):
                parameter.normal_()
    assert torch.equal(usual(images), expected)


@pytest.mark.parametrize("shape", stubs.SHAPES)
@pytest.mark.parametrize("r, alpha", [(2, 1.0), (3, 4.0)])
def test_clip_lora_is_openai_clip_with_merged_weights(shape: str, r: int, alpha: float) -> None:
    """W + B A · α/√r written into a copy of the model, tower by tower, whose own forward pass then is the method's."""
    model = stubs.random_clip(dtype=torch.float64, **stubs.SHAPES[shape])
    images = stubs.random_images(model, 3)
    usual = with_prompts(successors.UsualCLIPLoRA(model, NAMES, r=r, alpha=alpha, dropout=0.0), std=0.3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    logits = usual(images)
    assert not torch.allclose(logits, openai_logits(model, images), atol=1e-3)
    torch.testing.assert_close(openai_logits(usual.merged(), images), logits)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())

    state = usual.state_dict()
    for i, block in enumerate([*model.transformer.resblocks, *model.visual.transformer.resblocks]):
        for p, rows in zip("qkv", block.attn.in_proj_weight.data.chunk(3), strict=True):
            a, b = (state[f"layer_{i}.{p}_proj.w_lora_{m}"] for m in "AB")
            rows += alpha / math.sqrt(r) * torch.einsum("dr,re->de", b, a)
    torch.testing.assert_close(openai_logits(model, images), logits)


def test_clip_lora_drops_the_input_of_each_low_rank_path() -> None:
    """Half of the inputs gone and the rest doubled, a mask for every product; in evaluation nothing is dropped."""
    model = small()
    images = stubs.random_images(model, 2)
    usual = with_prompts(successors.UsualCLIPLoRA(model, NAMES, dropout=0.5), std=0.3)
    assert usual.train()(images).ne(usual(images)).any()
    plain = successors.UsualCLIPLoRA(model, NAMES, dropout=0.0)
    plain.load_state_dict(usual.state_dict())
    assert torch.equal(usual.eval()(images), plain.train()(images))

    usual.train()
    x = torch.rand(5, 2, 64, dtype=torch.float64) + 0.5
    masks = []
    for low_rank in usual.low_rank[0].values():
        with torch.no_grad():
            low_rank.w_lora_A.zero_()[0, 0] = 1.0  # ΔW reads the first input alone
            low_rank.w_lora_B.fill_(math.sqrt(2))
        out = low_rank(x)
        kept = out[..., 0] > 0
        torch.testing.assert_close(out, (2 * x[..., :1] * kept[..., None]).expand_as(out))
        masks.append(kept)
    assert 0 < torch.stack(masks).double().mean() < 1
    assert not (torch.equal(masks[0], masks[1]) and torch.equal(masks[1], masks[2]))


def test_an_unnamed_product_gets_no_delta() -> None:
    """Attention written out without deltas is `torch.nn.MultiheadAttention`; each product's delta counts by itself."""
    model = small()
    x = torch.randn(24, 2, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for block in (model.transformer.resblocks[0], model.visual.transformer.resblocks[0]):
        expected = block.attention(x)
        torch.testing.assert_close(openai_towers.attention(block, x, {}), expected)
        for part in "qkv":
            shifted = openai_towers.attention(block, x, {part: lambda rows: 0.1 * rows.flip(-1)})
            assert not torch.allclose(shifted, expected, atol=1e-4), part


def test_a_resnet_takes_neither_prompts_nor_deltas() -> None:
    model = stubs.random_rn_clip()
    images, prompt = stubs.random_images(model, 1), torch.zeros(2, 8)
    for options in ({"shallow": prompt}, {"deep": [prompt]}):
        with pytest.raises(ValueError, match="vision prompts need a ViT"):
            openai_towers.encode_image(model, images, **options)
    with pytest.raises(ValueError, match="deltas in blocks need a ViT"):
        openai_towers.encode_image(model, images, deltas=[{}])
