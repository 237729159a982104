"""OpenCLIP's models as backbones, against open_clip's own modules; refusals. Nothing is downloaded."""

import copy
import json
import sys

import open_clip
import pytest
import torch
import torch.nn.functional as F
from open_clip import factory, pretrained
from safetensors.torch import save_file

from prompted_clip import load_backbone, text_prompts, weights
from prompted_clip.open_clip_weights import OpenClipModel
from tests.stubs import _randomise
from train import main
from trainers.common.encoded import learner_logits
from trainers.maple import MultiModalPromptLearner

# heads of other widths than 64 in both towers, another width inside the MLPs
TINY = {
    "embed_dim": 24,
    "vision_cfg": {
        "image_size": 16,
        "patch_size": 8,
        "width": 60,
        "head_width": 20,
        "layers": 3,
        "mlp_ratio": 4.3637,
        "patch_dropout": 0.5,
    },
    "text_cfg": {"context_length": 20, "width": 48, "heads": 3, "layers": 3, "mlp_ratio": 3.0},
}
QUICK = {
    "embed_dim": 32,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "patch_size": 16, "width": 64, "layers": 2},
    "text_cfg": {"context_length": 16, "width": 64, "heads": 4, "layers": 2},
}
CONFIGS = {"tiny": TINY, "tiny-quickgelu": QUICK}
NAMES = ["wren", "great spotted woodpecker", "owl"]


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """open_clip's tables of configurations and weights, put back after each test."""
    for module, name in ((factory, "_MODEL_CONFIGS"), (pretrained, "_PRETRAINED"), (factory, "_MODEL_CONFIG_PATHS")):
        monkeypatch.setattr(module, name, copy.copy(getattr(module, name)))


@pytest.fixture
def register(tmp_path):
    """register(name, config): under open_clip's own way to add a model."""

    def add(name, config):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(config))
        open_clip.add_model_config(path)

    return add


def random_model(config, seed=0):
    options = {"quick_gelu": config.get("quick_gelu", False)}
    model = open_clip.CLIP(config["embed_dim"], config["vision_cfg"], config["text_cfg"], **options).eval()
    _randomise(model, torch.Generator().manual_seed(seed))
    return model


@pytest.fixture
def tiny(register, tmp_path):
    """The model "tiny" and a file of its weights."""
    register("tiny", TINY)
    model = random_model(TINY)
    torch.save(model.state_dict(), tmp_path / "tiny.pt")
    return model, tmp_path / "tiny.pt"


def images_for(model, batch):
    side = model.visual.image_size[0]
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(1))


def assert_same(backbone, model):
    images = images_for(model, 2)
    texts = ["a photo of a dog.", "an ocelot", "a satellite photo of a forest."]
    tokens = open_clip.tokenize(texts, context_length=model.context_length)
    classes = text_prompts(texts, context_length=backbone.spec.context_length)
    with torch.no_grad():
        torch.testing.assert_close(backbone.encode_image(images), model.encode_image(images), atol=1e-5, rtol=0)
        torch.testing.assert_close(backbone.encode_text(classes), model.encode_text(tokens), atol=1e-5, rtol=0)
        torch.testing.assert_close(backbone.logit_scale.detach(), model.logit_scale.detach().reshape(()))


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("suffix", ["pt", "bin", "safetensors"])
def test_same_features_as_open_clip(name, suffix, register, tmp_path):
    register(name, CONFIGS[name])
    model = random_model(CONFIGS[name])
    path = tmp_path / f"weights.{suffix}"
    if suffix == "safetensors":
        save_file(model.state_dict(), path)
    elif suffix == "pt":
        torch.save(model.state_dict(), path)
    else:  # as open_clip's training program writes its checkpoints
        torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}}, path)
    backbone = load_backbone(f"open_clip:{name}/{path}")
    assert_same(backbone, model)
    vision, text = CONFIGS[name]["vision_cfg"], CONFIGS[name]["text_cfg"]
    assert backbone.spec.text_heads == text["heads"]
    assert backbone.spec.vision_heads == vision["width"] // vision.get("head_width", 64)


def test_relative_paths_and_a_logit_scale_with_an_axis(tiny, tmp_path, monkeypatch):
    model, _ = tiny
    (tmp_path / "sub").mkdir()
    save_file({**model.state_dict(), "logit_scale": model.logit_scale[None]}, tmp_path / "sub" / "w.safetensors")
    monkeypatch.chdir(tmp_path)
    assert_same(load_backbone("open_clip:tiny/sub/w.safetensors"), model)


