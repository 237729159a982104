"""What all trainers share: which model is loaded and for which classes, and the step under a scaler."""

import shutil

import pytest
import torch
from torch.nn import functional as F

from dassl.engine import TRAINER_REGISTRY, build_trainer
from dassl.utils import set_random_seed
from trainers.common.base import PromptTrainer
from trainers.coop import CoOp

NAMES = sorted(n for n in TRAINER_REGISTRY.registered_names() if issubclass(TRAINER_REGISTRY.get(n), PromptTrainer))
SAVING = [n for n in NAMES if TRAINER_REGISTRY.get(n).build_model.__qualname__ != "ZeroshotCLIP.build_model"]


def trained(cfg):
    set_random_seed(1)
    trainer = build_trainer(cfg)
    trainer.train()
    return trainer


def same(trainer, other):
    one, two = trainer.learner.state_dict(), other.learner.state_dict()
    return all(torch.equal(one[k], two[k]) for k in one.keys() | two.keys())


@pytest.mark.parametrize("name", SAVING)
def test_the_folder_the_inner_folder_and_the_file(name, make_config, tmp_path):
    first = trained(make_config(name))
    inner = tmp_path / "run" / first.model_name
    (saved,) = inner.glob("model.pth.tar-*")
    saved = saved.rename(inner / "model.pth.tar-5")
    (inner / "checkpoint").unlink()  # as released weights come
    for given in (tmp_path / "run", inner, saved):
        other = build_trainer(make_config(name, out="other"))
        assert not same(first, other)
        other.load_model(str(given))
        assert same(first, other)


def test_what_is_no_checkpoint_of_a_method(make_config, tmp_path, weights):
    trainer = build_trainer(make_config("MaPLe"))
    with pytest.raises(ValueError, match=r"clip\.pt: it is no checkpoint of a method: it has no state_dict"):
        trainer.load_model(str(weights))
    with pytest.raises(FileNotFoundError, match=r"there is neither a folder nor a file .*nowhere"):
        trainer.load_model(str(tmp_path / "nowhere"))
    state = {k: torch.full_like(v, float("nan")) for k, v in trainer.learner.state_dict().items()}
    before = {k: v.clone() for k, v in trainer.learner.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 1}, tmp_path / "model.pth.tar-1")
    with pytest.raises(
        ValueError, match=r"tar-1: The checkpoint's tensor prompt_learner\.ctx has values that are not fin"
    ):
        trainer.load_model(str(tmp_path / "model.pth.tar-1"))
    assert all(torch.equal(v, before[k]) for k, v in trainer.learner.state_dict().items())


@pytest.mark.parametrize("name", SAVING)
def test_the_classes_of_training_and_of_the_test(name, make_config, own, tmp_path, capsys):
    first = trained(make_config(name, *own("cat", "dog", "ant")))
    capsys.readouterr()

    def told(*names, out):
        other = build_trainer(make_config(name, *own(*names), out=out))
        other.load_model(str(tmp_path / "run"))
        return capsys.readouterr().out

    assert "Trained on" not in told("cat", "dog", "ant", out="same")
    if first.learner.class_bound:
        for names in (("ant", "dog", "cat"), ("fox", "bee", "cow"), ("cat", "dog")):
            with pytest.raises(
                ValueError, match=r"model\.pth\.tar-\d: It was trained on other classes, or in another ord"
            ):
                told(*names, out=f"other-{names[0]}{len(names)}")
    else:
        assert "Trained on the same 3 classes in another order" in told("ant", "dog", "cat", out="order")
        assert "Trained on 3 classes, tested on 2 others." in told("fox", "bee", out="others")
        assert "of the 2 tested, 1 are among them." in told("cat", "bee", out="some")


def test_base_to_new(make_config, tmp_path, capsys):
    trained(make_config("MaPLe"))
    new = build_trainer(make_config("MaPLe", "DATASET.SUBSAMPLE_CLASSES", "new", out="new"))
    new.load_model(str(tmp_path / "run"))
    assert "Trained on 5 classes, tested on 5 others: base → new.\n" in capsys.readouterr().out


