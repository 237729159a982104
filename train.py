"""Train or test one method on one dataset: arguments → config → trainer → run record.

    python train.py --list                               # methods, datasets, backbones
    python train.py --trainer NAME                       # the quickstart's setting and dataset
    python train.py --trainer NAME --config-file … --dataset-config-file … --seed 1 OPTIM.MAX_EPOCH 10

Exit codes: 0 done (or complete already), 2 a mistake in what was asked for, 128 + n stopped by signal n (resumable).
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import traceback
from pathlib import Path
from typing import Any

from dassl.records import (
    CONFIG_KEY,
    WEIGHT_FILES,
    Asked,
    Source,
    is_answered,
    lock_output_dir,
    read_complete_record,
    refusal,
    set_aside,
    take,
    weights_of,
    write_marks,
)
from dassl.records.folder import damaged_record

HERE = Path(__file__).resolve().parent
DEFAULT_CONFIG = "quickstart"


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
    args.opts = args.opts[1:] if args.opts[:1] == ["--"] else args.opts
    check_order(parser, args)
    return args


def check_order(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Flags come first, KEY VALUE pairs last; argparse takes what stands elsewhere for something else."""
    for place, word in enumerate(args.opts):
        if re.fullmatch(r"--[a-z][a-z-]*(=.*)?", word):
            parser.error(f"flags go before the KEY VALUE pairs: {word} stands after {' '.join(args.opts[:place][:2])}")
    for flag in ("transforms", "source_domains", "target_domains"):
        for word in getattr(args, flag) or ():
            if CONFIG_KEY.fullmatch(word):
                name = "--" + flag.replace("_", "-")
                parser.error(f"{word} stands among the names of {name}: put another flag, or --, before the pairs")


def default_config() -> Any:
    """The config before anything is set: the engine's keys, the datasets' and the methods'."""
    import datasets
    import trainers
    from dassl.config import get_cfg_default

    cfg = get_cfg_default()
    datasets.add_config(cfg)
    trainers.add_config(cfg)
    return cfg


def build_config(args: argparse.Namespace) -> Any:
    """Defaults, then the dataset's file, the method's file, the arguments, the KEY VALUE pairs.

    Raises:
        KeyError: an unknown trainer, or an unknown key (with the nearest one).
        ValueError: a key that an argument sets, one of another method, or a seed that is none.
        FileNotFoundError: a config file is missing.
    """
    plain = default_config()
    cfg = plain.clone()
    import datasets
    from dassl.engine import TRAINER_REGISTRY
    from dassl.engine.build import nodes_of
    from dassl.utils.rng import check_seed

    nodes = nodes_of(TRAINER_REGISTRY.get(args.trainer))
    cfg.merge_from_file(args.dataset_config_file)
    datasets.settle_path(cfg, args.dataset_config_file)
    cfg.merge_from_file(args.config_file)
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
    if cfg.TRAINER.NAME not in (plain.TRAINER.NAME, args.trainer):
        raise ValueError(f"TRAINER.NAME is set to {cfg.TRAINER.NAME}, but --trainer says {args.trainer}: use --trainer")
    if plain.OUTPUT_DIR != cfg.OUTPUT_DIR:
        raise ValueError(f"OUTPUT_DIR is set to {cfg.OUTPUT_DIR}: use --output-dir {cfg.OUTPUT_DIR}")
    if nodes is not None:
        check_nodes(args, nodes, cfg.TRAINER, plain.TRAINER)
    check_seed(cfg.SEED)
    cfg.TRAINER.NAME = args.trainer
    stems = [datasets.settle_title(cfg, args.dataset_config_file), args.trainer, Path(args.config_file).stem]
    cfg.OUTPUT_DIR = args.output_dir or str(Path("output", *stems, f"seed{cfg.SEED}"))
    cfg.freeze()
    return cfg


def check_nodes(args: argparse.Namespace, nodes: tuple[str, ...], cfg: Any, plain: Any) -> None:
    """Keys of other methods do nothing: refused among the pairs, said where a config file sets them.

    Raises:
        ValueError: a pair sets one; the method's own of that name is named.
    """
    own = " and ".join(f"TRAINER.{node}" for node in nodes)
    for key in args.opts[::2]:
        section, _, leaf = key.removeprefix("TRAINER.").partition(".")
        if key.startswith("TRAINER.") and leaf and section not in nodes:
            near = next((f"TRAINER.{node}.{leaf}" for node in nodes if leaf in cfg.get(node, {})), "")
            hint = f"; did you mean {near}?" if near else ""
            raise ValueError(f"{key} is a key of another method and would do nothing: {args.trainer} reads {own}{hint}")
    for section in cfg:
        if section not in (*nodes, "NAME") and cfg[section] != plain[section]:
            print(f"{args.config_file} sets TRAINER.{section}, which {args.trainer} does not read: it reads {own}")


def what_is_asked(args: argparse.Namespace) -> Asked:
    """The command line, to compare with that of a record."""
    given = {key: value for key, value in vars(args).items() if value or (value == 0 and value is not False)}
    given.pop("opts", None)
    return Asked(given, args.opts, Path.cwd(), HERE)


