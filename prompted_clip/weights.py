"""Where CLIP weights come from: a name that is downloaded and checked, or a file on disk → a state dict."""

from __future__ import annotations

import difflib
import hashlib
import io
import os
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prompted_clip.classnames import tokenizer
from prompted_clip.open_clip_weights import OPEN_CLIP, OpenClipModel

#: The small CLIP that comes with the project (see assets/mini_clip/README.md).
MINI_CLIP = "mini_clip"
#: It lies in the checkout's assets/; in an installed library, setup.py puts that folder inside this package.
_PACKAGE = Path(__file__).resolve().parent
_ASSETS = _PACKAGE / "assets" if (_PACKAGE / "assets").is_dir() else _PACKAGE.parent / "assets"
_MINI_CLIP_FILE = _ASSETS / "mini_clip" / "mini_clip.pt"

#: Entries of OpenAI's archives that describe the model rather than weigh anything.
_NOT_WEIGHTS = ("input_resolution", "context_length", "vocab_size")

_SAFETENSORS = ".safetensors"

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def openai_urls() -> dict[str, str]:
    """OpenAI's model names and addresses; the last folder of an address is the file's SHA-256."""
    tokenizer()  # imports openai-clip with its import-time warnings held back
    from clip import clip as openai_clip

    return dict(openai_clip._MODELS)


def available_backbones() -> list[str]:
    """Backbone names that `find_weights` knows."""
    return [MINI_CLIP, *openai_urls()]


def find_weights(name_or_path: str, cache_dir: str | Path | None = None) -> Path:
    """The weight file of a backbone: the file itself, or a download by name into the cache.

    Args:
        name_or_path: a name of `available_backbones`, "open_clip:<model>/<pretrained>", or a path to a file.
        cache_dir: where downloads are kept; default ``~/.cache/clip``, which openai-clip uses too.

    Raises:
        ValueError: neither a known name nor a file (with the nearest name), or a file with a wrong checksum.
        FileNotFoundError: a path to nothing.
        OSError: the download failed.
        ImportError: one of OpenCLIP's names without its package.
    """
    if name_or_path == MINI_CLIP:
        return _MINI_CLIP_FILE
    if name_or_path.startswith(OPEN_CLIP):
        return OpenClipModel.parse(name_or_path).weight_file(cache_dir)
    path = Path(name_or_path).expanduser()
    if path.is_file():
        if path.suffix == _SAFETENSORS:
            # which activation and heads the tensors alone do not tell
            raise ValueError(
                f"Backbone file {path} is of the kind that OpenCLIP's weights come in: say of which of its models, as"
                f" {OPEN_CLIP}<model>/{path}, e.g. {OPEN_CLIP}ViT-B-16/{path}."
            )
        return path
    urls = openai_urls()
    if name_or_path in urls:
        return _download(name_or_path, urls[name_or_path], Path(cache_dir or "~/.cache/clip").expanduser())
    if path.suffix or path.is_absolute() or len(path.parts) > 2:
        raise FileNotFoundError(
            f"Backbone file {path} does not exist: give the path to a CLIP state dict or JIT archive, or a name"
            f" ({', '.join(available_backbones())})."
        )
    near = difflib.get_close_matches(name_or_path, available_backbones(), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(
        f"Unknown backbone {name_or_path!r}: {hint}It must be a file or one of {', '.join(available_backbones())}."
    )


def named_file(name_or_path: str) -> tuple[str, Path] | None:
    """The file that a backbone's name stands for, where the name alone does not say what is in it.

    Returns:
        what else the name says ("open_clip:<model>/", else ""), and the file; None for published weights, which their
        names tell apart.
    """
    if name_or_path == MINI_CLIP:
        return "", _MINI_CLIP_FILE
    says, path = "", name_or_path
    if name_or_path.startswith(OPEN_CLIP):
        model, _, path = name_or_path.removeprefix(OPEN_CLIP).partition("/")
        says = f"{OPEN_CLIP}{model}/"
    file = Path(path).expanduser()
    return (says, file) if path and file.is_file() else None


def _download(name: str, url: str, cache_dir: Path) -> Path:
    expected = url.split("/")[-2]
    target = cache_dir / url.rsplit("/", 1)[-1]
    if not target.is_file():
        cache_dir.mkdir(parents=True, exist_ok=True)
        try:
            # downloads beside the target, checks the digest, then renames
            torch.hub.download_url_to_file(url, str(target), hash_prefix=expected)
        except (OSError, RuntimeError) as error:
            raise OSError(
                f"Backbone {name} could not be downloaded from {url} ({error}): fetch the file by other means and put"
                f" it at {target}, or give its path as MODEL.BACKBONE.NAME."
            ) from error
        return target
    with open(target, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _sha256(file)
    if found != expected:
        raise ValueError(
            f"Backbone file {target} is not OpenAI's {name}: its SHA-256 begins {found[:12]}, expected {expected[:12]}."
            " Delete it, and it will be downloaded again."
        )
    return target


def _sha256(file) -> str:  # Python 3.10 has no hashlib.file_digest
    digest = hashlib.sha256()
    while piece := file.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Read CLIP weights from a state dict or a TorchScript archive, running no code of the file.

    Args:
        path: a ``torch.save`` file of tensors (also under a ``state_dict`` key, also with ``module.`` before the
            names), an archive of the kind that OpenAI publishes, or a safetensors file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: truncated, damaged, no file of weights, or weights that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"Backbone file {path} does not exist.")
    loaded: Any
    try:
        if path.suffix == _SAFETENSORS:
            loaded = _read_safetensors(path)
        else:
            loaded = _read_archive(path) if _is_torchscript(path) else torch.load(path, "cpu", weights_only=True)
    except ImportError:
        raise
    except Exception as error:  # a damaged file is unpickled into errors of every kind
        size = os.path.getsize(path)
        raise ValueError(
            f"Backbone file {path} ({size} bytes) cannot be read as CLIP weights: it is truncated, damaged, or holds"
            f" more than tensors. Get it again. ({type(error).__name__})"
        ) from error
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise ValueError(f"Backbone file {path} holds no state dict of tensors: it is not a CLIP checkpoint.")
    weights = {str(k).removeprefix("module."): v for k, v in loaded.items()}
    for name, tensor in weights.items():
        if tensor.dtype in _FLOATS and tensor.numel():
            # the quickest of the reductions that NaN and infinities get through
            least, most = torch.aminmax(tensor)
            if not (least.isfinite() and most.isfinite()):
                raise ValueError(
                    f"Backbone file {path}: the tensor {name!r} has values that are not finite. The file is damaged, or"
                    " of a training that failed: get another one."
                )
    return {k: v for k, v in weights.items() if k not in _NOT_WEIGHTS}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError  # comes with open_clip, the only source of such files here
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


#: How a TorchScript archive names the types of its numbers.
_STORED_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
}