def test_a_context_per_class_is_tied_to_the_classes(make_config, own, tmp_path):
    csc = ["TRAINER.COOP.CSC", True]
    first = trained(make_config("CoOp", *csc))
    assert (
        first.learner.class_bound == ("ctx",)
        and set(first.learner.class_bound) <= dict(first.learner.named_parameters()).keys()
    )
    new = build_trainer(make_config("CoOp", *csc, "DATASET.SUBSAMPLE_CLASSES", "new", out="new"))
    with pytest.raises(ValueError, match=r"class 0 was 'zero' and is 'five'\), and it knows them by number \(ctx\)"):
        new.load_model(str(tmp_path / "run"))
    # a checkpoint without names: of these classes as far as its shapes tell
    path = tmp_path / "run" / "prompt_learner" / "model.pth.tar-1"
    content = torch.load(path, weights_only=True)
    del content["classnames"]
    torch.save(content, path)
    new.load_model(str(tmp_path / "run"))
    fewer = build_trainer(make_config("CoOp", *csc, *own("cat", "dog"), out="fewer"))
    with pytest.raises(
        ValueError, match=r"ctx has shape \(5, .*\): expected \(2, .*\). The number of classes, N_CTX or the"
    ):
        fewer.load_model(str(tmp_path / "run"))


@pytest.mark.parametrize("name", SAVING)
def test_what_is_tied_to_the_classes_is_what_has_their_number(name, make_config, own):
    names = [f"number {i}" for i in range(29)]  # no width or layer counts 29
    learner = build_trainer(make_config(name, *own(*names))).learner
    assert {k for k, p in learner.named_parameters() if 29 in p.shape} == set(learner.class_bound)


class OwnStep(CoOp):
    """A step of its own, as docs/add_a_method.md has it."""

    def forward_backward(self, batch):
        images, labels, _ = self.parse_batch_train(batch)
        logits = self.model_inference(images)
        loss = F.cross_entropy(logits, labels) + 0.1 * self.learner.ctx.square().mean()
        self.model_backward_and_update(loss)
        return {"loss": loss.item()}


@pytest.mark.parametrize("kind", [CoOp, OwnStep])
def test_a_scaler_changes_nothing_but_the_backward_pass(kind, make_config):
    learners = []
    for scaler in (None, torch.amp.GradScaler("cpu", init_scale=2.0**12)):
        set_random_seed(1)
        trainer = kind(make_config("CoOp", "OPTIM.WARMUP_EPOCH", -1, out=f"{scaler is None}"))
        trainer.scaler, trainer.batch_idx, trainer.num_batches = scaler, 0, 9
        gradients = []
        trainer.learner.ctx.register_hook(lambda gradient, kept=gradients: kept.append(gradient.norm().item()))
        for batch in list(trainer.train_loader_x)[:2]:
            trainer.forward_backward(batch)
        learners.append((trainer.learner.ctx.detach().clone(), gradients))
    (plain, gradients), (scaled, scaled_gradients) = learners
    torch.testing.assert_close(scaled, plain, atol=1e-6, rtol=1e-4)
    assert [b / a for a, b in zip(gradients, scaled_gradients, strict=True)] == pytest.approx([2.0**12] * 2, rel=1e-2)


def test_weights_that_are_not_finite_are_not_called_a_loss(make_config):
    trainer = build_trainer(make_config("MaPLe"))
    trainer.batch_idx, trainer.num_batches = 0, 2
    trainer.backbone.text.ln_final.weight[0] = float("nan")
    told = r"tensor text\.ln_final\.weight of backbone is not finite.*there is no checkpoint yet \(it does not train"
    with pytest.raises(FloatingPointError, match=told):
        trainer.forward_backward(next(iter(trainer.train_loader_x)))


def test_a_moved_run_is_tested_as_before(make_config, tmp_path):
    first = trained(make_config("MaPLe"))
    shutil.move(tmp_path / "run", tmp_path / "moved here")
    other = build_trainer(make_config("MaPLe", out="other"))
    other.load_model(str(tmp_path / "moved here"))
    assert other.epoch_loaded == 1 and other.test() == first.results["test"]["accuracy"]
