"""The settings in configs/: they load, say what they are, and have the sizes and learning rates of the papers."""

import re
from types import SimpleNamespace

import pytest
import torch
from clip.model import CLIP

import datasets
import trainers
from configs import facts
from configs.dataset import dataset_stems
from configs.method import AVERAGE, setting_names
from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TRAINER_REGISTRY
from dassl.optim import build_lr_scheduler, build_optimizer
from prompted_clip import Backbone
from train import HERE

TRAINER_CONFIGS = [
    path / f"{name}.yaml" for path in sorted((HERE / "configs/trainers").iterdir()) for name in setting_names(path)
]
DATASET_CONFIGS = [HERE / f"configs/datasets/{stem}.yaml" for stem in dataset_stems(HERE / "configs/datasets")]
HEADER = ("Command:", "Expected:", "Cost:", "arXiv")  # what the header of every setting tells
D_L, D_V, D = 512, 768, 512  # ViT-B/16: text width, vision width, joint width


def config_of(*paths):
    cfg = get_cfg_default()
    datasets.add_config(cfg)
    trainers.add_config(cfg)
    for path in paths:
        cfg.merge_from_file(str(path))
    return cfg


@pytest.mark.parametrize("path", TRAINER_CONFIGS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_trainer_configs(path):
    config_of(path)
    assert path.parent.name in TRAINER_REGISTRY.registered_names()
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    for word in HEADER:
        assert any(word in line for line in header) or (word == "arXiv" and path.stem == "rn50_val")
    for script in re.findall(r"bash (scripts/[\w/-]+\.sh)", "\n".join(header)):
        assert (HERE / script).is_file()


@pytest.mark.parametrize("name", sorted(TRAINER_REGISTRY.registered_names()))
def test_every_method_has_a_quickstart(name):
    if TRAINER_REGISTRY.get(name).__module__.startswith("trainers."):
        assert (HERE / "configs/trainers" / name / "quickstart.yaml").is_file()


@pytest.mark.parametrize("name", sorted(TRAINER_REGISTRY.registered_names()))
def test_every_method_states_its_facts(name):
    if not TRAINER_REGISTRY.get(name).__module__.startswith("trainers."):
        return
    assert name in facts.methods(), f"there is no configs/trainers/{name}/method.yaml"
    stated = facts.methods()[name]
    if stated.paper is not None:
        assert stated.paper.arxiv in (HERE / "configs/trainers" / name / "quickstart.yaml").read_text()
    registered = {dataset.name for dataset in facts.datasets().values()}
    for row in (stated.row, *stated.rows):
        published = row.published
        if published is not None:
            assert stated.paper is not None
            assert {*published.base2new, *published.xd, *published.dg} <= {*registered, AVERAGE}
            for base, new, hm in [*published.base2new.values(), *([published.ablation] if published.ablation else [])]:
                assert hm == pytest.approx(2 * base * new / (base + new), abs=0.02)


@pytest.mark.parametrize("path", DATASET_CONFIGS, ids=lambda p: p.stem)
def test_dataset_configs(path):
    assert config_of(path).DATASET.NAME in DATASET_REGISTRY.registered_names()


@pytest.mark.parametrize(
    "stem, rates",
    [
        ("MaPLe/vit_b16_c2_ep5_batch4_2ctx", [1e-5, 3.5e-3, 3.16578e-3, 2.29078e-3, 1.20922e-3]),
        ("MaPLe/vit_b16_c2_ep5_batch4_2ctx_cross_datasets", [1e-5, 2.6e-3]),
        (
            "CoCoOp/vit_b16_c4_ep10_batch1_ctxv1",
            [
                *(1e-5, 2e-3, 1.951057e-3, 1.809017e-3, 1.587785e-3),
                *(1.309017e-3, 1e-3, 6.90983e-4, 4.12215e-4, 1.90983e-4),
            ],
        ),
    ],
)
def test_learning_rate_by_epoch(stem, rates):
    cfg = config_of(HERE / f"configs/trainers/{stem}.yaml")
    layer = torch.nn.Linear(2, 2)
    optimiser = build_optimizer(layer, cfg.OPTIM)
    schedule = build_lr_scheduler(optimiser, cfg.OPTIM)
    found = []
    for _ in range(cfg.OPTIM.MAX_EPOCH):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    assert found == pytest.approx(rates, rel=1e-5)
    group = optimiser.param_groups[0]
    assert (group["momentum"], group["weight_decay"], group["nesterov"]) == (0.9, 5e-4, False)


def empty_clip(**shape):
    """A CLIP's state dict of zeros in a given shape: large, but nothing is computed with it."""
    with torch.device("meta"):
        model = CLIP(**shape)
    return {k: torch.zeros(v.shape, dtype=torch.bfloat16) for k, v in model.state_dict().items()}


TEXT = {"context_length": 77, "vocab_size": 49408, "transformer_layers": 12}
VIT_B16 = {
    "embed_dim": D,
    "image_resolution": 224,
    "vision_layers": 12,
    "vision_width": D_V,
    "vision_patch_size": 16,
    "transformer_width": D_L,
    "transformer_heads": 8,
    **TEXT,
}


@pytest.fixture(scope="module")
def vit_b16():
    return Backbone(empty_clip(**VIT_B16), precision="bf16")


COUNTS = {
    "MaPLe/vit_b16_c2_ep5_batch4_2ctx": 3_555_072,
    "MaPLe/vit_b16_c2_ep5_batch4_2ctx_cross_datasets": 3 * (2 * D_L + D_L * D_V + D_V),
    "CoOp/vit_b16": 16 * D_L,
    "CoOp/vit_b16_ctxv1": 4 * D_L,
    "CoCoOp/vit_b16_c4_ep10_batch1_ctxv1": 4 * D_L + (D * D // 16 + D // 16) + (D // 16 * D_L + D_L),
    "IVLP/vit_b16_c2_ep5_batch4_2+2ctx": 12 * 2 * D_L + 12 * 2 * D_V,
    "IVLP/vit_b16_c2_ep5_batch4_4ctx_language_only": 12 * 4 * D_L,
    "VPT/vit_b16_c2_ep5_batch4_4": 12 * 8 * D_V,
    "KgCoOp/vit_b16_ep100_ctxv1": 4 * D_L,
    "PromptSRC/vit_b16_c2_ep20_batch4_4+4ctx": 9 * 4 * D_L + 9 * 4 * D_V,
    "PromptSRC/vit_b16_c2_ep20_batch4_4+4ctx_cross_datasets": 3 * 4 * D_L + 3 * 4 * D_V,
    "PromptSRC/vit_b16_c2_ep50_batch4_4+4ctx_few_shot": 46_080,
    "TCP/vit_b16_ep100_ctxv1": 331_904,
    "CLIPAdapter/vit_b16": 131_072,
    "CLIPLoRA/vit_b16": 184_320,
}


@pytest.mark.parametrize("stem", COUNTS)
def test_trainable_parameters_at_vit_b16(stem, vit_b16):
    trainer_class = TRAINER_REGISTRY.get(stem.split("/")[0])
    cfg = config_of(HERE / f"configs/trainers/{stem}.yaml")
    dataset = SimpleNamespace(classnames=["cat", "dog"], template="a photo of a {}.")
    learner = trainer_class.bare(cfg, vit_b16, dataset).learner
    assert sum(p.numel() for p in learner.parameters()) == COUNTS[stem]
    assert all(p.requires_grad for p in learner.parameters())
    assert not any(p.requires_grad for p in vit_b16.parameters())
    header = (HERE / f"configs/trainers/{stem}.yaml").read_text()
    assert f"{COUNTS[stem]:,} trainable parameters" in header
    assert all(f"{COUNTS[stem]:,}" in row.parameters for row in facts.rows() if facts.setting_of(row) == stem)
