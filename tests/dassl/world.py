"""A small world for the engine's tests: images on disk, a dataset of them, a trainer written as a plugin would be."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum
from dassl.engine import TRAINER_REGISTRY, TrainerX, build_trainer
from dassl.engine.run_record import write_run_record
from dassl.metrics import compute_accuracy
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import set_random_seed

CLASSES = ("red", "green", "blue")
SIZE = 8


def write_images(
    root: Path, per_class: int = 8, domains: int = 1, splits: tuple[str, ...] = ("train", "val", "test")
) -> None:
    """Noisy images, each class brighter in one channel."""
    generator = np.random.default_rng(0)
    for split in splits:
        for label in range(len(CLASSES)):
            for number in range(per_class):
                pixels = generator.integers(0, 180, (SIZE + 2, SIZE, 3))
                pixels[..., label] += 25
                folder = root / "shades" / split
                folder.mkdir(parents=True, exist_ok=True)
                name = f"{CLASSES[label]}_d{number % domains}_{number}.png"
                Image.fromarray(pixels.astype(np.uint8)).save(folder / name)


def items_of(folder: Path) -> list[Datum]:
    """The items of one split's folder, sorted by name."""
    items = []
    for path in sorted(folder.glob("*.png")) if folder.is_dir() else []:
        name, domain, _ = path.stem.split("_")
        items.append(Datum(impath=str(path), label=CLASSES.index(name), domain=int(domain[1:]), classname=name))
    return items


@DATASET_REGISTRY.register()
class Shades(DatasetBase):
    """The dataset of `write_images`."""

    dataset_dir = "shades"
    domains = ["d0", "d1"]

    def __init__(self, cfg: Any) -> None:
        root = Path(cfg.DATASET.ROOT) / self.dataset_dir
        train, val, test = (items_of(root / split) for split in ("train", "val", "test"))
        train = self.generate_fewshot_dataset(train, num_shots=cfg.DATASET.NUM_SHOTS)
        super().__init__(train_x=train, val=val or None, test=test)


class Net(nn.Module):
    """A linear classifier with dropout, so that a step depends on torch's random state."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(3 * SIZE * SIZE, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(x.flatten(1)))


@TRAINER_REGISTRY.register()
class Tiny(TrainerX):
    """As small as a plugin gets."""

    def build_model(self) -> None:
        self.model = Net(self.num_classes).to(self.device)
        self.optim = build_optimizer(self.model, self.cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, self.cfg.OPTIM)
        self.register_model("net", self.model, self.optim, self.sched)

    def forward_backward(self, batch: dict[str, Any]) -> dict[str, float]:
        image, label, _ = self.parse_batch_train(batch)
        output = self.model(image)
        loss = F.cross_entropy(output, label)
        self.model_backward_and_update(loss)
        if (self.batch_idx + 1) == self.num_batches:
            self.update_lr()
        return {"loss": loss.item(), "acc": compute_accuracy(output, label)[0].item()}


@TRAINER_REGISTRY.register()
class Patient(Tiny):
    """Takes its time, so that a signal finds it at work."""

    def forward_backward(self, batch: dict[str, Any]) -> dict[str, float]:
        time.sleep(0.008)
        return super().forward_backward(batch)


def run(cfg: Any) -> Any:
    """A whole run, as a main program does it; returns the trainer."""
    set_random_seed(cfg.SEED)
    trainer = build_trainer(cfg)
    trainer.train()
    write_run_record(trainer, "tiny")
    return trainer


def config(root: Path, output: Path, *options: Any) -> Any:
    """A config for `Tiny` on `Shades`, with KEY, value pairs on top."""
    cfg = get_cfg_default()
    cfg.merge_from_list(
        [
            *("DATASET.ROOT", str(root), "DATASET.NAME", "Shades", "OUTPUT_DIR", str(output), "TRAINER.NAME", "Tiny"),
            *("INPUT.SIZE", (SIZE, SIZE), "INPUT.TRANSFORMS", ("random_resized_crop", "random_flip", "normalize")),
            *("DATALOADER.TRAIN_X.BATCH_SIZE", 4, "DATALOADER.TEST.BATCH_SIZE", 10, "DATALOADER.NUM_WORKERS", 0),
            *("OPTIM.NAME", "sgd", "OPTIM.LR", 0.01, "OPTIM.LR_SCHEDULER", "cosine", "OPTIM.MAX_EPOCH", 3),
            *("OPTIM.WARMUP_EPOCH", 1, "OPTIM.WARMUP_TYPE", "constant", "USE_CUDA", False, "SEED", 1),
            *options,
        ]
    )
    cfg.freeze()
    return cfg