def oracle_logits(model, learner, images):
    """The prompted CLIP with open_clip's blocks, on padded sequences."""
    prompts = learner()
    n_ctx = len(prompts.text)
    tokens = open_clip.tokenize([f"{'x ' * n_ctx}{name}." for name in NAMES], context_length=model.context_length)
    x = model.token_embedding(tokens)
    x = torch.cat([x[:, :1], prompts.text.expand(len(x), -1, -1), x[:, 1 + n_ctx :]], dim=1)
    x = x + model.positional_embedding
    for k, block in enumerate(model.transformer.resblocks):
        if 1 <= k <= len(prompts.text_deep):
            x = torch.cat([x[:, :1], prompts.text_deep[k - 1].expand(len(x), -1, -1), x[:, 1 + n_ctx :]], dim=1)
        x = block(x, attn_mask=model.attn_mask)
    text = model.ln_final(x)[torch.arange(len(x)), tokens.argmax(-1)] @ model.text_projection

    visual = model.visual
    y = visual.conv1(images).flatten(2).transpose(1, 2)
    y = torch.cat([visual.class_embedding.expand(len(y), 1, -1), y], dim=1) + visual.positional_embedding
    n_tokens = y.shape[1]
    y = visual.ln_pre(torch.cat([y, prompts.vision.expand(len(y), -1, -1)], dim=1))
    for k, block in enumerate(visual.transformer.resblocks):
        if 1 <= k <= len(prompts.vision_deep):
            y = torch.cat([y[:, :n_tokens], prompts.vision_deep[k - 1].expand(len(y), -1, -1)], dim=1)
        y = block(y)
    image = visual.ln_post(y[:, 0]) @ visual.proj
    return model.logit_scale.exp() * F.normalize(image, dim=-1) @ F.normalize(text, dim=-1).t()


@pytest.mark.parametrize("name", CONFIGS)
def test_a_training_step_of_maple(name, register, tmp_path):
    register(name, CONFIGS[name])
    model = random_model(CONFIGS[name]).requires_grad_(False)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    backbone = load_backbone(f"open_clip:{name}/{tmp_path / 'w.safetensors'}")
    torch.manual_seed(0)
    learner = MultiModalPromptLearner(backbone, NAMES, n_ctx=2, depth=2, ctx_init="")
    twin = copy.deepcopy(learner)
    images, labels = images_for(model, 4), torch.tensor([0, 1, 2, 1])
    losses = []
    for forward, prompts in (
        (lambda: learner_logits(backbone, learner, images), learner),
        (lambda: oracle_logits(model, twin, images), twin),
    ):
        optimiser = torch.optim.SGD(prompts.parameters(), lr=0.1)
        loss = F.cross_entropy(forward(), labels)
        loss.backward()
        optimiser.step()
        losses += [loss.detach(), F.cross_entropy(forward(), labels).detach()]
    torch.testing.assert_close(losses[:2], losses[2:], atol=1e-5, rtol=1e-5)
    assert losses[1] < losses[0]
    for ours, theirs in zip(learner.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-5, rtol=1e-4)


def publish(path, model="tiny", tag="birds_s1b", **options):
    described = {"url": path.as_uri(), "hf_hub": "", "mean": open_clip.OPENAI_DATASET_MEAN}
    described |= {"std": open_clip.OPENAI_DATASET_STD, **options}
    pretrained._PRETRAINED[model] = {**pretrained._PRETRAINED.get(model, {}), tag: described}


def test_a_tag_is_fetched_by_open_clip_into_its_cache(tiny, tmp_path, capsys):
    model, path = tiny
    publish(path)
    assert_same(load_backbone("open_clip:tiny/birds_s1b", cache_dir=tmp_path / "cache"), model)
    path.unlink()  # the second time, the cache serves
    assert_same(load_backbone("open_clip:tiny/birds_s1b", cache_dir=tmp_path / "cache"), model)
    assert capsys.readouterr().out == ""


