"""Class features are kept exactly as long as nothing that they depend on changes, and never without their gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dassl.engine import build_trainer
from dassl.utils import set_random_seed
from prompted_clip import Prompts, text_prompts
from trainers.common.cached_features import CachedFeatures
from trainers.common.encoded import learner_logits
from trainers.common.learner import PromptLearner
from trainers.vpt import VPT


class Adapters(PromptLearner):
    """What trains sits beside a block of the text tower; there are no prompts at all."""

    def __init__(self, backbone, classnames, detached=False):
        super().__init__()
        self.classes = text_prompts(classnames, context_length=backbone.spec.context_length)
        self.shift = nn.Parameter(torch.zeros(backbone.spec.text_width))
        self.register_buffer("scale", torch.ones(()))
        shift = (lambda: self.shift.detach()) if detached else (lambda: self.shift)
        backbone.text.transformer.blocks[1].register_forward_hook(lambda _, args, out: out + self.scale * shift())

    def forward(self, image_features=None):
        return Prompts()


class WithAdapters(VPT):
    """A trainer of `Adapters`."""

    def build_learner(self, node, classnames):
        return Adapters(self.backbone, classnames)


@pytest.fixture
def adapted(make_config):
    set_random_seed(1)
    trainer = WithAdapters(make_config("VPT", "OPTIM.WARMUP_EPOCH", -1))
    trainer.batch_idx, trainer.num_batches = 0, 2
    trainer.set_model_mode("train")
    return trainer


def direct(trainer, images):
    return learner_logits(trainer.backbone, trainer.learner, images)


def test_adapters_in_the_text_tower_get_their_gradients(adapted):
    for batch in list(adapted.train_loader_x)[:2]:
        images, labels, _ = adapted.parse_batch_train(batch)
        adapted.model_zero_grad()
        nn.functional.cross_entropy(direct(adapted, images), labels).backward()
        expected = adapted.learner.shift.grad.clone()
        before = adapted.learner.shift.detach().clone()
        adapted.forward_backward(batch)
        assert expected.norm() > 0
        torch.testing.assert_close(adapted.learner.shift.grad, expected, atol=0, rtol=0)
        assert not torch.equal(adapted.learner.shift, before)


@torch.no_grad()
def test_the_test_sees_what_was_trained(adapted):
    images = torch.randn(3, 3, 32, 32)
    first = adapted.model_inference(images)
    assert torch.equal(first, direct(adapted, images))
    with torch.enable_grad():
        adapted.forward_backward(next(iter(adapted.train_loader_x)))
    adapted.set_model_mode("test")
    second = adapted.model_inference(images)
    assert torch.equal(second, direct(adapted, images)) and not torch.equal(second, first)
    adapted.learner.scale.mul_(3)  # a buffer that the training may change
    third = adapted.model_inference(images)
    assert torch.equal(third, direct(adapted, images)) and not torch.equal(third, second)
    adapted.learner.load_state_dict({k: torch.zeros_like(v) for k, v in adapted.learner.state_dict().items()})
    assert torch.equal(adapted.model_inference(images), direct(adapted, images))


def counted(trainer, monkeypatch):
    """The passes of the text tower, as a list that grows."""
    passes = []
    encode = trainer.backbone.encode_text
    monkeypatch.setattr(
        trainer.backbone, "encode_text", lambda *args, **options: passes.append(1) or encode(*args, **options)
    )
    return passes


def test_a_fixed_text_is_encoded_once_per_epoch_and_test(make_config, monkeypatch):
    set_random_seed(1)
    trainer = build_trainer(make_config("VPT", "DATASET.NUM_SHOTS", 16, "OPTIM.MAX_EPOCH", 2))
    passes = counted(trainer, monkeypatch)
    trainer.train()
    assert trainer.num_batches > 4 and len(trainer.test_loader) > 1
    assert len(passes) == 3  # two epochs and the test


def test_a_method_without_training_encodes_its_text_once_per_test(make_config, monkeypatch):
    trainer = build_trainer(make_config("ZeroshotCLIP"))
    passes = counted(trainer, monkeypatch)
    trainer.test()
    assert len(trainer.test_loader) > 1 and len(passes) == 1


def test_learned_text_is_encoded_at_every_step_and_once_per_test(make_config, monkeypatch):
    set_random_seed(1)
    trainer = build_trainer(make_config("CoOp", "DATASET.NUM_SHOTS", 16))
    passes = counted(trainer, monkeypatch)
    trainer.train()
    assert len(passes) == trainer.num_batches + 1


def test_a_change_behind_autograds_back_is_seen_by_the_next_epoch_and_test(make_config):
    class Detached(WithAdapters):
        def build_learner(self, node, classnames):
            return Adapters(self.backbone, classnames, detached=True)

    trainer = Detached(make_config("VPT"))
    images = torch.randn(2, 3, 32, 32)
    for mode in ("train", "test"):
        trainer.set_model_mode(mode)
        trainer.learner.shift.data += 1  # no version is raised
        with torch.set_grad_enabled(mode == "train"):
            assert torch.equal(trainer.model_inference(images), direct(trainer, images))


# ---- against computing anew each time


class Parts(nn.Module):
    """A parameter that trains, one that does not, a buffer."""

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.ones(2))
        self.b = nn.Parameter(torch.ones(2), requires_grad=False)
        self.register_buffer("c", torch.ones(2))


STEPS = st.lists(st.sampled_from(["a", "b", "c", "recorded", "plain", "owner"]), max_size=12)


@settings(deadline=None)
@given(steps=STEPS, used=st.sets(st.sampled_from("abc")))
def test_kept_features_are_those_of_now(steps, used):
    parts, cache, owner = Parts(), CachedFeatures(), [1.0]

    def compute():
        return torch.zeros(2) + owner[0] + sum(getattr(parts, name) for name in used)

    for number, step in enumerate(steps, start=2):
        if step in ("a", "b", "c"):
            with torch.no_grad():
                getattr(parts, step).add_(number)
        elif step == "owner":
            owner = [float(number)]
        else:
            with torch.set_grad_enabled(step == "recorded"):
                found, expected = cache.get(compute, [parts], (owner,)), compute()
            assert torch.equal(found, expected) and found.requires_grad == expected.requires_grad


def test_nothing_is_computed_twice_that_was_kept():
    parts, cache, calls = Parts(), CachedFeatures(), []

    def compute():
        calls.append(1)
        return parts.b * 2

    for _ in range(3):  # features that nothing trains: kept over the steps of what does
        cache.get(compute, [parts], ())
        with torch.no_grad():
            parts.a.add_(1)
            cache.get(compute, [parts], ())
    assert len(calls) == 1
    cache.clear()
    cache.get(compute, [parts], ())
    assert len(calls) == 2
