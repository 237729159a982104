"""A frozen CLIP whose two encoders accept prompts, with all dimensions read from its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prompted_clip.adapters import Adapters
from prompted_clip.classnames import ClassPrompts, tokenizer
from prompted_clip.open_clip_weights import OPEN_CLIP, OpenClipModel
from prompted_clip.precision import Precision, resolve_precision
from prompted_clip.prompts import Prompts, TowerOutput
from prompted_clip.text import TextTransformer
from prompted_clip.vision import ResNetEncoder, VisionTransformer
from prompted_clip.weights import find_weights, read_state_dict

#: The heads of OpenAI's models are this wide in both towers.
HEAD_WIDTH = 64


@dataclass(frozen=True)
class BackboneSpec:
    """Dimensions of a CLIP, read from its state dict.

    Attributes:
        embed_dim: d, joint width.
        resolution: input height and width, pixels.
        vision_width: d_v (for a ResNet: the width of its first stage).
        vision_layers: blocks of the ViT, or the blocks of each ResNet stage.
        vision_heads: attention heads of the ViT; 0 for a ResNet.
        vision_mlp_width: width inside the MLPs of the ViT; 0 for a ResNet.
        patch_size: pixels; None for a ResNet.
        text_width: d_l.
        text_layers: blocks of the text tower.
        text_heads: attention heads of the text tower.
        text_mlp_width: width inside the MLPs of the text tower.
        context_length: positions of the text tower.
        vocabulary: rows of the token embedding.
    """

    embed_dim: int
    resolution: int
    vision_width: int
    vision_layers: int | tuple[int, ...]
    vision_heads: int
    vision_mlp_width: int
    patch_size: int | None
    text_width: int
    text_layers: int
    text_heads: int
    text_mlp_width: int
    context_length: int
    vocabulary: int

    @property
    def is_vit(self) -> bool:
        return self.patch_size is not None

    @classmethod
    def from_state_dict(
        cls, weights: Mapping[str, Tensor], *, vision_heads: int | None = None, text_heads: int | None = None
    ) -> BackboneSpec:
        """Read the dimensions.

        Args:
            weights: a state dict under OpenAI's names.
            vision_heads, text_heads: which no tensor's shape tells; None: heads of OpenAI's width.

        Raises:
            ValueError: not a CLIP, naming a tensor that is missing; or widths that are no multiple of the heads.
        """
        is_vit = "visual.proj" in weights
        vision_keys = (
            ["visual.conv1.weight", "visual.positional_embedding"]
            if is_vit
            else ["visual.layer1.0.conv1.weight", "visual.attnpool.positional_embedding"]
        )
        text_keys = ["text_projection", "positional_embedding", "token_embedding.weight", "ln_final.weight"]
        for key in [*text_keys, "logit_scale", *vision_keys]:
            if key not in weights:
                raise ValueError(f"These weights are not a CLIP's: the tensor {key!r} is missing.")
        grid = round((len(weights[vision_keys[1]]) - 1) ** 0.5)
        layers: int | tuple[int, ...]
        text_width = weights["ln_final.weight"].shape[0]
        if is_vit:
            patch_size = weights["visual.conv1.weight"].shape[-1]
            vision_width = weights["visual.conv1.weight"].shape[0]
            layers = _count(weights, "visual.transformer.resblocks.")
            resolution = grid * patch_size
            vision_heads = _heads("vision", vision_width, vision_heads)
        else:
            patch_size = None
            vision_width = weights["visual.layer1.0.conv1.weight"].shape[0]
            layers = tuple(_count(weights, f"visual.layer{stage}.") for stage in (1, 2, 3, 4))
            resolution = grid * 32  # the trunk halves the image five times
            vision_heads = 0
        spec = cls(
            embed_dim=weights["text_projection"].shape[1],
            resolution=resolution,
            vision_width=vision_width,
            vision_layers=layers,
            vision_heads=vision_heads,
            vision_mlp_width=_mlp_width(weights, "visual.transformer.", vision_width) if is_vit else 0,
            patch_size=patch_size,
            text_width=text_width,
            text_layers=_count(weights, "transformer.resblocks."),
            text_heads=_heads("text", text_width, text_heads),
            text_mlp_width=_mlp_width(weights, "transformer.", text_width),
            context_length=weights["positional_embedding"].shape[0],
            vocabulary=weights["token_embedding.weight"].shape[0],
        )
        if spec.vocabulary != len(tokenizer().encoder):
            raise ValueError(
                f"The token embedding has {spec.vocabulary} rows: CLIP's tokenizer knows {len(tokenizer().encoder)}."
            )
        return spec


def _count(weights: Mapping[str, Tensor], prefix: str) -> int:
    return len({key[len(prefix) :].split(".")[0] for key in weights if key.startswith(prefix)})


def _heads(tower: str, width: int, heads: int | None) -> int:
    if heads is None:
        if width % HEAD_WIDTH:
            raise ValueError(f"The {tower} tower is {width} wide: CLIP's widths are multiples of {HEAD_WIDTH}.")
        return width // HEAD_WIDTH
    if width % heads:
        raise ValueError(f"The {tower} tower is {width} wide, which is no multiple of its {heads} heads.")
    return heads


def _mlp_width(weights: Mapping[str, Tensor], prefix: str, width: int) -> int:
    """Read from the first block; OpenAI's four times the width if there is none (which is found out later)."""
    bias = weights.get(f"{prefix}resblocks.0.mlp.c_fc.bias")
    return 4 * width if bias is None else len(bias)


