"""Rebuilding ImageNet's classnames.txt when its file on Google Drive cannot be had."""

from __future__ import annotations

import ast
import json
from pathlib import Path

from ..facts import Download
from ..listing import subfolders
from ..splits import write_text_whole
from ..wordnet import CLASSNAMES, N_CLASSNAMES
from .download import fetch

# CLIP's authors keep the names, in the order of the WordNet ids, in a notebook; they are those of classnames.txt.
NOTEBOOK = Download(
    file="Prompt_Engineering_for_ImageNet.ipynb",
    urls=("https://raw.githubusercontent.com/openai/CLIP/main/notebooks/Prompt_Engineering_for_ImageNet.ipynb",),
)
# folders under the data root that hold one folder per ImageNet class
_TREES = ("imagenet/images/train", "imagenet/images/val", "imagenet-sketch/images")


def known_copy(root: Path) -> Path | None:
    """A classnames.txt that another ImageNet-like dataset under `root` already has."""
    for name in ("imagenet", "imagenetv2", "imagenet-sketch", "imagenet-adversarial", "imagenet-rendition"):
        if (root / name / CLASSNAMES).is_file():
            return root / name / CLASSNAMES
    return None


def rebuild(root: Path, target: Path) -> bool:
    """Write classnames.txt from the class folders' names and CLIP's notebook.

    Args:
        root: data root; a tree with all 1000 class folders must be there.
        target: the file to write.

    Returns:
        Whether there was such a tree.

    Raises:
        OSError: the notebook could not be downloaded.
        ValueError: the notebook does not hold the names.
    """
    trees = [subfolders(root / tree) for tree in _TREES if (root / tree).is_dir()]
    wnids = next((tree for tree in trees if len(tree) == N_CLASSNAMES), None)
    if wnids is None:
        return False
    notebook = target.with_name(f".{NOTEBOOK.file}")
    fetch(NOTEBOOK, notebook)
    try:
        names = notebook_names(notebook)
    finally:
        notebook.unlink()
    write_text_whole(target, "".join(f"{wnid} {name}\n" for wnid, name in zip(wnids, names, strict=True)))
    return True


def notebook_names(notebook: Path) -> list[str]:
    """The list `imagenet_classes` of CLIP's notebook; it is read as data and never run."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        source = next(text for cell in cells if (text := "".join(cell["source"])).startswith("imagenet_classes = ["))
        names = ast.literal_eval(source.partition("=")[2].partition("]")[0].strip() + "]")
    except (ValueError, KeyError, StopIteration, SyntaxError) as error:
        raise ValueError(f"{NOTEBOOK.file}: no list imagenet_classes found ({error})") from None
    if len(names) != N_CLASSNAMES:
        raise ValueError(f"{NOTEBOOK.file}: found {len(names)} class names, expected {N_CLASSNAMES}")
    return names
