"""Methods since MaPLe against plain implementations: losses, logits, gradients, steps of their own optimisers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bench import successors
from dassl.engine import TRAINER_REGISTRY
from dassl.optim import build_optimizer
from prompted_clip import Backbone
from tests.stubs import SHAPES, random_clip, random_images
from tests.trainers.test_parity import matched
from tests.trainers.test_registry import seeded, tensors, train_into_the_second_epoch
from tests.trainers.test_settings import config_of
from train import HERE
from trainers.clip_lora import CLIPLoRALearner
from trainers.common.templates import IMAGENET_60

NAMES = ["cat", "golden retriever", "a very_long name of a thing", "dog (small)", "bird"]
TEMPLATE = "a blurry photo of a {}, a type of thing."
LABELS = torch.tensor([0, 3, 1])


@dataclass
class Case:
    """A setting of a method, and the plain implementation of the same."""

    trainer: str
    usual: Callable[..., Any]
    options: dict[str, Any]
    usual_options: dict[str, Any]
    shape: str = "default"
    dataset: str = ""
    optim: dict[str, Any] = field(default_factory=lambda: {"NAME": "sgd", "LR": 0.05})

    @property
    def name(self) -> str:
        return "-".join([self.trainer, self.shape, self.dataset, *(str(v) for v in self.options.values())])


def kgcoop(n_ctx: int, words: str, shape: str = "default", dataset: str = "", template: str = TEMPLATE) -> Case:
    usual = {"n_ctx": n_ctx, "ctx_init": words, "weight": 3.0, "teacher_template": template}
    options = {"N_CTX": n_ctx, "CTX_INIT": words, "W": 3.0}
    return Case("KgCoOp", successors.UsualKgCoOp, options, usual, shape, dataset)


def promptsrc(b: int, depth: int, shape: str = "default") -> Case:
    usual = {"n_ctx_vision": b, "n_ctx_text": b, "depth_vision": depth, "depth_text": depth}
    options = {key.upper().replace("DEPTH", "PROMPT_DEPTH"): value for key, value in usual.items()}
    usual |= {"teacher_templates": IMAGENET_60, "text_weight": 7.0, "image_weight": 5.0}
    options |= {"TEXT_LOSS_WEIGHT": 7.0, "IMAGE_LOSS_WEIGHT": 5.0}
    return Case("PromptSRC", successors.UsualPromptSRC, options, usual, shape)


def tcp(
    n_ctx: int, layer: int, shape: str = "default", dataset: str = "", text: str = "{}.", template: str = TEMPLATE
) -> Case:
    usual = {"n_ctx": n_ctx, "layer": layer, "weight": 3.0, "teacher_template": template, "text": text}
    adam = {"NAME": "adam", "LR": 0.002, "EPS": 1e-3}
    return Case(
        "TCP", successors.UsualTCP, {"N_CTX": n_ctx, "LAYER": layer, "W": 3.0}, usual, shape, dataset, optim=adam
    )


def adapter(ratio: float, shape: str = "default") -> Case:
    usual = {"ratio": ratio, "template": TEMPLATE}
    return Case("CLIPAdapter", successors.UsualCLIPAdapter, {"RATIO": ratio}, usual, shape)


def lora(r: int, shape: str = "default") -> Case:
    adamw = {"NAME": "adamw", "LR": 0.01, "WEIGHT_DECAY": 0.01}
    options = {"R": r, "DROPOUT": 0.0, "ALPHA": 2.0}
    return Case(
        "CLIPLoRA", successors.UsualCLIPLoRA, options, {"r": r, "dropout": 0.0, "alpha": 2.0}, shape, optim=adamw
    )


CASES = [
    kgcoop(4, "a photo of a"),
    kgcoop(2, ""),
    kgcoop(4, "a photo of a", "text_wider", "DescribableTextures", "a photo of a {}, a type of texture."),
    *(promptsrc(4, depth, shape) for depth, shape in ((1, "default"), (3, "default"), (2, "vision_wider"))),
    promptsrc(1, 2, "more_patches"),
    *(tcp(4, layer) for layer in (1, 2)),
    tcp(2, 1, "more_patches"),
    tcp(3, 3, "vision_wider"),
    tcp(4, 2, "default", "OxfordPets", "{}, a type of pet."),
    tcp(4, 2, "default", "StanfordCars", "{}, a type of car"),
    tcp(4, 2, "default", "UCF101", "person doing {}."),
    tcp(4, 1, "default", "DescribableTextures", "{} texture.", "a photo of a {}, a type of texture."),
    tcp(4, 1, "default", "FGVCAircraft", "{}, a type of aircraft.", "a photo of an aircraft {}."),
    *(adapter(ratio) for ratio in (0.2, 0.7)),
    adapter(0.5, "vision_wider"),
    *(lora(r, shape) for r, shape in ((1, "default"), (2, "text_wider"), (3, "one_patch"))),
]


@dataclass
class Pair:
    """The two implementations with the same parameters."""

    usual: Any
    trainer: Any
    images: torch.Tensor

    def losses(self) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        expected = self.usual.losses(self.images, LABELS)
        found = self.trainer.losses(self.trainer.encode(self.images), LABELS)
        return expected, found if len(expected) > 1 else {"ce": found["loss"]}

    def parameters(self) -> list[tuple[str, torch.nn.Parameter, torch.nn.Parameter]]:
        return matched(self.usual, self.trainer.learner)


def make_pair(case: Case, dtype: torch.dtype) -> Pair:
    torch.manual_seed(0)
    model = random_clip(7, dtype=dtype, **SHAPES[case.shape])
    cfg = config_of(HERE / f"configs/trainers/{case.trainer}/quickstart.yaml")
    kind = TRAINER_REGISTRY.get(case.trainer)
    cfg.TRAINER[kind.node].merge_from_list([word for pair in case.options.items() for word in pair])
    cfg.DATASET.NAME = case.dataset
    cfg.OPTIM.merge_from_list([word for pair in case.optim.items() for word in pair])
    backbone = Backbone(model.state_dict(), precision="fp64" if dtype == torch.float64 else "fp32")
    trainer = kind.bare(cfg, backbone, SimpleNamespace(classnames=NAMES, template=TEMPLATE))
    trainer.learner.to(dtype)
    pair = Pair(case.usual(model, NAMES, **case.usual_options), trainer, random_images(model, 3))
    with torch.no_grad():
        for _, usual, ours in pair.parameters():
            usual.copy_(torch.randn_like(usual) * 0.2)
            ours.copy_(usual)
    return pair


@pytest.mark.parametrize("dtype, atol, rtol", [(torch.float32, 1e-5, 1e-4), (torch.float64, 1e-9, 1e-9)])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_losses_logits_and_gradients(case, dtype, atol, rtol):
    pair = make_pair(case, dtype)
    expected, found = pair.losses()
    assert expected.keys() == found.keys()
    for term in expected:
        torch.testing.assert_close(found[term], expected[term], atol=atol, rtol=rtol, msg=lambda m, t=term: f"{t}: {m}")
    torch.testing.assert_close(pair.trainer.model_inference(pair.images), pair.usual(pair.images), atol=atol, rtol=0)
    sum(expected.values()).backward()
    sum(found.values()).backward()
    for name, usual, ours in pair.parameters():
        assert usual.grad is not None and ours.grad is not None and usual.grad.norm() > 0, name
        assert (ours.grad - usual.grad).norm() <= rtol * usual.grad.norm(), name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_three_steps_of_its_own_optimiser(case):
    pair = make_pair(case, torch.float64)
    optimisers = [build_optimizer(each, pair.trainer.cfg.OPTIM) for each in (pair.usual, pair.trainer.learner)]
    for _ in range(3):
        for losses, optimiser in zip(pair.losses(), optimisers, strict=True):
            optimiser.zero_grad()
            sum(losses.values()).backward()
            optimiser.step()
    for name, usual, ours in pair.parameters():
        torch.testing.assert_close(ours, usual, atol=1e-9, rtol=1e-9, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("case", [kgcoop(4, "a photo of a"), lora(2)], ids=lambda case: case.name)
def test_it_starts_where_the_paper_says(case):
    model = random_clip(7)
    cfg = config_of(HERE / f"configs/trainers/{case.trainer}/quickstart.yaml")
    kind = TRAINER_REGISTRY.get(case.trainer)
    dataset = SimpleNamespace(classnames=NAMES, template=TEMPLATE)
    torch.manual_seed(1)
    trainer = kind.bare(cfg, Backbone(model.state_dict(), precision="fp32"), dataset)
    for name, parameter in case.usual(model, NAMES).named_parameters():
        ours = dict(trainer.learner.named_parameters())[name]
        if name.endswith("w_lora_A"):
            assert 0 < ours.abs().max() <= ours.shape[1] ** -0.5, "Kaiming-uniform with a = √5"
        else:
            torch.testing.assert_close(ours, parameter, atol=0, rtol=0)


def test_lora_takes_the_public_codes_file(make_config, tmp_path):
    trainer = seeded(make_config("CLIPLoRA"))
    flat = {k: torch.randn_like(v) for k, v in trainer.learner.state_dict().items()}
    nested: dict[str, dict[str, dict[str, torch.Tensor]]] = {}
    for key, value in flat.items():
        layer, product, weight = key.split(".")
        nested.setdefault(layer, {}).setdefault(product, {})[weight] = value
    file = tmp_path / "lora_weights.pt"
    torch.save({"weights": nested, "metadata": {"r": 2, "alpha": 1, "encoder": "both"}}, file)
    trainer.load_model(str(file))
    assert all(torch.equal(v, flat[k]) for k, v in trainer.learner.state_dict().items())


@pytest.mark.parametrize(
    "position, blocks",
    [
        ("all", range(12)),
        ("bottom", range(4)),
        ("mid", range(4, 8)),
        ("up", range(8, 12)),
        ("half-bottom", range(6)),
        ("half-up", range(6, 12)),
        ("top3", range(9, 12)),
    ],
)
def test_lora_positions_of_twelve_blocks(position, blocks):
    backbone = Backbone(random_clip(0, text_layers=12, vision_layers=12).state_dict(), precision="fp32")
    options = {"encoder": "vision", "params": ["q", "out"], "rank": 1, "alpha": 1.0, "dropout": 0.0}
    learner = CLIPLoRALearner(backbone, NAMES, position=position, template="a photo of a", **options)
    adapters = learner.adapters()
    assert list(adapters.vision) == list(blocks) and not adapters.text
    assert set(learner.state_dict()) == {
        f"layer_{i}.{name}.w_lora_{x}" for i in range(len(blocks)) for name in ("q_proj", "proj") for x in "AB"
    }


def test_gaussian_average_of_a_resumed_run_is_that_of_an_unbroken_one(make_config):
    """And both are the oracle's average of the prompts after each epoch."""
    options = ("OPTIM.MAX_EPOCH", 3, "TRAINER.PROMPTSRC.GPA_MEAN", 2.0)
    whole = seeded(make_config("PromptSRC", *options, out="whole"))
    states, on_epoch_end = [], whole.on_epoch_end

    def noted() -> None:
        states.append(tensors(whole))
        on_epoch_end()

    whole.on_epoch_end = noted
    whole.train()
    average = successors.gaussian_average(states, 2.0, 1.0)
    for key, value in tensors(whole).items():
        torch.testing.assert_close(value, average[key], atol=1e-7, rtol=1e-6)
    assert not any(torch.equal(value, states[-1][key]) for key, value in average.items())

    half = seeded(make_config("PromptSRC", *options, out="half"))
    train_into_the_second_epoch(half)
    rest = seeded(make_config("PromptSRC", *options, out="half"))
    rest.train()
    assert rest.start_epoch == 1
    assert all(torch.equal(value, tensors(whole)[key]) for key, value in tensors(rest).items())
