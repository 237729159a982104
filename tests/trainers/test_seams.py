"""What a method may differ in: losses by name, a head, frozen features, hooks, rates, rows, adapters, views."""

from __future__ import annotations

import json
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dassl.utils import set_random_seed
from prompted_clip import Adapters, BlockAdapter, Prompts, text_prompts
from tests.trainers.test_registry import one_batch, train_into_the_second_epoch
from trainers.common.base import PromptTrainer
from trainers.common.frozen import Frozen, fill, read_descriptions
from trainers.common.learner import PromptLearner
from trainers.coop import CoOp


def seeded(kind, cfg):
    set_random_seed(1)
    return kind(cfg)


@pytest.fixture
def make(make_config):
    """make(trainer class, *KEY VALUE) → that trainer, under CoOp's quickstart."""
    return lambda kind, *options, out="run": seeded(kind, make_config("CoOp", *options, out=out))


# ---- losses by name


def test_the_default_step_is_plain_cross_entropy_bit_for_bit(make):
    trainer, plain = make(CoOp), make(CoOp, out="plain")
    batch = one_batch(trainer)
    summary = trainer.forward_backward(batch)
    loss = F.cross_entropy(plain.model_inference(batch["img"]), batch["label"])
    plain.optim.zero_grad()
    loss.backward()
    plain.optim.step()
    assert summary["loss"] == loss.item() and set(summary) == {"loss", "acc"}
    assert torch.equal(trainer.learner.ctx, plain.learner.ctx)


class Two(CoOp):
    def losses(self, encoded, labels):
        return {"ce": F.cross_entropy(encoded.logits, labels), "far": 0.5 * encoded.text.square().mean()}


def test_terms_are_summed_for_the_step_and_reported_by_name(make):
    trainer = make(Two)
    batch = one_batch(trainer)
    before = trainer.learner.ctx.detach().clone()
    summary = trainer.forward_backward(batch)
    assert summary["loss"] == pytest.approx(summary["ce"] + summary["far"], rel=1e-6) and summary["far"] > 0
    grad = trainer.learner.ctx.grad.clone()
    trainer.learner.ctx.data.copy_(before)
    losses = trainer.losses(trainer.encode(batch["img"]), batch["label"])
    (expected,) = torch.autograd.grad(losses["ce"] + losses["far"], [trainer.learner.ctx])
    torch.testing.assert_close(grad, expected)
    trainer.train()
    assert trainer._run_state.losses.meters["far"].count == len(trainer.train_loader_x)


# ---- the step's hooks


class Projected(Two):
    """Two passes on one graph, as gradient surgery needs them; with equal terms the second changes nothing."""

    def losses(self, encoded, labels):
        loss = F.cross_entropy(encoded.logits, labels)
        return {"ce": loss, "kl": loss.clone()}

    def backward(self, losses):
        (first,) = torch.autograd.grad(self.scaled(losses["kl"]), [self.learner.ctx], retain_graph=True)
        (second,) = torch.autograd.grad(self.scaled(losses["ce"]), [self.learner.ctx])
        direction = first / first.norm()
        self.learner.ctx.grad = second if (second * direction).sum() >= 0 else second - second @ direction


def test_backward_may_be_a_methods_own(make):
    trainer, plain = make(Projected), make(CoOp, out="plain")
    batch = one_batch(trainer)
    trainer.forward_backward(batch)
    plain.forward_backward(batch)
    assert torch.equal(trainer.learner.ctx, plain.learner.ctx)


def test_an_epoch_ends_before_its_checkpoint_is_written(make, tmp_path):
    class Ends(CoOp):
        def on_epoch_end(self):
            with torch.no_grad():
                self.learner.ctx.fill_(self.epoch + 1)

    trainer = make(Ends, "OPTIM.MAX_EPOCH", 2, "TRAIN.CHECKPOINT_FREQ", 1)
    trainer.train()
    for epoch in (1, 2):
        state = torch.load(tmp_path / f"run/prompt_learner/model.pth.tar-{epoch}", weights_only=True)["state_dict"]
        assert state["ctx"].unique().tolist() == [epoch]


def test_parameter_groups_have_rates_of_their_own(make):
    class Grouped(CoOp):
        def build_learner(self, node, classnames):
            learner = super().build_learner(node, classnames)
            learner.extra = nn.Parameter(torch.ones(3))
            learner.param_groups = lambda: [{"params": [learner.ctx]}, {"params": [learner.extra], "lr_mult": 6.5}]
            return learner

    trainer = make(Grouped, "OPTIM.LR", 0.002, "OPTIM.WARMUP_EPOCH", 0)
    assert [group["lr"] for group in trainer.optim.param_groups] == pytest.approx([0.002, 0.013])

    class Forgotten(Grouped):
        def build_learner(self, node, classnames):
            learner = super().build_learner(node, classnames)
            learner.param_groups = lambda: [{"params": [learner.ctx]}]
            return learner

    with pytest.raises(ValueError, match="must hold each of its parameters, once"):
        make(Forgotten, out="forgotten")