class Backbone(nn.Module):
    """Frozen CLIP (arXiv 2103.00020) whose encoders take `Prompts`.

    Args:
        weights: a state dict under OpenAI's names, in any floating-point type.
        precision: a name of `prompted_clip.precision.PRECISIONS`.
        device: where to compute.
        activation: of the MLPs: "quick_gelu" as OpenAI's models, or "gelu".
        vision_heads, text_heads: attention heads of the towers; None: 64 wide, as OpenAI's.

    Raises:
        ValueError: weights that are not a CLIP's: names what is missing, left over, or of another shape.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        *,
        precision: str = "auto",
        device: torch.device | str = "cpu",
        activation: str = "quick_gelu",
        vision_heads: int | None = None,
        text_heads: int | None = None,
    ) -> None:
        super().__init__()
        self.spec = spec = BackboneSpec.from_state_dict(weights, vision_heads=vision_heads, text_heads=text_heads)
        self.precision: Precision = resolve_precision(precision, device)
        self.device = torch.device(device)
        with torch.device("meta"):
            self.text = TextTransformer(
                vocabulary=spec.vocabulary,
                context_length=spec.context_length,
                width=spec.text_width,
                heads=spec.text_heads,
                layers=spec.text_layers,
                mlp_width=spec.text_mlp_width,
                out_dim=spec.embed_dim,
                activation=activation,
            )
            self.visual = _image_encoder(spec, activation)
        _fill(self.text, {k: v for k, v in weights.items() if not k.startswith("visual.") and k != "logit_scale"})
        _fill(
            self.visual.body if isinstance(self.visual, ResNetEncoder) else self.visual,
            {k.removeprefix("visual."): v for k, v in weights.items() if k.startswith("visual.")},
        )
        for tower in (self.text, self.visual):
            tower.cast(self.precision)
        self.logit_scale = nn.Parameter(weights["logit_scale"].detach().to(self.precision.output))
        self.to(device)
        self.requires_grad_(False)
        self.eval()
        self._compiled = False

    def compile_encoders(self) -> None:
        """Compile both encoders at their first call (`torch.compile`; on CUDA with CUDA graphs).

        The functions stay the same up to rounding. It takes a minute, and pays on a GPU, where a step at batch 4 is
        mostly launch overhead.
        """
        mode = "reduce-overhead" if self.device.type == "cuda" else "default"
        self.visual.compile(mode=mode)
        self.text.compile(mode=mode)
        self._compiled = True

    def encode_image(self, images: Tensor, prompts: Prompts | None = None, adapters: Adapters | None = None) -> Tensor:
        """(B, 3, H, W) normalised images → (B, d) features, not normalised, at least float32."""
        return self._own(self.visual(images, prompts, adapters).features)

    def encode_text(
        self,
        classes: ClassPrompts,
        prompts: Prompts | None = None,
        adapters: Adapters | None = None,
        *,
        chunk: int = 0,
        recompute: bool = False,
    ) -> Tensor:
        """Class prompts → (C, d) features, or (B, C, d) with prompts per image; see `TextTransformer.forward`."""
        return self._own(self.text(classes, prompts, adapters, chunk=chunk, recompute=recompute).features)

    def read_image(
        self,
        images: Tensor,
        prompts: Prompts | None = None,
        adapters: Adapters | None = None,
        *,
        patches: bool = False,
    ) -> TowerOutput:
        """`encode_image`'s features with the rows of the prompts, and of the patches if asked for."""
        return self._own_all(self.visual(images, prompts, adapters, read_prompts=True, read_patches=patches))

    def read_text(
        self,
        classes: ClassPrompts,
        prompts: Prompts | None = None,
        adapters: Adapters | None = None,
        *,
        chunk: int = 0,
        recompute: bool = False,
    ) -> TowerOutput:
        """`encode_text`'s features with the rows of the prompts."""
        return self._own_all(self.text(classes, prompts, adapters, chunk=chunk, recompute=recompute, read_prompts=True))

    def _own(self, features: Tensor) -> Tensor:
        """The features in the output type, in memory that a later replay of a CUDA graph does not write to."""
        return features.to(self.precision.output, copy=self._compiled)

    def _own_all(self, output: TowerOutput) -> TowerOutput:
        return TowerOutput(self._own(output.features), *(p if p is None else self._own(p) for p in output[1:]))

    def logits(self, image_features: Tensor, text_features: Tensor) -> Tensor:
        """exp(logit_scale) · cos(image, text): (B, d) and (C, d) or (B, C, d) → (B, C)."""
        image = F.normalize(image_features, dim=-1)
        text = F.normalize(text_features, dim=-1)
        cosine = image @ text.t() if text.dim() == 2 else torch.einsum("bd,bcd->bc", image, text)
        return self.logit_scale.exp() * cosine

    def embed_tokens(self, token_ids: list[int]) -> Tensor:
        """Token embeddings, without position: n ids → (n, d_l) float32 copy, on the backbone's device."""
        return self.text.token_embedding.weight[token_ids].detach().float().clone()