def files_in(cfg: Any) -> dict[str, tuple[str, Path]]:
    """The settings that name a weight file, with what else their value says, and the file."""
    from prompted_clip.weights import named_file

    values = {key: cfg for key in WEIGHT_FILES}
    for key in WEIGHT_FILES:
        for part in key.split("."):
            values[key] = values[key][part]
    return {key: named for key, value in values.items() if value and (named := named_file(value))}


def root_in_files(cfg: Any, asked: Asked) -> str:
    """The data root that the config files name, if it is they who do."""
    return "" if asked.names_root else cfg.DATASET.ROOT


def is_complete(args: argparse.Namespace, cfg: Any, marks: list[dict[str, Any]], asked: Asked) -> bool:
    """Whether the output folder's record answers what is asked for; the comparison is exact.

    Args:
        args: the arguments.
        cfg: the config.
        marks: of the config files, before they were read.
        asked: the command line.

    Raises:
        ValueError: the record answers another question; the differences are named.
    """
    record = read_complete_record(cfg.OUTPUT_DIR)
    if record is None:
        return False
    from dassl.engine.question import build_question, sources_of

    files = files_in(cfg)
    question, dataset = build_question(
        cfg,
        default_config(),
        files,
        eval_only=args.eval_only,
        model_dir=args.model_dir,
        load_epoch=args.load_epoch,
    )
    try:
        differences = list(question.differences(record))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(damaged_record(cfg.OUTPUT_DIR, f"{type(error).__name__}: {error}")) from error
    if differences:
        raise ValueError(refusal(cfg.OUTPUT_DIR, differences))
    weights, model_dir = record.get("weights") or {}, args.model_dir
    sources = sources_of(cfg, dataset, files, HERE, weights=weights, model_dir=model_dir, load_epoch=args.load_epoch)
    if sources is not None:  # the next such command is answered quickly
        root = root_in_files(cfg, asked)
        write_marks(cfg.OUTPUT_DIR, asked, [*marks, *take(asked, sources, root)], root)
    return True


def say_complete(folder: str) -> None:
    """Print the figures of a folder's record."""
    record = read_complete_record(folder) or {"metrics": {}}
    for split, metrics in record["metrics"].items():
        names = {"accuracy": "accuracy", "macro_f1": "macro F1"}
        figures = [f"{title} {metrics[name]:.2f}%" for name, title in names.items() if name in metrics]
        print(f"{split}: {', '.join(figures)}")
    print(f"{folder} is complete: nothing to do (--force runs it again)")


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
    asked = what_is_asked(args)
    if args.output_dir and not args.force and is_answered(args.output_dir, asked):
        say_complete(args.output_dir)
        return 0
    # taken before they are read: a file that is edited meanwhile is seen to have changed
    marks = take(asked, [Source("content", "config_file", ""), Source("content", "dataset_config_file", "")])
    cfg = build_config(args)
    if args.force:
        kept = set_aside(cfg.OUTPUT_DIR)
        if kept:
            print(f"kept the earlier run as {kept}")
    else:
        complete = is_complete(args, cfg, marks, asked)
        if not complete:
            lock_output_dir(cfg.OUTPUT_DIR)
            complete = is_complete(args, cfg, marks, asked)  # another process may just have ended
        if complete:
            say_complete(cfg.OUTPUT_DIR)
            return 0
    return run_trainer(args, cfg, marks, asked)


def run_trainer(args: argparse.Namespace, cfg: Any, marks: list[dict[str, Any]], asked: Asked) -> int:
    """Train and test, or test only, and write the run record with its marks; the folder is locked."""
    from dassl.engine import build_trainer
    from dassl.engine.question import file_digests, sources_of
    from dassl.engine.run_record import write_run_record
    from dassl.utils import collect_env_info, set_random_seed, setup_logger
    from dassl.utils.checkpoint import noted_checkpoints

    setup_logger(cfg.OUTPUT_DIR)
    if cfg.SEED >= 0:
        set_random_seed(cfg.SEED)
    if cfg.VERBOSE:
        print(f"{command_line()}\n\n{cfg.dump()}\n{collect_env_info()}")
    files = files_in(cfg)
    digests = file_digests(files)
    trainer = build_trainer(cfg)
    weights: dict[str, Any] = {}
    if args.eval_only:
        with noted_checkpoints() as read:
            trainer.load_model(args.model_dir, epoch=args.load_epoch)
        weights = weights_of(args.model_dir, read)
    sources = sources_of(
        cfg, trainer.dm.dataset, files, HERE, weights=weights, model_dir=args.model_dir, load_epoch=args.load_epoch
    )
    if sources is not None:
        marks = [*marks, *take(asked, sources, root_in_files(cfg, asked))]
    if args.no_train:
        return 0
    if args.eval_only:
        trainer.test()
    else:
        trainer.train()
    write_run_record(
        trainer,
        config=Path(args.config_file).stem,
        eval_only=args.eval_only,
        model_dir=args.model_dir,
        load_epoch=getattr(trainer, "epoch_loaded", args.load_epoch),
        weights=weights,
        files=digests,
    )
    if sources is not None:
        write_marks(cfg.OUTPUT_DIR, asked, marks, root_in_files(cfg, asked))
    return 0


def command_line() -> str:
    """How this program was called, as the run record has it."""
    return " ".join([os.path.basename(sys.executable), *sys.argv])


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
