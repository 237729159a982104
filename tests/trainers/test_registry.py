"""What every registered trainer must do; none is named here."""

import json

import pytest
import torch

import trainers
from dassl.engine import TRAINER_REGISTRY, build_trainer
from dassl.engine.run_record import write_run_record
from dassl.utils import set_random_seed
from prompted_clip.precision import PRECISIONS
from trainers.common.base import PromptTrainer

NAMES = sorted(
    name for name in TRAINER_REGISTRY.registered_names() if issubclass(TRAINER_REGISTRY.get(name), PromptTrainer)
)


def learns(name):
    """Whether the method trains anything."""
    return TRAINER_REGISTRY.get(name).train is PromptTrainer.train


LEARNING = [name for name in NAMES if learns(name)]


def seeded(cfg):
    set_random_seed(1)
    return build_trainer(cfg)


def tensors(trainer):
    return {k: v.clone() for k, v in trainer.learner.state_dict().items()}


def one_batch(trainer):
    trainer.batch_idx, trainer.num_batches = 0, 2
    return next(iter(trainer.train_loader_x))


def train_into_the_second_epoch(trainer):
    """Train until the power fails at the end of the second epoch, before anything of it is written."""
    after_epoch = trainer.after_epoch

    def power_failure():
        if trainer.epoch == 1:
            raise RuntimeError("power failure")
        after_epoch()

    trainer.after_epoch = power_failure
    with pytest.raises(RuntimeError, match="power failure"):
        trainer.train()


@pytest.mark.parametrize("name", NAMES)
def test_a_run_gives_a_record(name, make_config):
    trainer = seeded(make_config(name))
    trainer.train()
    record = json.loads(write_run_record(trainer, config="quickstart").read_text())
    assert record["status"] == "complete" and record["method"] == name
    assert 0 <= record["metrics"]["test"]["accuracy"] <= 100


