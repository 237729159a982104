"""Small helpers on files, images and the environment."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
import urllib.request
from typing import Any

from .files import atomic_path
from .images import read_image
from .registry import check_availability
from .rng import set_random_seed

__all__ = [
    "check_availability",
    "check_isfile",
    "collect_env_info",
    "download_url",
    "listdir_nohidden",
    "mkdir_if_missing",
    "read_image",
    "read_json",
    "set_random_seed",
    "tolist_if_not",
    "write_json",
]


def mkdir_if_missing(dirname: str) -> None:
    """Make a folder with its parents; no error if it is there."""
    os.makedirs(dirname, exist_ok=True)


def check_isfile(fpath: str) -> bool:
    """Whether `fpath` is a file; prints a line when it is not."""
    found = os.path.isfile(fpath)
    if not found:
        print(f"No file found at {fpath}")
    return found


def listdir_nohidden(path: str, sort: bool = False) -> list[str]:
    """Names in a folder, without hidden ones.

    Args:
        path: the folder.
        sort: sort the names; otherwise the file system's order.

    Returns:
        Names, not paths.
    """
    names = [name for name in os.listdir(path) if not name.startswith(".")]
    return sorted(names) if sort else names


def read_json(fpath: str) -> Any:
    """Read a JSON file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not JSON; the message names file, line and column.
    """
    with open(fpath, encoding="utf-8") as file:
        try:
            return json.load(file)
        except json.JSONDecodeError as error:
            where = f"line {error.lineno}, column {error.colno}"
            raise ValueError(f"{fpath} is not valid JSON ({error.msg} at {where})") from None


def write_json(obj: Any, fpath: str) -> None:
    """Write `obj` as JSON, indented by 4; the file appears whole or not at all. Folders are made as needed."""
    text = json.dumps(obj, indent=4)
    with atomic_path(fpath) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def tolist_if_not(x: Any) -> list:
    """`x` if it is a list, otherwise ``[x]``."""
    return x if isinstance(x, list) else [x]


def download_url(url: str, dst: str, from_gdrive: bool = False) -> None:
    """Download one file; it appears whole under its final name or not at all.

    Args:
        url: the address.
        dst: the file to write.
        from_gdrive: `url` is a Google Drive address, which needs the package gdown.

    Raises:
        RuntimeError: the download failed, or gdown is missing.
    """
    with atomic_path(dst) as temporary:
        if from_gdrive:
            try:
                import gdown
            except ImportError:
                raise RuntimeError(f"downloading {url} needs gdown: pip install gdown") from None
            if gdown.download(url, str(temporary), quiet=False) is None:
                raise RuntimeError(f"Google Drive did not hand out {url}; open it in a browser and save it as {dst}")
            return
        if not re.match(r"https?://|file://", url):
            raise RuntimeError(f"cannot download {url!r}: expected an address with http://, https:// or file://")
        try:
            with urllib.request.urlopen(url, timeout=60) as response, open(temporary, "wb") as file:
                shutil.copyfileobj(response, file)
        except OSError as error:
            raise RuntimeError(f"could not download {url}: {error}") from None


def collect_env_info() -> str:
    """A few lines on interpreter, libraries and devices, for the head of a log."""
    import numpy
    import PIL
    import torch
    import torchvision

    lines = [
        f"Python       {sys.version.split()[0]} on {platform.platform()}",
        f"PyTorch      {torch.__version__} ({torch.get_num_threads()} threads)",
        f"torchvision  {torchvision.__version__}",
        f"NumPy        {numpy.__version__}",
        f"Pillow       {PIL.__version__}",
        f"CPU          {cpu_name()}, {available_cpus()} available",
    ]
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        lines.append(f"CUDA         {torch.version.cuda}: {', '.join(names)}")
    else:
        lines.append("CUDA         not available")
    return "\n".join(lines)


def cpu_name() -> str:
    """The processor's model name, as far as the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def available_cpus() -> int:
    """CPUs that this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