def _image_encoder(spec: BackboneSpec, activation: str) -> VisionTransformer | ResNetEncoder:
    if spec.patch_size is None:
        assert isinstance(spec.vision_layers, tuple)
        return ResNetEncoder(
            layers=spec.vision_layers, width=spec.vision_width, resolution=spec.resolution, out_dim=spec.embed_dim
        )
    assert isinstance(spec.vision_layers, int)
    return VisionTransformer(
        resolution=spec.resolution,
        patch_size=spec.patch_size,
        width=spec.vision_width,
        heads=spec.vision_heads,
        layers=spec.vision_layers,
        mlp_width=spec.vision_mlp_width,
        out_dim=spec.embed_dim,
        activation=activation,
    )


def _fill(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give a module the tensors of a state dict, all of them and no others."""
    own = module.state_dict()
    missing = sorted(set(own) - set(weights))
    leftover = sorted(set(weights) - set(own))
    if missing or leftover:
        parts = [f"missing {missing[:3]}"] if missing else []
        parts += [f"unknown {leftover[:3]}"] if leftover else []
        raise ValueError(f"These weights do not make a whole CLIP: {' and '.join(parts)}.")
    for name, tensor in own.items():
        if tensor.shape != weights[name].shape:
            raise ValueError(
                f"The tensor {name!r} has shape {tuple(weights[name].shape)}: expected {tuple(tensor.shape)}."
            )
    module.load_state_dict({k: weights[k].detach().clone() for k in own}, assign=True)


def load_backbone(
    name_or_path: str,
    *,
    precision: str = "auto",
    device: torch.device | str = "cpu",
    cache_dir: str | Path | None = None,
) -> Backbone:
    """Load a frozen CLIP by name or from a file.

    Args:
        name_or_path: "ViT-B/16" and OpenAI's other names (downloaded and checked against their SHA-256),
            "mini_clip" (comes with the project), "open_clip:<model>/<pretrained>" (OpenCLIP's tag, or a path to such
            weights), or a path to a state dict or a TorchScript archive.
        precision: fp32, fp16, bf16, amp, or auto (by device).
        device: where to compute.
        cache_dir: where downloads are kept (default ``~/.cache/clip``; for OpenCLIP's, where open_clip keeps them).

    Raises:
        ValueError, FileNotFoundError, OSError: unknown name, no such file, a damaged or foreign one, a failed download.
        ImportError: one of OpenCLIP's names without its package.
    """
    path = find_weights(name_or_path, cache_dir)
    try:
        if not name_or_path.startswith(OPEN_CLIP):
            return Backbone(read_state_dict(path), precision=precision, device=device)
        model = OpenClipModel.parse(name_or_path)
        if model.notice:
            print(model.notice)
        return Backbone(
            model.conform(read_state_dict(path)),
            precision=precision,
            device=device,
            activation=model.activation,
            vision_heads=model.vision_heads,
            text_heads=model.text_heads,
        )
    except ValueError as error:
        if str(path) in str(error):
            raise
        raise ValueError(f"Backbone file {path}: {error}") from error
