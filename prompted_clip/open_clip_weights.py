"""OpenCLIP's models as backbones: ``open_clip:<model>/<pretrained>`` → a weight file and the way to read it.

Configurations, pretrained tags and downloads are those of the open_clip package, an optional extra. Its ViT models with
CLIP's causal text tower have this package's architecture and OpenAI's tensor names; a model with anything else is
refused before its weights are downloaded.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prompted_clip.classnames import tokenizer

#: What the names of these backbones begin with.
OPEN_CLIP = "open_clip:"

#: Keys of a configuration that are dimensions, matter in training only, or belong to a tower that is refused anyway.
_FREE: dict[str, frozenset[str]] = {
    section: frozenset(keys.split())
    for section, keys in {
        "": "embed_dim vision_cfg text_cfg quick_gelu init_logit_scale nonscalar_logit_scale",
        "text_cfg": "context_length width heads layers mlp_ratio output_tokens pad_id eos_id final_ln_after_pool"
        " tokenizer_mode hf_model_pretrained hf_proj_type hf_pooler_type",
        "vision_cfg": "layers width head_width mlp_ratio patch_size image_size patch_dropout output_tokens"
        " final_ln_after_pool pos_embed_type attn_pooler_queries attn_pooler_heads"
        " timm_model_pretrained timm_pool timm_proj timm_proj_bias timm_drop timm_drop_path",
    }.items()
}

#: What the other keys must be where they are set at all.
_PLAIN: dict[tuple[str, str], Any] = {
    ("text_cfg", "pool_type"): "argmax",
    ("text_cfg", "proj_type"): "linear",
    ("text_cfg", "block_type"): "default",
    ("text_cfg", "norm_kwargs"): {"eps": 1e-5},
    ("vision_cfg", "pool_type"): "tok",
    ("vision_cfg", "block_type"): "default",
    ("vision_cfg", "norm_kwargs"): {"eps": 1e-5},
}

#: Why a key that is set otherwise rules a model out; what weighs most comes first.
_REASONS = {
    ("", "multimodal_cfg"): "it is a CoCa, with a text decoder",
    ("text_cfg", "hf_model_name"): "its text tower is Hugging Face's {value}",
    ("text_cfg", "no_causal_mask"): "its text tower is not causal",
    ("text_cfg", "embed_cls"): "its text tower reads out a class token",
    ("text_cfg", "pool_type"): "its text features are pooled by {value!r}, where CLIP reads the end-of-text token",
    ("text_cfg", "vocab_size"): "its vocabulary has {value} tokens, which is not CLIP's",
    ("text_cfg", "hf_tokenizer_name"): "its tokenizer is {value}, not CLIP's",
    ("text_cfg", "tokenizer_kwargs"): "its tokenizer prepares texts in another way than CLIP's ({value})",
    ("text_cfg", "proj_type"): "its text projection is {value!r}, where CLIP's is linear",
    ("text_cfg", "proj_bias"): "its text projection has a bias",
    ("vision_cfg", "timm_model_name"): "its image tower is timm's {value}",
    ("vision_cfg", "attentional_pool"): "its image tower pools by attention",
    ("vision_cfg", "pool_type"): "its image features are pooled by {value!r}, where CLIP reads the class token",
    ("vision_cfg", "no_ln_pre"): "its image tower has no LayerNorm before the first block",
    ("", "custom_text"): "its text tower is a custom one",
    ("", "init_logit_bias"): "its logits have a bias",
}


def import_open_clip() -> Any:
    """The open_clip package.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import open_clip
    except ImportError as error:
        raise ImportError(
            "Backbones of OpenCLIP need the open_clip package: pip install"
            f' "maple-prompt-learning[open_clip]" ({error}).'
        ) from error
    return open_clip