def test_the_tag_says_quick_gelu_where_the_name_does_not(tmp_path, register):
    plain = {k: v for k, v in QUICK.items() if k != "quick_gelu"}
    register("tiny", plain)
    model = random_model(QUICK)
    torch.save(model.state_dict(), tmp_path / "w.pt")
    publish(tmp_path / "w.pt", quick_gelu=True)
    assert_same(load_backbone("open_clip:tiny/birds_s1b", cache_dir=tmp_path / "cache"), model)
    assert OpenClipModel.parse(f"open_clip:tiny/{tmp_path / 'w.pt'}").activation == "gelu"


def test_another_normalisation_is_said(tiny, tmp_path, capsys):
    publish(tiny[1], mean=(0.5, 0.5, 0.5), std=(0.25, 0.5, 0.5))
    load_backbone("open_clip:tiny/birds_s1b", cache_dir=tmp_path / "cache")
    out = capsys.readouterr().out
    assert "set INPUT.PIXEL_MEAN to [0.5, 0.5, 0.5] and INPUT.PIXEL_STD to [0.25, 0.5, 0.5]" in out
    assert out.count("\n") == 1


def test_a_failed_download(tiny, tmp_path):
    publish(tmp_path / "not_there.pt")
    with pytest.raises(OSError, match=r"tiny/birds_s1b could not be downloaded .* open_clip:tiny/<its path>"):
        load_backbone("open_clip:tiny/birds_s1b", cache_dir=tmp_path / "cache")


