"""Trainers written as users of upstream write them, each with habits seen in public code."""

from __future__ import annotations

import copy
import datetime
import os
import os.path as osp
import time
from typing import Any

import torch
import torch.nn as nn
from torch.nn import functional as F

from dassl.data import DataManager
from dassl.data.data_manager import build_data_loader
from dassl.data.transforms import build_transform
from dassl.engine import TRAINER_REGISTRY, TrainerX
from dassl.engine.trainer import AverageMeter, MetricMeter
from dassl.metrics import compute_accuracy
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import load_checkpoint, save_checkpoint

from .world import SIZE, Net


class Custom(nn.Module):
    """A frozen body and a learner with class-dependent buffers, as prompt learners have."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.body = nn.Linear(3 * SIZE * SIZE, 6)
        self.prompt_learner = nn.Linear(6, num_classes)
        self.register_buffer("token_prefix", torch.zeros(num_classes, 2))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.prompt_learner(self.body(image.flatten(1)))


@TRAINER_REGISTRY.register()
class Usual(TrainerX):
    """The shape of nearly all: freeze by name, one learner, mixed precision with a scaler, strict=False loading."""

    def check_cfg(self, cfg: Any) -> None:
        assert cfg.TRAINER.USUAL.PREC in ["fp32", "amp"]

    def build_model(self) -> None:
        cfg = self.cfg
        assert self.dm.dataset.classnames == ["red", "green", "blue"]
        self.model = Custom(self.num_classes)
        for name, param in self.model.named_parameters():
            if "prompt_learner" not in name:
                param.requires_grad_(False)
        self.model.to(self.device)
        self.optim = build_optimizer(self.model.prompt_learner, cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, cfg.OPTIM)
        self.register_model("prompt_learner", self.model.prompt_learner, self.optim, self.sched)
        self.scaler = torch.amp.GradScaler("cpu") if cfg.TRAINER.USUAL.PREC == "amp" else None

    def forward_backward(self, batch: dict) -> dict:
        image, label = self.parse_batch_train(batch)
        if self.cfg.TRAINER.USUAL.PREC == "amp":
            with torch.autocast("cpu"):
                output = self.model(image)
                loss = F.cross_entropy(output, label)
            self.optim.zero_grad()
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optim)
            self.scaler.update()
        else:
            output = self.model(image)
            loss = F.cross_entropy(output, label)
            self.model_backward_and_update(loss)
        loss_summary = {"loss": loss.item(), "acc": compute_accuracy(output, label)[0].item()}
        if (self.batch_idx + 1) == self.num_batches:
            self.update_lr()
        return loss_summary

    def parse_batch_train(self, batch: dict) -> tuple:
        input = batch["img"].to(self.device)
        label = batch["label"].to(self.device)
        return input, label

    def load_model(self, directory: str, epoch: int | None = None) -> None:
        if not directory:
            print("Note that load_model() is skipped as no pretrained model is given")
            return
        model_file = "model-best.pth.tar" if epoch is None else "model.pth.tar-" + str(epoch)
        for name in self.get_model_names():
            model_path = osp.join(directory, name, model_file)
            if not osp.exists(model_path):
                raise FileNotFoundError(f'Model not found at "{model_path}"')
            checkpoint = load_checkpoint(model_path)
            state_dict = checkpoint["state_dict"]
            for key in ("token_prefix", "token_suffix"):
                if key in state_dict:
                    del state_dict[key]
            print(f'Loading weights to {name} from "{model_path}" (epoch = {checkpoint["epoch"]})')
            self._models[name].load_state_dict(state_dict, strict=False)


@TRAINER_REGISTRY.register()
class TwoModels(TrainerX):
    """Two models with optimisers of their own, a third without any, parameter groups, more keys in the checkpoint."""

    def build_model(self) -> None:
        self.model = Net(self.num_classes)
        self.student = Net(self.num_classes)
        self.optim = build_optimizer(self.model, self.cfg.OPTIM)
        groups = [{"params": [self.student.head.weight], "lr": 0.02}, {"params": [self.student.head.bias]}]
        self.optim2 = build_optimizer(self.student, self.cfg.OPTIM, groups)
        self.sched = build_lr_scheduler(self.optim, self.cfg.OPTIM)
        self.sched2 = build_lr_scheduler(self.optim2, self.cfg.OPTIM)
        self.register_model("teacher", self.model, self.optim, self.sched)
        self.register_model("student", self.student, self.optim2, self.sched2)
        self.register_model("frozen", None)
        self.modes: list[str] = []

    def set_model_mode(self, mode: str = "train", names: Any = None) -> None:
        self.modes.append(mode)
        super().set_model_mode(mode, names)

    def forward_backward(self, batch: dict) -> dict:
        image, label, _ = self.parse_batch_train(batch)
        loss1 = F.cross_entropy(self.model(image), label)
        self.model_backward_and_update(loss1, "teacher")
        output = self.student(image)
        loss2 = F.cross_entropy(output, label) + F.mse_loss(output, self.model(image).detach())
        self.model_zero_grad(["student"])
        self.model_backward(loss2)
        self.model_update(["student"])
        if (self.batch_idx + 1) == self.num_batches:
            self.update_lr("teacher")
            self.update_lr("student")
        return {"loss_t": loss1, "loss_s": loss2}

    def save_model(
        self, epoch: int, directory: str, is_best: bool = False, val_result: Any = None, model_name: str = ""
    ) -> None:
        for name in self.get_model_names():
            if self._models[name] is None:
                continue
            model_dict = self._models[name].state_dict()
            save_checkpoint(
                {
                    "state_dict": model_dict,
                    "epoch": epoch + 1,
                    "optimizer": self._optims[name].state_dict(),
                    "scheduler": self._scheds[name].state_dict(),
                    "val_result": val_result,
                    "epochs_done": list(range(epoch + 1)),
                },
                osp.join(directory, name),
                is_best=is_best,
                model_name=model_name,
            )


@TRAINER_REGISTRY.register()
class OwnLoops(TrainerX):
    """Its own train, run_epoch, test, batches and loaders."""

    def build_data_loader(self) -> None:
        tfm_train = build_transform(self.cfg, is_train=True)
        tfm_test = build_transform(self.cfg, is_train=False)
        dm = DataManager(self.cfg, custom_tfm_train=[tfm_train, tfm_train], custom_tfm_test=tfm_test)
        self.train_loader_x = dm.train_loader_x
        self.train_loader_u = dm.train_loader_u
        self.val_loader = dm.val_loader
        self.test_loader = dm.test_loader
        self.num_classes = dm.num_classes
        self.lab2cname = dm.lab2cname
        self.dm = dm
        self.feature_loader = copy.deepcopy(self.train_loader_x)
        self.feature_loader.dataset.transform = tfm_test
        self.plain_loader = build_data_loader(
            self.cfg, sampler_type="SequentialSampler", data_source=dm.dataset.train_x, batch_size=5, tfm=tfm_test
        )

    def build_model(self) -> None:
        self.model = Net(self.num_classes)
        self.optim = build_optimizer(self.model, self.cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, self.cfg.OPTIM)
        self.register_model("model", self.model, self.optim, self.sched)
        with torch.no_grad():
            self.features = torch.cat([batch["img"] for batch in self.feature_loader])

    def train(self) -> None:
        self.before_train()
        for self.epoch in range(self.start_epoch, self.max_epoch):  # noqa: B020 - as plugins write it
            self.before_epoch()
            self.run_epoch()
            self.after_epoch()
        self.after_train()

    def before_train(self) -> None:
        super().before_train()
        self.epoch_seconds: list[float] = []

    def run_epoch(self) -> None:
        self.set_model_mode("train")
        losses = MetricMeter()
        batch_time = AverageMeter()
        self.num_batches = len(self.train_loader_x)
        end = time.time()
        for self.batch_idx, batch in enumerate(self.train_loader_x):  # noqa: B020
            loss_summary = self.forward_backward(batch)
            batch_time.update(time.time() - end)
            losses.update(loss_summary)
            if (self.batch_idx + 1) % self.cfg.TRAIN.PRINT_FREQ == 0 or self.num_batches < self.cfg.TRAIN.PRINT_FREQ:
                eta = str(datetime.timedelta(seconds=int(batch_time.avg)))
                print(f"epoch [{self.epoch + 1}/{self.max_epoch}] {losses} lr {self.get_current_lr():.4e} eta {eta}")
            n_iter = self.epoch * self.num_batches + self.batch_idx
            for name, meter in losses.meters.items():
                self.write_scalar("train/" + name, meter.avg, n_iter)
            self.write_scalar("train/lr", self.get_current_lr(), n_iter)
            end = time.time()
        self.epoch_seconds.append(batch_time.sum)

    def parse_batch_train(self, batch: dict) -> tuple:
        return batch["img"].to(self.device), batch["img2"].to(self.device), batch["label"].to(self.device)

    def forward_backward(self, batch: dict) -> dict:
        image, image2, label = self.parse_batch_train(batch)
        output = self.model(image)
        loss = F.cross_entropy(output, label) + F.cross_entropy(self.model(image2), label)
        self.optim.zero_grad()
        self.detect_anomaly(loss)
        loss.backward()
        self.optim.step()
        if (self.batch_idx + 1) == self.num_batches:
            self.sched.step()
        return {"loss": loss.item(), "acc": compute_accuracy(output, label)[0].item()}

    @torch.no_grad()
    def test(self, split: str | None = None) -> float:
        self.set_model_mode("eval")
        self.evaluator.reset()
        data_loader = self.val_loader if split == "val" and self.val_loader is not None else self.test_loader
        for batch in data_loader:
            input, label = self.parse_batch_test(batch)
            self.evaluator.process(self.model_inference(input), label)
        results = self.evaluator.evaluate()
        for k, v in results.items():
            self.write_scalar(f"{split or 'test'}/{k}", v, self.epoch)
        return next(iter(results.values()))

    def load_model(self, directory: str, name: str = "model") -> str:  # another signature
        folder = osp.join(directory, name)
        [file] = [f for f in os.listdir(folder) if "model.pth" in f]
        self._models[name].load_state_dict(load_checkpoint(osp.join(folder, file))["state_dict"])
        return file


@TRAINER_REGISTRY.register()
class OwnEpoch(OwnLoops):
    """Its own epoch, but the engine's loop over epochs."""

    def train(self) -> None:
        TrainerX.train(self)

    def forward_backward(self, batch: dict) -> dict:
        time.sleep(0.008)
        return super().forward_backward(batch)


@TRAINER_REGISTRY.register()
class ZeroShot(TrainerX):
    """Registers no model at all."""

    def build_model(self) -> None:
        torch.manual_seed(3)
        self.weights = torch.randn(3 * SIZE * SIZE, self.num_classes)

    def model_inference(self, image: torch.Tensor) -> torch.Tensor:
        return image.flatten(1) @ self.weights


@TRAINER_REGISTRY.register()
class Remembers(Usual):
    """Keeps state of its own: an average of weights over the steps."""

    def build_model(self) -> None:
        super().build_model()
        self.average = torch.zeros(3)
        self.seen = 0
        self.history = {}  # names that the engine uses for reading only
        self.results = None
        self.trainable_parameters = [p for p in self.model.parameters() if p.requires_grad]

    def extra_state(self) -> dict[str, Any]:
        return {"average": self.average, "seen": self.seen}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        self.average, self.seen = state["average"], state["seen"]

    def forward_backward(self, batch: dict) -> dict:
        time.sleep(0.008)
        summary = super().forward_backward(batch)
        self.average = 0.9 * self.average + 0.1 * self.model.prompt_learner.bias.detach()
        self.seen += 1
        return summary
