"""Facts as text: the table of `list`, and the blocks of docs/datasets.md that are made from the code."""

from __future__ import annotations

import re
from pathlib import Path

from tabulate import tabulate

from ..base import Benchmark
from ..facts import Download
from ..splits import write_text_whole
from .catalogue import benchmarks

_BLOCK = re.compile(r"(<!-- facts: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def human_size(size: int) -> str:
    """Bytes in decimal units: "137 MB"; "?" for 0, which means unknown."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            number = size / factor
            return f"{number:.1f} {unit}" if number < 10 else f"{number:.0f} {unit}"
    return f"{size} B" if size else "?"


def table() -> str:
    """Every dataset: classes, images, download size, place, terms."""
    rows = []
    for stem, cls in benchmarks().items():
        facts, counts = cls.facts, cls.facts.counts
        shown = [counts.train, counts.val, counts.test]
        if counts.val is None:
            shown = [None, None, counts.test]
        size = human_size(facts.download_size) if facts.downloads else "none"
        rows.append([stem, cls.__name__, counts.classes, *shown, size, f"{facts.folder}/", facts.licence, facts.page])
    headers = ["dataset", "name", "classes", "train", "val", "test", "download", "lies in DATA/", "terms", "page"]
    return tabulate(rows, headers, missingval="-", intfmt=",")


def facts_block(cls: type[Benchmark]) -> str:
    """What the code knows about a dataset, as Markdown."""
    facts, counts = cls.facts, cls.facts.counts
    base = (counts.classes + 1) // 2
    lines = [
        f"- `DATASET.NAME`: `{cls.__name__}`, config `configs/datasets/{facts.stem}.yaml`",
        f"- folder: `{facts.folder}/`, images in {', '.join(f'`{name}/`' for name in facts.needed_folders)}",
    ]
    if facts.split_file:
        lines.append(f"- split file: `{facts.split_file}`")
    if counts.val is None:
        lines.append(f"- {counts.classes:,} classes; {counts.test:,} test images, no train and val part")
    else:
        lines.append(
            f"- {counts.classes:,} classes ({base} base, {counts.classes - base} new); "
            f"{counts.train:,} train, {counts.val:,} val, {counts.test:,} test images"
        )
    lines.append(f'- zero-shot template: "{cls.template}"')
    lines.append(f"- terms: {facts.licence}; {facts.page}")
    lines += [_download_line(download) for download in facts.downloads]
    lines += [_download_line(download, "only to make a split of your own: ") for download in facts.raw]
    if facts.fallback:
        lines.append(_download_line(facts.fallback, "if that fails, a repackaged copy: "))
    return "\n".join(lines) + "\n"


def _download_line(download: Download, prefix: str = "") -> str:
    sums = [(kind, getattr(download, kind)) for kind in ("md5", "sha256", "git_blob")]
    details = [human_size(download.size)] if download.size else []
    details += [f"{kind.replace('_', ' ')} `{value}`" for kind, value in sums if value]
    places = [_address(url) for url in download.urls] or ["needs an account"]
    size = f" ({', '.join(details)})" if details else ""
    return f"- {prefix}`{download.file}`{size}: {', '.join(places)}"


def _address(url: str) -> str:
    if url.startswith("gdrive:"):
        return f"https://drive.google.com/file/d/{url.partition(':')[2]}/view"
    return url


def refreshed(text: str) -> str:
    """A document with every block between `<!-- facts: STEM -->` and `<!-- end -->` made anew."""
    known = benchmarks()
    return _BLOCK.sub(lambda match: match[1] + facts_block(known[match[2]]) + match[3], text)


def refresh(file: Path) -> None:
    """Rewrite the blocks of a document in place."""
    write_text_whole(file, refreshed(file.read_text(encoding="utf-8")))