@pytest.mark.parametrize("name", LEARNING)
def test_a_step_moves_every_parameter_of_the_learner_and_nothing_else(name, make_config):
    trainer = seeded(make_config(name, "OPTIM.WARMUP_EPOCH", -1, "OPTIM.WEIGHT_DECAY", 0.0))
    before, frozen = tensors(trainer), {k: v.clone() for k, v in trainer.backbone.state_dict().items()}
    trainer.set_model_mode("train")
    for _ in range(2):  # a layer may start at zero, and pass its gradient on from the second step
        summary = trainer.forward_backward(one_batch(trainer))
    assert summary["loss"] > 0 and 0 <= summary["acc"] <= 100
    moved = {k for k, v in tensors(trainer).items() if not torch.equal(v, before[k])}
    assert moved == before.keys()
    assert all(torch.equal(v, frozen[k]) for k, v in trainer.backbone.state_dict().items())
    assert not any(p.requires_grad for p in trainer.backbone.parameters())
    optimised = {id(p) for group in trainer.optim.param_groups for p in group["params"]}
    assert optimised == {id(p) for p in trainer.learner.parameters()}
    assert all(p.dtype == torch.float32 for p in trainer.learner.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_run(name, make_config):
    runs = []
    for out in ("first", "second"):
        trainer = seeded(make_config(name, out=out))
        trainer.train()
        runs.append((trainer.results["test"], getattr(trainer, "learner", None) and tensors(trainer)))
    (metrics, state), (metrics_again, state_again) = runs
    assert metrics == metrics_again
    assert state.keys() == state_again.keys()
    assert all(torch.equal(state[k], state_again[k]) for k in state)


@pytest.mark.parametrize("name", LEARNING)
def test_a_checkpoint_holds_the_learner_and_serves_other_class_names(name, make_config, tmp_path):
    trainer = seeded(make_config(name))
    trainer.train()
    (path,) = tmp_path.glob("run/*/model.pth.tar-1")
    content = torch.load(path, weights_only=True)
    assert content["state_dict"].keys() == trainer.learner.state_dict().keys()
    assert content["optimizer"] is not None

    other = seeded(make_config(name, "DATASET.SUBSAMPLE_CLASSES", "new", out="new"))
    assert other.dm.dataset.classnames != trainer.dm.dataset.classnames
    assert not all(torch.equal(v, content["state_dict"][k]) for k, v in tensors(other).items())
    other.load_model(str(tmp_path / "run"))
    assert all(torch.equal(v, content["state_dict"][k]) for k, v in tensors(other).items())
    assert other.epoch_loaded == 1
    assert 0 <= other.test() <= 100


@pytest.mark.parametrize("name", LEARNING)
def test_a_released_checkpoint_loads(name, make_config, tmp_path):
    """Released files hold CLIP in half precision and the embedded class names beside the learner."""
    trainer = seeded(make_config(name))
    wanted = {k: torch.randn_like(v) for k, v in tensors(trainer).items()}
    released = {k: v.half() for k, v in wanted.items()}
    prefix = "prompt_learner." if any(k.startswith("prompt_learner.") for k in wanted) else ""
    released[f"{prefix}token_prefix"] = torch.zeros(7, 1, 64).half()
    released[f"{prefix}token_suffix"] = torch.zeros(7, 20, 64).half()
    released["image_encoder.conv1.weight"] = torch.zeros(3).half()
    released["text_encoder.ln_final.weight"] = torch.zeros(3).half()
    released["logit_scale"] = torch.zeros(()).half()
    folder = tmp_path / "released" / trainer.model_name
    folder.mkdir(parents=True)
    torch.save({"state_dict": released, "epoch": 5}, folder / "model.pth.tar-5")
    trainer.load_model(str(tmp_path / "released"), epoch=5)
    for key, value in tensors(trainer).items():
        torch.testing.assert_close(value, wanted[key].half().float(), atol=0, rtol=0)


@pytest.mark.parametrize("name", LEARNING)
def test_checkpoints_that_do_not_fit(name, make_config, tmp_path):
    trainer = seeded(make_config(name))
    state = tensors(trainer)
    key = next(iter(state))
    folder = tmp_path / "bad" / trainer.model_name
    folder.mkdir(parents=True)

    def load(changed):
        torch.save({"state_dict": changed, "epoch": 1}, folder / "model.pth.tar-1")
        trainer.load_model(str(tmp_path / "bad"), epoch=1)

    with pytest.raises(ValueError, match=f"it lacks {key}"):
        load({k: v for k, v in state.items() if k != key})
    with pytest.raises(ValueError, match="which this method does not know"):
        load({**state, "another.tensor": torch.zeros(2)})
    with pytest.raises(ValueError, match=r"has shape \(3, 5\): expected"):
        load({**state, key: torch.zeros(3, 5)})
    with pytest.raises(FileNotFoundError, match=r"model\.pth\.tar-9"):
        trainer.load_model(str(tmp_path / "bad"), epoch=9)
    with pytest.raises(ValueError, match="--model-dir"):
        trainer.load_model("")
    assert all(torch.equal(v, state[k]) for k, v in tensors(trainer).items()), "a refused checkpoint changes nothing"


@pytest.mark.parametrize("name", LEARNING)
def test_a_run_goes_on_where_another_ended(name, make_config):
    whole = seeded(make_config(name, "OPTIM.MAX_EPOCH", 2, out="whole"))
    whole.train()
    half = seeded(make_config(name, "OPTIM.MAX_EPOCH", 2, out="half"))
    train_into_the_second_epoch(half)
    rest = seeded(make_config(name, "OPTIM.MAX_EPOCH", 2, out="half"))
    rest.train()
    assert rest.start_epoch == 1
    assert rest.results == whole.results
    expected = tensors(whole)
    assert all(torch.equal(v, expected[k]) for k, v in tensors(rest).items())


def bad_values():
    """Each of a method's own keys with values of its type that cannot be right."""
    for name in NAMES:
        cfg = TRAINER_REGISTRY.get(name)
        node = defaults()[cfg.node]
        for key, value in node.items():
            bad = (
                ["maybe"] if isinstance(value, bool) else [-1, 10_000] if isinstance(value, int) else ["no such " * 50]
            )
            if key in ("MAX_ITER", "STEPS_PER_SHOT"):  # any large number will do
                bad = [-1]
            for each in bad:
                yield pytest.param(name, f"TRAINER.{cfg.node}.{key}", each, id=f"{name}-{key}-{str(each)[:8]}")


def defaults():
    from yacs.config import CfgNode

    cfg = CfgNode({"TRAINER": CfgNode(), "MODEL": CfgNode()})
    trainers.add_config(cfg)
    return cfg.TRAINER


@pytest.mark.parametrize("name, key, value", list(bad_values()))
def test_bad_values_of_own_keys_are_refused(name, key, value, make_config):
    with pytest.raises(ValueError) as caught:
        build_trainer(make_config(name, key, value))
    assert len(str(caught.value)) > 20 and "\n" not in str(caught.value).strip()


@pytest.mark.parametrize("precision", [p for p in PRECISIONS if p != "fp64"])
@pytest.mark.parametrize("name", LEARNING)
def test_every_precision_trains(name, precision, make_config):
    node = TRAINER_REGISTRY.get(name).node
    trainer = seeded(make_config(name, f"TRAINER.{node}.PREC", precision))
    loss = trainer.forward_backward(one_batch(trainer))["loss"]
    assert loss > 0
    assert all(torch.isfinite(p).all() and p.dtype == torch.float32 for p in trainer.learner.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_images_of_another_size_are_refused(name, make_config):
    with pytest.raises(ValueError, match=r"INPUT.SIZE is \(16, 16\): the backbone .* takes \(32, 32\)"):
        build_trainer(make_config(name, "INPUT.SIZE", (16, 16)))