def rates_of(trainer):
    """The learning rate of every step of a run."""
    rates, step = [], trainer.forward_backward

    def noted(batch):
        rates.append(trainer.get_current_lr())
        return step(batch)

    trainer.forward_backward = noted
    trainer.train()
    return rates


PER_STEP = ("OPTIM.LR_PER", "step", "OPTIM.LR_MIN", 1e-4, "OPTIM.WARMUP_EPOCH", 0, "OPTIM.LR", 0.01)


def test_a_run_of_so_many_steps_with_a_rate_for_each(make):
    trainer = make(CoOp, *PER_STEP, "OPTIM.MAX_STEPS", 5, "OPTIM.MAX_EPOCH", 99)  # 2 steps an epoch
    rates = rates_of(trainer)
    assert trainer.max_epoch == 3 and len(trainer.history) == 3
    expected = [1e-4 + (0.01 - 1e-4) / 2 * (1 + math.cos(math.pi * i / 5)) for i in range(5)]
    assert rates == pytest.approx(expected, rel=1e-9)


def test_without_steps_a_rate_per_step_runs_over_all_epochs(make):
    rates = rates_of(make(CoOp, *PER_STEP, "OPTIM.MAX_EPOCH", 2))
    expected = [1e-4 + (0.01 - 1e-4) / 2 * (1 + math.cos(math.pi * i / 4)) for i in range(4)]
    assert rates == pytest.approx(expected, rel=1e-9)


def test_a_run_of_steps_goes_on_as_if_it_had_not_been_stopped(make):
    options = (*PER_STEP, "OPTIM.MAX_STEPS", 5)
    whole = make(CoOp, *options, out="whole")
    whole.train()
    half = make(CoOp, *options, out="half")
    train_into_the_second_epoch(half)
    rest = make(CoOp, *options, out="half")
    rest.train()
    assert rest.start_epoch == 1 and torch.equal(rest.learner.ctx, whole.learner.ctx)


def test_views_are_asked_for_and_handed_over(make):
    class Views(CoOp):
        views = 2

        def losses(self, encoded, labels):
            assert len(encoded.views) == 2 and encoded.images is encoded.views[0]
            self.other = self.frozen.image(encoded.views[1])
            return super().losses(encoded, labels)

    with pytest.raises(ValueError, match="K_TRANSFORMS is 1: CoOp needs 2 views"):
        make(Views)
    trainer = make(Views, "DATALOADER.K_TRANSFORMS", 2, out="two")
    batch = one_batch(trainer)
    trainer.forward_backward(batch)
    torch.testing.assert_close(trainer.other, trainer.backbone.encode_image(batch["img"][1]))


# ---- a head, rows, adapters


class Head(PromptLearner):
    """A weight per class beside the cosines of fixed texts, used for the classes of training alone."""

    class_bound = ("rows",)
    serves_other_classes = True
    reads_rows = True

    def __init__(self, backbone, classnames):
        super().__init__()
        self.rows = nn.Parameter(torch.zeros(len(classnames)))
        self.ctx = nn.Parameter(torch.zeros(2, backbone.spec.vision_width))
        self.classes = text_prompts(list(classnames), context_length=backbone.spec.context_length)

    def forward(self, image_features=None):
        return Prompts(vision=self.ctx)

    def logits(self, scale, features, *, known_classes):
        self.seen = features
        cosines = super().logits(scale, features, known_classes=known_classes)
        return cosines + self.rows if known_classes else cosines


class Headed(PromptTrainer):
    node = "COOP"

    def build_learner(self, node, classnames):
        return Head(self.backbone, classnames)


def test_a_head_of_its_own_that_other_classes_do_without(make, tmp_path):
    trainer = make(Headed)
    trainer.learner.rows.data.copy_(torch.arange(5.0))
    images = one_batch(trainer)["img"]
    logits = trainer.model_inference(images)
    features = trainer.learner.seen
    assert features.image_rows.prompts.shape == (4, 2, trainer.backbone.spec.vision_width)
    plain = trainer.backbone.logits(features.image, features.text)
    torch.testing.assert_close(logits, plain + torch.arange(5.0))
    trainer.save_model(0, str(tmp_path / "saved"))

    same = make(Headed, out="same")
    same.load_model(str(tmp_path / "saved"))
    assert same.known_classes and torch.equal(same.learner.rows, torch.arange(5.0))
    other = make(Headed, "DATASET.SUBSAMPLE_CLASSES", "new", out="other")
    other.learner.ctx.data.fill_(3)
    other.load_model(str(tmp_path / "saved"))
    assert not other.known_classes and not other.learner.rows.any() and not other.learner.ctx.any()
    found = other.model_inference(images)
    torch.testing.assert_close(found, other.backbone.logits(other.learner.seen.image, other.learner.seen.text))

    bound = make(Headed, "DATASET.SUBSAMPLE_CLASSES", "new", out="bound")
    bound.learner.serves_other_classes = False
    with pytest.raises(ValueError, match="it knows them by number"):
        bound.load_model(str(tmp_path / "saved"))


