"""The command line of `python -m datasets`."""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

from ..base import data_root
from ..folder import Folder
from ..splits import write_split
from .catalogue import select
from .check import READY, Report, check
from .document import refresh, table
from .own import check_own
from .prepare import prepare

_ERRORS = (ValueError, OSError, LookupError, RuntimeError)


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Returns:
        Exit code: 0 all well, 1 a dataset is not ready, 2 the command could not be carried out.
    """
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except _ERRORS as error:
        # KeyError puts its text into quotes
        text = error.args[0] if isinstance(error, LookupError) and error.args else error
        print(f"error: {text}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m datasets", description="List, get and check datasets.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add = commands.add_parser("list", help="every dataset: size, place, terms")
    add.set_defaults(run=_list)

    add = commands.add_parser("check", help="ready, incomplete or missing; what is wrong, and how to mend it")
    _names(add)
    add.add_argument("--deep", action="store_true", help="decode every image and list those that cannot be read")
    add.add_argument("--path", default="", help="with the name folder: your own images, as in DATASET.PATH")
    add.set_defaults(run=_check)

    add = commands.add_parser("prepare", help="download, verify, unpack, put into place, check")
    _names(add)
    add.add_argument("--archives", type=Path, help="folder with archives that you have downloaded yourself")
    add.add_argument("--force", action="store_true", help="get everything again, also what is there")
    add.add_argument("--keep", action="store_true", help="keep downloaded archives after unpacking")
    add.add_argument("--raw", action="store_true", help="also get what is needed to make a split of your own")
    add.set_defaults(run=_prepare)

    add = commands.add_parser("split", help="make a split file of your own from the raw files")
    _names(add)
    add.add_argument("--seed", type=int, default=0, help="seed of the shuffling (default 0)")
    add.add_argument("--force", action="store_true", help="replace the split file that is there")
    add.set_defaults(run=_split)

    add = commands.add_parser("docs", help="write the facts into docs/datasets.md anew")
    add.add_argument("file", type=Path)
    add.set_defaults(run=_docs)
    return parser


def _names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="+", metavar="NAME", help="datasets as in `list`, or all")
    parser.add_argument("--root", default="", help="data root (default: the environment variable DATA, else ./data)")


def _list(options: argparse.Namespace) -> int:
    print(table())
    return 0


def _check(options: argparse.Namespace) -> int:
    own = Folder.facts.stem
    named = [name for name in options.names if name.lower() != own]
    if options.path and named == options.names:
        raise ValueError(f"--path {options.path} goes with the name {own}, not with {' '.join(named)}")
    chosen = select(named) if named else []
    codes = [_show(check_own(options.path, options.root, deep=options.deep))] if named != options.names else []
    codes += [_show(check(cls, data_root(options.root), deep=options.deep)) for cls in chosen]
    return max(codes)


def _show(report: Report) -> int:
    print(report, flush=True)
    return int(report.status != READY)


def _prepare(options: argparse.Namespace) -> int:
    root = data_root(options.root)
    code = 0
    for cls in select(options.names):
        try:
            prepare(cls, root, archives=options.archives, force=options.force, keep=options.keep, raw=options.raw)
        except _ERRORS as error:
            # with several names, one that fails does not keep the others from being prepared
            print(f"error: {error}", file=sys.stderr)
            code = 2
        else:
            code = max(code, _show(check(cls, root)))
    return code


def _split(options: argparse.Namespace) -> int:
    for cls in select(options.names):
        folder = data_root(options.root) / cls.facts.folder
        file = folder / cls.facts.split_file
        split = cls.make_split(folder, random.Random(options.seed))
        if file.exists() and not options.force:
            raise FileExistsError(f"{file} is there already: --force replaces it")
        write_split(split, file)
        parts = ", ".join(f"{len(items)} {part}" for part, items in zip(split._fields, split, strict=True))
        print(f"{file}: {parts} images. Numbers on a split of your own do not compare with published ones.")
    return 0


def _docs(options: argparse.Namespace) -> int:
    refresh(options.file)
    return 0
