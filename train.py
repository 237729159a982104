"""Train or test one method on one dataset: arguments → config → trainer → run record.

    python train.py --list                               # methods, datasets, backbones
    python train.py --trainer NAME                       # the quickstart's setting and dataset
    python train.py --trainer NAME --config-file … --dataset-config-file … --seed 1 OPTIM.MAX_EPOCH 10

Exit codes: 0 done (or complete already), 2 a mistake in what was asked for, 128 + n stopped by signal n (resumable).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DEFAULT_CONFIG = "quickstart"

#: Settings that say where and how fast a run is made, not what is computed.
NOT_A_SETTING = ("OUTPUT_DIR", "RESUME", "VERBOSE", "DATASET.ROOT", "DATALOADER.NUM_WORKERS", "TRAIN.PRINT_FREQ")


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line. Nothing heavy is imported before this is done."""
    parser = argparse.ArgumentParser(
        description="Train or test a prompt learning method for CLIP.",
        epilog="KEY VALUE pairs at the end override the config files, e.g. OPTIM.LR 0.002 DATASET.NUM_SHOTS 4.",
    )
    parser.add_argument("--list", action="store_true", help="list methods, datasets and backbones, and stop")
    parser.add_argument("--trainer", default="", metavar="NAME", help="method, as --list has it")
    parser.add_argument("--root", default="", metavar="DIR", help="data root (default: $DATA, else ./data)")
    parser.add_argument("--output-dir", default="", metavar="DIR", help="default: output/DATASET/TRAINER/CONFIG/seedN")
    parser.add_argument("--config-file", default="", metavar="YAML", help="of the method (default: its quickstart)")
    parser.add_argument(
        "--dataset-config-file", default="", metavar="YAML", help="of the dataset (default: the quickstart's)"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="0 is a seed; negative: no fixed seed")
    parser.add_argument(
        "--backbone", default="", metavar="NAME", help="an OpenAI name, mini_clip, open_clip:…, or a file"
    )
    parser.add_argument("--eval-only", action="store_true", help="test the model of --model-dir, do not train")
    parser.add_argument("--model-dir", default="", metavar="DIR", help="run folder whose model to test")
    parser.add_argument("--load-epoch", type=int, metavar="N", help="epoch to load (default: best, else last)")
    parser.add_argument("--no-train", action="store_true", help="build everything, run nothing")
    parser.add_argument("--resume", default="", metavar="DIR", help="run folder with checkpoints to go on from")
    parser.add_argument(
        "--force", action="store_true", help="run again into a fresh folder; keep the old one beside it"
    )
    parser.add_argument("--source-domains", nargs="+", metavar="NAME")
    parser.add_argument("--target-domains", nargs="+", metavar="NAME")
    parser.add_argument("--transforms", nargs="+", metavar="NAME", help="training transforms")
    parser.add_argument("--head", default="", metavar="NAME", help="for plugins that have one")
    parser.add_argument("opts", nargs=argparse.REMAINDER, metavar="KEY VALUE", help="config keys and their values")
    args = parser.parse_args(argv)
    if not args.list and not args.trainer:
        parser.error("--trainer NAME is needed (python train.py --list shows all)")
    return args


def build_config(args: argparse.Namespace) -> Any:
    """Defaults, then the dataset's file, the method's file, the arguments, the KEY VALUE pairs.

    Raises:
        KeyError: an unknown trainer, or an unknown key (with the nearest one).
        FileNotFoundError: a config file is missing.
    """
    import datasets
    import trainers
    from dassl.config import get_cfg_default
    from dassl.engine import TRAINER_REGISTRY

    TRAINER_REGISTRY.get(args.trainer)
    cfg = get_cfg_default()
    datasets.add_config(cfg)
    trainers.add_config(cfg)
    cfg.merge_from_file(args.dataset_config_file)
    cfg.merge_from_file(args.config_file)
    cfg.TRAINER.NAME = args.trainer
    if args.root:
        cfg.DATASET.ROOT = args.root
    if args.source_domains:
        cfg.DATASET.SOURCE_DOMAINS = tuple(args.source_domains)
    if args.target_domains:
        cfg.DATASET.TARGET_DOMAINS = tuple(args.target_domains)
    if args.transforms:
        cfg.INPUT.TRANSFORMS = tuple(args.transforms)
    if args.backbone:
        cfg.MODEL.BACKBONE.NAME = args.backbone
    if args.head:
        cfg.MODEL.HEAD.NAME = args.head
    if args.seed is not None:
        cfg.SEED = args.seed
    if args.resume:
        cfg.RESUME = args.resume
    cfg.merge_from_list(args.opts)
    stems = [Path(args.dataset_config_file).stem, args.trainer, Path(args.config_file).stem]
    cfg.OUTPUT_DIR = args.output_dir or str(Path("output", *stems, f"seed{cfg.SEED}"))
    cfg.freeze()
    return cfg