class Adapted(PromptLearner):
    """A branch in the text tower under fixed texts."""

    def __init__(self, backbone, classnames):
        super().__init__()
        self.branch = nn.Linear(backbone.spec.text_width, backbone.spec.text_width)
        nn.init.zeros_(self.branch.weight)
        nn.init.zeros_(self.branch.bias)
        self.classes = text_prompts(list(classnames), context_length=backbone.spec.context_length)

    def forward(self, image_features=None):
        return Prompts()

    def adapters(self):
        return Adapters(text={1: BlockAdapter(branch=self.branch)})


@pytest.mark.parametrize("options", [(), ("MODEL.TEXT_CHUNK", 2), ("MODEL.RECOMPUTE", True)])
def test_adapters_in_the_text_tower_train_though_there_are_no_text_prompts(options, make):
    class Branched(PromptTrainer):
        node = "COOP"

        def build_learner(self, node, classnames):
            return Adapted(self.backbone, classnames)

    trainer = make(Branched, *options, "OPTIM.WARMUP_EPOCH", 0, "OPTIM.LR", 1.0)
    images = one_batch(trainer)["img"]
    with torch.no_grad():
        before = trainer.model_inference(images)
        assert torch.equal(before, make(Branched, *options, out="again").model_inference(images)), "the same"
    trainer.forward_backward(one_batch(trainer))
    assert trainer.learner.branch.weight.abs().sum() > 0
    with torch.no_grad():
        assert not torch.equal(trainer.model_inference(images), before), "no feature of the time before is kept"


# ---- frozen features


def test_frozen_image_features_are_those_without_prompts_and_computed_once(make):
    trainer = make(CoOp)
    images, calls = one_batch(trainer)["img"], []
    encode = trainer.backbone.encode_image
    trainer.backbone.encode_image = lambda *a, **k: calls.append(1) or encode(*a, **k)
    first = trainer.frozen.image(images)
    assert trainer.frozen.image(images) is first and len(calls) == 1 and not first.requires_grad
    assert torch.equal(first, encode(images))
    images.add_(1)
    assert not torch.equal(trainer.frozen.image(images), first) and len(calls) == 2, "changed in place"


def test_frozen_text_features(make):
    trainer = make(CoOp, "MODEL.TEXT_CHUNK", 2)
    backbone, names = trainer.backbone, ["cat", "golden_retriever", "dog"]
    templates = ["a photo of a {}.", "art of the {}."]
    found = {kind: Frozen(backbone).text(fill(templates, names), kind) for kind in ("mean", "normalised mean", "none")}
    length = backbone.spec.context_length
    texts = [[t.format(n.replace("_", " ")) for n in names] for t in templates]
    plain = torch.stack([backbone.encode_text(text_prompts(t, context_length=length)) for t in texts], dim=1)
    torch.testing.assert_close(found["none"], plain)
    torch.testing.assert_close(found["mean"], plain.mean(1))
    torch.testing.assert_close(found["normalised mean"], F.normalize(plain, dim=-1).mean(1))
    torch.testing.assert_close(trainer.frozen.text(fill(templates, names)), found["mean"])
    assert trainer.frozen.chunk == 2 and trainer.frozen.text(fill(templates, names)) is trainer.frozen.text(
        fill(templates, names)
    )


def test_frozen_text_features_that_cannot_be(make):
    frozen = make(CoOp).frozen
    for texts, told in (([], "without a text"), ([[]], "without a text"), ([["a"], ["b", "c"]], "1 to 2 texts")):
        with pytest.raises(ValueError, match=told):
            frozen.text(texts)
    with pytest.raises(ValueError, match="reduce is 'median'"):
        frozen.text([["a"]], "median")


def test_descriptions_of_classes(tmp_path):
    file = tmp_path / "d.json"
    file.write_text(json.dumps({"golden retriever": ["A.", "B."], "cat": ["C."], "dog": []}))
    assert read_descriptions(file, ["golden_retriever", "cat"]) == [["A.", "B."], ["C."]]
    for name in ("dog", "bird"):
        with pytest.raises(ValueError, match=f"no sentences for the class '{name}'"):
            read_descriptions(file, ["cat", name])
    with pytest.raises(FileNotFoundError, match="no file of descriptions"):
        read_descriptions(tmp_path / "none.json", ["cat"])
    for content, told in (("[]", "holds a list"), ("{", "cannot be read as JSON"), ("[" * 100_000, "cannot be read")):
        file.write_text(content)
        with pytest.raises(ValueError, match=told):
            read_descriptions(file, ["cat"])
