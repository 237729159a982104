"""Every learner against the usual implementation: OpenAI's modules, whole sequences, prompts put in by hand."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from bench.baseline import UsualCoCoOp, UsualCoOp, UsualIVLP, UsualMaPLe, UsualVPT
from prompted_clip import Backbone
from tests.stubs import SHAPES, random_clip, random_images
from trainers.cocoop import CoCoOpLearner
from trainers.common.encoded import learner_logits
from trainers.coop import CoOpLearner
from trainers.ivlp import IVLPLearner
from trainers.maple import MultiModalPromptLearner
from trainers.vpt import VPTLearner

NAMES = ["cat", "golden retriever", "a very_long name of a thing", "dog (small)", "cat"]
WORDS = "a photo of a"


@dataclass
class Case:
    """One setting of one method on one stub."""

    usual: Callable[..., Any]
    ours: Callable[..., Any]
    usual_options: dict[str, Any]
    options: dict[str, Any]
    shape: str = "default"

    @property
    def name(self) -> str:
        return "-".join([self.ours.__name__, self.shape, *(str(v) for v in self.options.values())])


def maple(shape: str, n_ctx: int, depth: int, ctx_init: str = WORDS) -> Case:
    options = {"n_ctx": n_ctx, "depth": depth, "ctx_init": ctx_init}
    return Case(UsualMaPLe, MultiModalPromptLearner, options, options, shape)


def coop(position: str, csc: bool, ctx_init: str = "", n_ctx: int = 3) -> Case:
    options = {"n_ctx": n_ctx, "csc": csc, "ctx_init": ctx_init, "position": position}
    return Case(UsualCoOp, CoOpLearner, options, options)


def ivlp(depth_text: int, n_ctx_text: int, depth_vision: int, n_ctx_vision: int, ctx_init: str = WORDS) -> Case:
    options = {
        "n_ctx_text": n_ctx_text,
        "depth_text": depth_text,
        "n_ctx_vision": n_ctx_vision,
        "depth_vision": depth_vision,
        "ctx_init": ctx_init,
    }
    return Case(UsualIVLP, IVLPLearner, options, options)


def cocoop(n_ctx: int, ctx_init: str) -> Case:
    options = {"n_ctx": n_ctx, "ctx_init": ctx_init}
    return Case(UsualCoCoOp, CoCoOpLearner, options, options)


def vpt(n_ctx: int, depth: int) -> Case:
    return Case(UsualVPT, VPTLearner, {"n_ctx": n_ctx, "depth": depth}, dict(n_ctx=n_ctx, depth=depth, template=WORDS))


def layers(shape: str) -> int:
    return min(SHAPES[shape].get("text_layers", 3), SHAPES[shape].get("vision_layers", 3))


CASES = [
    *(maple(shape, 2, depth) for shape in SHAPES for depth in range(1, layers(shape) + 1)),
    *(maple("default", n_ctx, 2) for n_ctx in (1, 3, 4)),
    maple("default", 2, 3, ""),
    maple("default", 6, 2),
    *(coop(position, csc) for position in ("end", "middle", "front") for csc in (False, True)),
    coop("end", True, WORDS),
    coop("middle", False, WORDS),
    coop("front", False, n_ctx=1),
    cocoop(4, WORDS),
    cocoop(3, ""),
    ivlp(3, 2, 3, 2),
    ivlp(1, 4, 0, 0),
    ivlp(3, 4, 0, 0),
    ivlp(2, 3, 1, 2, ""),
    vpt(8, 3),
    vpt(1, 1),
]


@dataclass
class Pair:
    """The two implementations with the same parameters."""

    usual: Any
    learner: Any
    backbone: Backbone
    images: torch.Tensor

    @property
    def labels(self) -> torch.Tensor:
        return torch.tensor([0, 3, 1])

    def logits(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.usual(self.images), learner_logits(self.backbone, self.learner, self.images)

    def parameters(self) -> list[tuple[str, torch.nn.Parameter, torch.nn.Parameter]]:
        return matched(self.usual, self.learner)


def matched(usual: Any, learner: Any) -> list[tuple[str, torch.nn.Parameter, torch.nn.Parameter]]:
    """The parameters of two implementations, by the published names, which the usual one uses as they are."""
    theirs = {name.removeprefix("prompt_learner."): p for name, p in usual.named_parameters()}
    ours = {learner.checkpoint_key(name).removeprefix("prompt_learner."): p for name, p in learner.named_parameters()}
    assert theirs.keys() == ours.keys()
    return [(name, theirs[name], ours[name]) for name in theirs]


def make_pair(case: Case, dtype: torch.dtype) -> Pair:
    torch.manual_seed(0)
    model = random_clip(7, dtype=dtype, **SHAPES[case.shape])
    backbone = Backbone(model.state_dict(), precision="fp64" if dtype == torch.float64 else "fp32")
    pair = Pair(
        case.usual(model, NAMES, **case.usual_options),
        case.ours(backbone, NAMES, **case.options).to(dtype),
        backbone,
        random_images(model, 3),
    )
    with torch.no_grad():
        for _, usual, ours in pair.parameters():
            # larger than at the start of training, so that every prompt is seen in the logits
            usual.copy_(torch.randn_like(usual) * 0.2)
            ours.copy_(usual)
    return pair


@pytest.mark.parametrize("dtype, atol, rtol", [(torch.float32, 1e-5, 1e-4), (torch.float64, 1e-9, 1e-9)])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_logits_and_gradients(case, dtype, atol, rtol):
    pair = make_pair(case, dtype)
    expected, found = pair.logits()
    torch.testing.assert_close(found, expected, atol=atol, rtol=0)
    F.cross_entropy(expected, pair.labels).backward()
    F.cross_entropy(found, pair.labels).backward()
    for name, usual, ours in pair.parameters():
        assert usual.grad is not None and ours.grad is not None and usual.grad.norm() > 0, name
        assert (ours.grad - usual.grad).norm() <= rtol * usual.grad.norm(), name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_three_sgd_steps(case):
    pair = make_pair(case, torch.float64)
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4}
    optimisers = [torch.optim.SGD(each.parameters(), **options) for each in (pair.usual, pair.learner)]
    for _ in range(3):
        for logits, optimiser in zip(pair.logits(), optimisers, strict=True):
            optimiser.zero_grad()
            F.cross_entropy(logits, pair.labels).backward()
            optimiser.step()
    for name, usual, ours in pair.parameters():
        torch.testing.assert_close(ours, usual, atol=1e-9, rtol=1e-9, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_initial_context_comes_from_the_words(case):
    words = case.options.get("ctx_init", "")
    n_ctx = case.options.get("n_ctx", case.options.get("n_ctx_text", 0))
    model = random_clip(7, **SHAPES[case.shape])
    torch.manual_seed(3)
    learner = case.ours(Backbone(model.state_dict(), precision="fp32"), NAMES, **case.options)
    torch.manual_seed(3)
    usual = {
        k.removeprefix("prompt_learner."): v
        for k, v in case.usual(model, NAMES, **case.usual_options).named_parameters()
    }
    if words and n_ctx <= 4:
        torch.testing.assert_close(learner.ctx, usual["ctx"], atol=0, rtol=0)
    elif hasattr(learner, "ctx"):
        assert 0.01 < learner.ctx.std() < 0.03
