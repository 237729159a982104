"""Pretrain the mini CLIP of the quickstart on rendered characters with captions, and say how good it is.

    python tools/pretrain_mini_clip.py --out assets/mini_clip/mini_clip.pt

Fonts are taken from --fonts (default: /usr/share/fonts and the folder inside matplotlib). Those behind the committed
weights are listed in mini_clip/debian_fonts.txt and mini_clip/pypi_fonts.txt; the model card has the full command.
The same fonts, seed, precision and machine give the same weights.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch
from mini_clip.evaluation import report_accuracy
from mini_clip.glyphs import GlyphBank, build_bank, find_fonts
from mini_clip.training import Architecture, Recipe, train


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool. Returns the exit code: 0, or 2 with one line on stderr when the input is bad."""
    args = parse_arguments(arguments)
    try:
        run(args)
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"pretrain_mini_clip: {error}", file=sys.stderr)
        return 2
    return 0


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Command line to settings."""
    default = Recipe()
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="file to write, for example mini_clip.pt")
    parser.add_argument("--seed", type=int, default=0, help="of weights, images, captions and held-out fonts")
    parser.add_argument("--steps", type=int, default=default.steps, help="optimiser steps (default %(default)s)")
    parser.add_argument("--batch-size", type=int, default=default.batch_size, help="images per step")
    parser.add_argument("--lr", type=float, default=default.peak_lr, help="peak learning rate")
    parser.add_argument("--fonts", type=Path, nargs="+", help="font files, or folders searched for fonts")
    parser.add_argument("--glyph-cache", type=Path, help="file that keeps the drawn glyphs from one run to the next")
    parser.add_argument("--held-out", type=float, default=0.1, help="share of the typefaces kept for the evaluation")
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16", help="of the towers in training")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (another number, other rounding)")
    parser.add_argument("--skip-evaluation", action="store_true", help="write the file and stop")
    return parser.parse_args(arguments)


def run(args: argparse.Namespace) -> None:
    """Pretrain, write the file, evaluate it.

    Raises:
        ValueError, OSError, FloatingPointError: see the message.
    """
    check(args)
    torch.set_num_threads(args.threads)
    bank = load_glyphs(args.fonts or default_font_folders(), args.glyph_cache)
    training, held_out = bank.split_families(args.held_out, args.seed)
    print(f"{len(bank)} glyphs of {len(bank.family_names)} typefaces, {len(training)} glyphs for training", flush=True)
    recipe = Recipe(
        steps=args.steps,
        batch_size=args.batch_size,
        peak_lr=args.lr,
        warmup_steps=min(Recipe.warmup_steps, max(1, args.steps // 10)),
        bf16=args.precision == "bf16",
    )
    model = train(training, Architecture(), recipe, args.seed, report=lambda line: print(line, flush=True))
    save_deflated(model.state_dict_for_release(), args.out)
    print(f"wrote {args.out}, {args.out.stat().st_size / 1e6:.2f} MB")
    if not args.skip_evaluation:
        report_accuracy(args.out, held_out, args.seed)


def check(args: argparse.Namespace) -> None:
    """Refuse settings that cannot work before an hour is spent on them."""
    for name, value in (("--steps", args.steps), ("--batch-size", args.batch_size), ("--threads", args.threads)):
        if value < 1:
            raise ValueError(f"{name} is {value}; expected 1 or more")
    if not 0 < args.lr < 1:
        raise ValueError(f"--lr is {args.lr}; expected a learning rate between 0 and 1, such as 0.001")
    if not 0 <= args.held_out < 1:
        raise ValueError(f"--held-out is {args.held_out}; expected a share from 0 to below 1")
    if not 0 <= args.seed < 2**31:
        raise ValueError(f"--seed is {args.seed}; expected 0 to {2**31 - 1}")
    if args.out.is_dir():
        raise IsADirectoryError(f"--out {args.out} is a folder; name a file, such as {args.out / 'mini_clip.pt'}")
    if not args.out.parent.is_dir():
        raise FileNotFoundError(f"--out: folder {args.out.parent} does not exist; create it first")


def default_font_folders() -> list[Path]:
    """The system's font folder, where there is one, and matplotlib's."""
    import matplotlib

    system = Path("/usr/share/fonts")
    return [path for path in (system, Path(matplotlib.get_data_path()) / "fonts" / "ttf") if path.is_dir()]


def load_glyphs(roots: Sequence[Path], cache: Path | None) -> GlyphBank:
    """Glyphs of the fonts under `roots`; from the cache file when there is one, else drawn and written to it."""
    if cache is not None and cache.is_file():
        return GlyphBank(**torch.load(cache, weights_only=True))
    fonts = find_fonts(roots)
    print(f"drawing the glyphs of {len(fonts)} fonts", flush=True)
    bank = build_bank(fonts)
    if cache is not None:
        with _replacing(cache) as temporary:
            torch.save(vars(bank), temporary)
    return bank


def save_deflated(state: dict[str, torch.Tensor], path: Path) -> None:
    """Write a state dict that `torch.load` reads directly, with its zip entries deflated.

    A `torch.save` file is a zip archive of stored entries. Deflating them changes nothing for the reader (only
    `mmap=True` is lost) and shrinks the 49,000 equal rows of the token embedding to nothing. Entry names and times are
    fixed, so equal weights give equal bytes.
    """
    with _replacing(path) as temporary, tempfile.TemporaryDirectory(dir=path.parent) as folder:
        plain = Path(folder) / "archive.pt"
        torch.save(state, plain)
        with zipfile.ZipFile(plain) as source, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as target:
            for name in source.namelist():
                entry = zipfile.ZipInfo(name)
                entry.compress_type = zipfile.ZIP_DEFLATED
                target.writestr(entry, source.read(name), compresslevel=9)


class _replacing:
    """Context manager: a temporary file beside `path`, moved over it when the block succeeds, removed when not."""

    def __init__(self, path: Path) -> None:
        self.path, self.temporary = path, path.with_name(f".{path.name}.{os.getpid()}.tmp")

    def __enter__(self) -> Path:
        return self.temporary

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            os.replace(self.temporary, self.path)
        else:
            self.temporary.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
