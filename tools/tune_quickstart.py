"""Choose a method's quickstart settings on the base classes' validation images, and on nothing else.

    python tools/tune_quickstart.py MaPLe --seeds 1 2 3 --try OPTIM.LR 0.001 0.0035 --try OPTIM.MAX_EPOCH 10 20

Trains the method's quickstart setting with every combination of the values tried, on 16 shots of the base classes of
Digits and Mnist5k, and prints the accuracy on *all* validation images of the base classes (the split's 20 %, of which
a run itself sees 4 per class). Neither new classes nor test images are read.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import datasets
import trainers
from dassl.config import get_cfg_default
from dassl.data.data_manager import build_data_loader
from dassl.data.datasets import build_dataset
from dassl.engine import build_trainer
from dassl.utils import set_random_seed

HERE = Path(__file__).resolve().parent.parent
DATASETS = ("digits", "mnist5k")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("method")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--datasets", nargs="+", default=list(DATASETS), choices=DATASETS)
    parser.add_argument("--try", dest="tried", nargs="+", action="append", default=[], metavar="KEY VALUE…")
    parser.add_argument("--root", default="data")
    parser.add_argument("--output", default="", metavar="FILE", help="append one JSON line per setting")
    args = parser.parse_args()
    for words in args.tried:
        if len(words) < 2:
            parser.error(f"--try {words[0]} needs at least one value")
    return args


def make_config(method: str, dataset: str, root: str, options: list[Any]) -> Any:
    """The method's quickstart on a dataset, quiet and without a test."""
    cfg = get_cfg_default()
    datasets.add_config(cfg)
    trainers.add_config(cfg)
    cfg.merge_from_file(str(HERE / f"configs/datasets/{dataset}.yaml"))
    cfg.merge_from_file(str(HERE / f"configs/trainers/{method}/quickstart.yaml"))
    cfg.TRAINER.NAME = method
    fixed = ["DATASET.ROOT", root, "DATASET.SUBSAMPLE_CLASSES", "base", "VERBOSE", False, "TEST.NO_TEST", True]
    cfg.merge_from_list([*fixed, *options])
    return cfg


@torch.no_grad()
def base_validation_accuracy(trainer: Any, cfg: Any) -> float:
    """Accuracy (%) on all validation images of the base classes."""
    whole = cfg.clone()
    whole.DATASET.NUM_SHOTS = -1
    items = build_dataset(whole).val
    loader = build_data_loader(whole, data_source=items, batch_size=500, tfm=trainer.dm.tfm_test, is_train=False)
    trainer.set_model_mode("eval")
    correct = 0
    for batch in loader:
        images, labels = trainer.parse_batch_test(batch)
        correct += int((trainer.model_inference(images).argmax(1) == labels).sum())
    return 100.0 * correct / len(items)


def accuracy(method: str, dataset: str, seed: int, root: str, options: list[Any]) -> float:
    """Train once, validate."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        cfg = make_config(method, dataset, root, [*options, "SEED", seed, "OUTPUT_DIR", folder])
        set_random_seed(seed)
        trainer = build_trainer(cfg)
        trainer.train()
        return base_validation_accuracy(trainer, cfg)


def main() -> None:
    args = parse_args()
    keys = [words[0] for words in args.tried]
    for values in itertools.product(*(words[1:] for words in args.tried)):
        options = [word for pair in zip(keys, values, strict=True) for word in pair]
        row: dict[str, Any] = {"method": args.method, "setting": dict(zip(keys, values, strict=True))}
        for dataset in args.datasets:
            found = [accuracy(args.method, dataset, seed, args.root, options) for seed in args.seeds]
            row[dataset] = {"mean": sum(found) / len(found), "seeds": found}
        print(
            row["setting"],
            *(f"{d} {row[d]['mean']:.2f} {[round(v, 1) for v in row[d]['seeds']]}" for d in args.datasets),
        )
        sys.stdout.flush()
        if args.output:
            with open(args.output, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