class _ScriptedModule:
    """Stands for every class of a TorchScript archive: its attributes, and none of its code."""


class _ArchiveReader(pickle.Unpickler):
    """Reads the tensors of a TorchScript archive, whose loader in PyTorch is deprecated and trusts its files."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{root}/data.pkl")))
        self.archive = archive
        self.root = root

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("__torch__"):
            return _ScriptedModule
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda flat, offset, size, stride, *_: flat.as_strided(size, stride, offset)
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if module == "torch" and name in _STORED_DTYPES:
            return _STORED_DTYPES[name]
        if module == "torch.jit._pickle":  # typed lists of numbers
            return list
        raise pickle.UnpicklingError(f"{module}.{name} has no place among weights")

    def persistent_load(self, pid: Any) -> Any:
        _, dtype, key, _, _ = pid
        return torch.frombuffer(bytearray(self.archive.read(f"{self.root}/data/{key}")), dtype=dtype)


def _read_archive(path: Path) -> dict[str, Tensor]:
    with zipfile.ZipFile(path) as archive:
        roots = [name.removesuffix("/data.pkl") for name in archive.namelist() if name.endswith("/data.pkl")]
        if not roots:
            raise ValueError("a TorchScript archive without data.pkl")
        module = _ArchiveReader(archive, roots[0]).load()
    return dict(_tensors(module))


def _tensors(module: _ScriptedModule, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    for name, value in vars(module).items():
        if isinstance(value, Tensor):
            yield prefix + name, value
        elif isinstance(value, _ScriptedModule):
            yield from _tensors(value, f"{prefix}{name}.")