PUBLISHED = {  # heads, activation
    "ViT-B-16/laion2b_s34b_b88k": (12, 8, "gelu"),
    "ViT-B-16/datacomp_xl_s13b_b90k": (12, 8, "gelu"),
    "ViT-B-16/metaclip_400m": (12, 8, "quick_gelu"),
    "ViT-B-16-quickgelu/dfn2b": (12, 8, "quick_gelu"),
    "ViT-B-32/openai": (12, 8, "quick_gelu"),
    "ViT-L-14/laion2b_s32b_b82k": (16, 12, "gelu"),
    "ViT-H-14/laion2b_s32b_b79k": (16, 16, "gelu"),
    "ViT-g-14/laion2b_s34b_b88k": (16, 16, "gelu"),
    "ViT-bigG-14/laion2b_s39b_b160k": (16, 20, "gelu"),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models_are_taken(name):
    model = OpenClipModel.parse(f"open_clip:{name}")
    assert (model.vision_heads, model.text_heads, model.activation) == PUBLISHED[name]
    assert ("0.5, 0.5, 0.5" in model.notice) == (name == "ViT-L-14/laion2b_s32b_b82k")


@pytest.mark.parametrize(
    "name, reason",
    [
        ("ViT-B-16-SigLIP/webli", "its text tower is not causal"),
        ("ViT-L-14-CLIPA/datacomp1b", "its text tower is not causal"),
        ("roberta-ViT-B-32/laion2b_s12b_b32k", "its text tower is Hugging Face's roberta-base"),
        (
            "coca_ViT-B-32/laion2b_s13b_b90k",
            "it is a CoCa, with a text decoder; its text tower reads out a class token",
        ),
        ("convnext_base/laion400m_s13b_b51k", "its image tower is timm's convnext_base"),
        ("EVA02-B-16/merged2b_s8b_b131k", "its image tower is timm's eva02_base_patch16_clip_224"),
        ("ViT-H-14-worldwide/metaclip2_worldwide", "its tokenizer is facebook/xlm-v-base, not CLIP's"),
        ("RN50/yfcc15m", "its image tower is a ResNet"),
    ],
)
def test_published_models_that_are_refused(name, reason, monkeypatch):
    monkeypatch.setattr(open_clip, "download_pretrained", None)  # calling it would be another error
    with pytest.raises(ValueError, match=reason) as caught:
        load_backbone(f"open_clip:{name}")
    assert str(caught.value).startswith(f"OpenCLIP's {name.split('/')[0]} cannot take prompts: ")


@pytest.mark.parametrize(
    "section, change, reason",
    [
        ("text_cfg", {"no_causal_mask": True}, "its text tower is not causal"),
        ("text_cfg", {"pool_type": "last"}, "its text features are pooled by 'last'"),
        ("text_cfg", {"vocab_size": 1000}, "its vocabulary has 1000 tokens"),
        ("text_cfg", {"tokenizer_kwargs": {"clean": "canonicalize"}}, "its tokenizer prepares texts in another way"),
        ("text_cfg", {"proj_bias": True}, "its text projection has a bias"),
        ("text_cfg", {"proj_type": "none"}, "its text projection is 'none'"),
        ("text_cfg", {"act_kwargs": {"approximate": "tanh"}}, "text_cfg.act_kwargs is {'approximate': 'tanh'}"),
        ("vision_cfg", {"norm_kwargs": {"eps": 1e-6}}, "vision_cfg.norm_kwargs is {'eps': 1e-06}"),
        ("vision_cfg", {"attentional_pool": True}, "its image tower pools by attention"),
        ("vision_cfg", {"pool_type": "avg"}, "its image features are pooled by 'avg'"),
        ("vision_cfg", {"no_ln_pre": True}, "its image tower has no LayerNorm before the first block"),
        ("vision_cfg", {"ls_init_value": 1e-4}, "vision_cfg.ls_init_value is 0.0001"),
        ("vision_cfg", {"image_size": 20}, "images of 20 x 20 pixels do not fall into whole square patches"),
        ("vision_cfg", {"image_size": [16, 32]}, "images of 16 x 32 pixels"),
        ("", {"custom_text": True}, "its text tower is a custom one"),
        ("", {"init_logit_bias": -10}, "its logits have a bias"),
        ("", {"new_part": "x"}, "new_part is 'x'"),
    ],
)
def test_every_departure_is_refused_with_its_reason(section, change, reason, register):
    config = copy.deepcopy(TINY)
    (config[section] if section else config).update(change)
    register("tiny-other", config)
    with pytest.raises(ValueError) as caught:
        load_backbone("open_clip:tiny-other/any_tag")
    assert reason in str(caught.value)


def test_names_that_lead_nowhere(tiny, tmp_path):
    with pytest.raises(ValueError, match=r"OpenCLIP has no model 'ViT-B16'.*did you mean .*ViT-B-16"):
        load_backbone("open_clip:ViT-B16/openai")
    with pytest.raises(ValueError, match=r"no weights 'laion2b_s34b' of ViT-B-16.*did you mean laion2b_s34b_b88k"):
        load_backbone("open_clip:ViT-B-16/laion2b_s34b")
    with pytest.raises(ValueError, match=r"no weights '' of ViT-B-16.*<model>/<tag or path>.*it has openai"):
        load_backbone("open_clip:ViT-B-16")
    with pytest.raises(ValueError, match="there are none, give the path to a weight file"):
        load_backbone("open_clip:tiny/some_tag")
    with pytest.raises(FileNotFoundError, match=r"nothing.safetensors does not exist"):
        load_backbone(f"open_clip:tiny/{tmp_path / 'nothing.safetensors'}")


def test_files_that_are_not_the_models(tiny, tmp_path):
    model, path = tiny
    state = model.state_dict()
    for change, message in (
        ({"visual.conv1.weight": torch.zeros(60, 3, 4, 4)}, r"has shape \(60, 3, 4, 4\): .* has \(60, 3, 8, 8\)"),
        ({"extra": torch.zeros(1)}, "OpenCLIP's tiny has no tensor 'extra'"),
    ):
        torch.save({**state, **change}, path)
        with pytest.raises(ValueError, match=message) as caught:
            load_backbone(f"open_clip:tiny/{path}")
        assert str(path) in str(caught.value)
    shallower = {k: v for k, v in state.items() if not k.startswith("transformer.resblocks.2.")}
    torch.save(shallower, path)
    with pytest.raises(ValueError, match=r"'transformer.resblocks.2.ln_1.weight' of OpenCLIP's tiny is missing"):
        load_backbone(f"open_clip:tiny/{path}")


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_damaged_files(tiny, tmp_path, suffix):
    path = tmp_path / f"w.{suffix}"
    save_file(tiny[0].state_dict(), path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=rf"w.{suffix} \(1000 bytes\) cannot be read as CLIP weights"):
        load_backbone(f"open_clip:tiny/{path}")


def test_a_safetensors_file_without_a_model(tiny, tmp_path):
    save_file(tiny[0].state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=r"say of which of its models, as open_clip:<model>/.*w.safetensors"):
        load_backbone(str(tmp_path / "w.safetensors"))


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ImportError, match=r'pip install "maple-prompt-learning\[open_clip\]"'):
        weights.find_weights("open_clip:ViT-B-16/openai")


def test_the_list_of_backbones_shows_the_form(capsys):
    assert main(["--list"]) == 0
    assert "open_clip:<model>/<pretrained>" in capsys.readouterr().out
