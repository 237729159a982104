"""Places from which more than one dataset takes files."""

from __future__ import annotations

from .facts import Download

# The published split files, as kept in a public repository (MIT): pinned, then as it stands now.
_MIRROR = "https://raw.githubusercontent.com/linzhiqiu/cross_modal_adaptation"
_MIRRORS = (f"{_MIRROR}/c7e7e68ae4eeadfab98e7886b2d6c9cf48a7ceb5/splits", f"{_MIRROR}/HEAD/splits")

# Whole datasets with their split files, repackaged by the authors of PromptKD (CVPR 2024).
_BUNDLES = "https://huggingface.co/zhengli97/prompt_learning_dataset/resolve/main"

CLASSNAMES_DRIVE = "gdrive:1-61f_ol79pViBFDG_IDlUQSwoLcn2XXF"


def split_download(
    file: str, drive: str, *, size: int = 0, md5: str = "", sha256: str = "", git_blob: str = ""
) -> Download:
    """A small JSON file from CoOp's Google Drive, or from the mirrors."""
    return Download(
        file=file,
        urls=(f"gdrive:{drive}", *(f"{mirror}/{file}" for mirror in _MIRRORS)),
        size=size,
        md5=md5,
        sha256=sha256,
        git_blob=git_blob,
        kind="file",
        moves=((file, file),),
    )


def bundle(file: str, size: int, *moves: str) -> Download:
    """A repackaged whole dataset, for when its own sources are gone. Its checksum is not published."""
    return Download(file=file, urls=(f"{_BUNDLES}/{file}",), size=size, moves=tuple((move, move) for move in moves))


def classnames_download() -> Download:
    """ImageNet's class names: "<wnid> <name>" per line."""
    return Download(
        file="classnames.txt",
        urls=(CLASSNAMES_DRIVE,),
        size=31_000,
        kind="file",
        moves=(("classnames.txt", "classnames.txt"),),
    )