def read_complete_record(folder: str) -> dict[str, Any] | None:
    """The record of a complete run in a folder, or None."""
    try:
        record = json.loads(Path(folder, "run.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{folder}/run.json is damaged ({error}): delete it, or use --force.") from error
    return record if record.get("status") == "complete" else None


def is_complete(args: argparse.Namespace, record: dict[str, Any] | None, cfg: Any = None) -> bool:
    """Whether a folder's record answers what is asked for.

    The same command line is the same question; otherwise the settings are compared, once ``cfg`` is known.

    Raises:
        ValueError: the record is of a run with other settings.
    """
    if record is None:
        return False
    if cfg is not None:
        differences = list(different_settings(record["config"], json.loads(json.dumps(cfg))))
        asked = {"model_dir": args.model_dir, "eval_only": args.eval_only}
        differences += [f"{k}: {record['protocol'][k]} → {v}" for k, v in asked.items() if record["protocol"][k] != v]
        if differences:
            raise ValueError(
                f"{cfg.OUTPUT_DIR} holds a complete run with other settings ({'; '.join(differences[:3])}): choose"
                " another --output-dir, or use --force to keep it aside and run again."
            )
    elif record["environment"]["command"].replace(" --force", "") != command_line():
        return False
    for split, metrics in record["metrics"].items():
        print(f"{split}: accuracy {metrics['accuracy']:.2f}%, macro F1 {metrics['macro_f1']:.2f}%")
    return True


def different_settings(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> Any:
    """Yield "KEY: old → new" for settings that change what is computed."""
    for key in sorted({*old, *new}):
        name = prefix + key
        if name in NOT_A_SETTING:
            continue
        if isinstance(old.get(key), dict) and isinstance(new.get(key), dict):
            yield from different_settings(old[key], new[key], name + ".")
        elif old.get(key) != new.get(key):
            yield f"{name}: {old.get(key)} → {new.get(key)}"


def command_line() -> str:
    """How this program was called, as the run record has it."""
    return " ".join([os.path.basename(sys.executable), *sys.argv])


def set_aside(folder: str) -> None:
    """Rename an output folder to a name with the time, keeping all that is in it."""
    if Path(folder).exists():
        kept = f"{folder.rstrip('/')}.old-{time.strftime('%Y%m%d-%H%M%S')}"
        os.rename(folder, kept)
        print(f"kept the earlier run as {kept}")


def show_list() -> None:
    """Print what can be named on the command line."""
    import datasets  # noqa: F401  (registers)
    import trainers  # noqa: F401  (registers)
    from dassl.data.datasets import DATASET_REGISTRY
    from dassl.engine import TRAINER_REGISTRY
    from prompted_clip.weights import available_backbones

    print("methods:   " + " ".join(sorted(TRAINER_REGISTRY.registered_names())))
    print("datasets:  " + " ".join(sorted(DATASET_REGISTRY.registered_names())))
    print("backbones: " + " ".join(available_backbones()) + ", open_clip:<model>/<pretrained>, or a weight file")


def run(args: argparse.Namespace) -> int:
    """Carry out what was asked for.

    Returns:
        the exit code.
    """
    if args.list:
        show_list()
        return 0
    method_configs = HERE / "configs" / "trainers" / args.trainer
    args.config_file = args.config_file or str(method_configs / f"{DEFAULT_CONFIG}.yaml")
    if not args.dataset_config_file:
        from configs.facts import default_dataset

        args.dataset_config_file = str(HERE / "configs" / "datasets" / f"{default_dataset(HERE).stem}.yaml")
    if args.output_dir and not args.force and is_complete(args, read_complete_record(args.output_dir)):
        print(f"{args.output_dir} is complete: nothing to do (--force runs it again)")
        return 0
    cfg = build_config(args)
    if args.force:
        set_aside(cfg.OUTPUT_DIR)
    elif is_complete(args, read_complete_record(cfg.OUTPUT_DIR), cfg):
        print(f"{cfg.OUTPUT_DIR} is complete: nothing to do (--force runs it again)")
        return 0
    return run_trainer(args, cfg)


def run_trainer(args: argparse.Namespace, cfg: Any) -> int:
    """Train and test, or test only, and write the run record."""
    from dassl.engine import build_trainer
    from dassl.engine.run_record import write_run_record
    from dassl.utils import collect_env_info, lock_output_dir, set_random_seed, setup_logger

    lock_output_dir(cfg.OUTPUT_DIR)
    setup_logger(cfg.OUTPUT_DIR)
    if cfg.SEED >= 0:
        set_random_seed(cfg.SEED)
    if cfg.VERBOSE:
        print(f"{command_line()}\n\n{cfg.dump()}\n{collect_env_info()}")
    trainer = build_trainer(cfg)
    if args.eval_only:
        trainer.load_model(args.model_dir, epoch=args.load_epoch)
        trainer.test()
    elif not args.no_train:
        trainer.train()
    if not args.no_train:
        write_run_record(
            trainer,
            config=Path(args.config_file).stem,
            eval_only=args.eval_only,
            model_dir=args.model_dir,
            load_epoch=getattr(trainer, "epoch_loaded", args.load_epoch),
        )
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run, and turn an error into one sentence; its traceback goes to the log, or to the screen with TRACEBACK=1."""
    args = parse_args(argv)
    try:
        return run(args)
    except (ValueError, KeyError, OSError, RuntimeError, FloatingPointError, ImportError) as error:
        details = traceback.format_exc()
        if os.environ.get("TRACEBACK"):
            print(details, file=sys.stderr)
        elif hasattr(sys.stdout, "write_to_file"):
            sys.stdout.write_to_file(details)
        message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        print(f"error: {' '.join(message.split()) or type(error).__name__}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