@dataclass(frozen=True)
class OpenClipModel:
    """A model of OpenCLIP that has CLIP's architecture, and where its weights come from.

    Attributes:
        name: of the model, e.g. "ViT-B-16".
        config: open_clip's configuration of it.
        pretrained: open_clip's tag of the weights, or a path.
        tag: open_clip's description of the tag; empty for a path.
    """

    name: str
    config: dict[str, Any]
    pretrained: str
    tag: dict[str, Any]

    @classmethod
    def parse(cls, backbone: str) -> OpenClipModel:
        """Look up "open_clip:<model>/<tag>" or "open_clip:<model>/<path>"; nothing is downloaded.

        Raises:
            ImportError: open_clip is not installed.
            ValueError: an unknown model or tag (with the nearest names), or a model of another architecture (says why).
            FileNotFoundError: a path to nothing.
        """
        open_clip = import_open_clip()
        name, _, pretrained = backbone.removeprefix(OPEN_CLIP).partition("/")
        if name not in open_clip.list_models():
            near = _nearest(name, open_clip.list_models())
            raise ValueError(f"OpenCLIP has no model {name!r} (backbone {backbone}): {near}.")
        config = open_clip.get_model_config(name)
        vision = open_clip.CLIPVisionCfg
        obstacles = list(_obstacles(config)) or list(_shape_obstacles(vision(**config["vision_cfg"])))
        if obstacles:
            raise ValueError(f"OpenCLIP's {name} cannot take prompts: {'; '.join(obstacles[:3])}.")
        tags = open_clip.list_pretrained_tags_by_model(name)
        if open_clip.is_pretrained_cfg(name, pretrained):
            return cls(name, config, pretrained, open_clip.get_pretrained_cfg(name, pretrained))
        path = Path(pretrained).expanduser()
        if pretrained and path.is_file():
            return cls(name, config, str(path), {})
        if "/" in pretrained or path.suffix:
            raise FileNotFoundError(f"Backbone file {path} does not exist (backbone {backbone}).")
        near = _nearest(pretrained, tags) if tags else "there are none, give the path to a weight file"
        raise ValueError(
            f"OpenCLIP has no weights {pretrained!r} of {name}, and no such file exists (backbone"
            f" {OPEN_CLIP}<model>/<tag or path>): {near}."
        )

    @property
    def activation(self) -> str:
        """QuickGELU where the configuration or the pretrained tag has it, whichever name the model was asked for by."""
        return "quick_gelu" if self.config.get("quick_gelu") or self.tag.get("quick_gelu") else "gelu"

    @property
    def text_heads(self) -> int:
        return import_open_clip().CLIPTextCfg(**self.config["text_cfg"]).heads

    @property
    def vision_heads(self) -> int:
        vision = import_open_clip().CLIPVisionCfg(**self.config["vision_cfg"])
        return vision.width // vision.head_width

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor, from open_clip's own module (which is not filled)."""
        with torch.device("meta"):
            model = import_open_clip().CLIP(*(self.config[key] for key in ("embed_dim", "vision_cfg", "text_cfg")))
        return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}

    @property
    def notice(self) -> str:
        """What the user should set because of this model; empty if nothing."""
        open_clip = import_open_clip()
        usual = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
        asked = {key: tuple(self.tag.get(key) or value) for key, value in usual.items()}
        if asked == usual:
            return ""
        return (
            f"OpenCLIP's {self.name}/{self.pretrained} was trained on images of another normalisation than CLIP's: set"
            f" INPUT.PIXEL_MEAN to {list(asked['mean'])} and INPUT.PIXEL_STD to {list(asked['std'])}."
        )

    def weight_file(self, cache_dir: str | Path | None = None) -> Path:
        """The weight file, downloaded and kept by open_clip if it is not here.

        Raises:
            OSError: the download failed.
        """
        if not self.tag:
            return Path(self.pretrained)
        try:
            cache = None if cache_dir is None else str(cache_dir)
            return Path(import_open_clip().download_pretrained(self.tag, cache_dir=cache))
        except (OSError, RuntimeError) as error:
            raise OSError(
                f"OpenCLIP's weights {self.name}/{self.pretrained} could not be downloaded ({error}): fetch the file by"
                f" other means and set MODEL.BACKBONE.NAME to {OPEN_CLIP}{self.name}/<its path>."
            ) from error

    def conform(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights under OpenAI's names and shapes.

        Raises:
            ValueError: they are not this model's: names a tensor that is missing, left over, or of another shape.
        """
        model = f"OpenCLIP's {self.name}"
        found = dict(weights)
        if "logit_scale" in found and found["logit_scale"].numel() == 1:
            found["logit_scale"] = found["logit_scale"].reshape(())  # some were trained with shape (1,)
        for name, shape in self.shapes.items():
            if name not in found:
                raise ValueError(f"The tensor {name!r} of {model} is missing.")
            expected = () if name == "logit_scale" else shape
            if tuple(found[name].shape) != expected:
                raise ValueError(f"The tensor {name!r} has shape {tuple(found[name].shape)}: {model} has {expected}.")
        leftover = sorted(set(found) - set(self.shapes))
        if leftover:
            raise ValueError(f"{model} has no tensor {leftover[0]!r}.")
        return found


def _obstacles(config: Mapping[str, Any]) -> Iterator[str]:
    """Why a configuration is not CLIP's architecture: one clause each."""
    departures = {}
    for section, values in {**{part: config[part] for part in ("text_cfg", "vision_cfg")}, "": config}.items():
        for key, value in values.items():
            plain = len(tokenizer().encoder) if key == "vocab_size" else _PLAIN.get((section, key))
            if value and value != plain and key not in _FREE[section]:
                departures[section, key] = value
    for section, key in [
        *(known for known in _REASONS if known in departures),
        *(sorted(departures.keys() - _REASONS.keys())),
    ]:
        reason = _REASONS.get((section, key), f"{section}.{key}".strip(".") + " is {value!r}")
        yield reason.format(value=departures[section, key])


def _shape_obstacles(vision: Any) -> Iterator[str]:
    """Why an image tower of CLIP's kind does not fit: one clause each; ``vision`` is open_clip's CLIPVisionCfg."""
    if not isinstance(vision.layers, int):
        yield "its image tower is a ResNet (OpenAI's are here under their own names, such as RN50)"
        return
    height, width = _pair(vision.image_size)
    patch, patch_width = _pair(vision.patch_size)
    if height != width or patch != patch_width or height % patch:
        yield f"its images of {height} x {width} pixels do not fall into whole square patches"


def _pair(size: int | Iterable[int]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


def _nearest(name: str, names: Iterable[str]) -> str:
    """ "did you mean …?" with up to three names, or all of them if none is near."""
    by_lower = {known.lower(): known for known in names}
    near = [by_lower[match] for match in difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.5)]
    return f"did you mean {', '.join(near)}?" if near else f"it has {', '.join(by_lower.values())}"
