"""The usual implementation of prompt learning on CLIP: the benchmark's baseline and the oracle of the parity tests.

Plain PyTorch on OpenAI's own `clip.model` modules from the installed `openai-clip`. Every class name is run as a
sequence of the model's full context length, text features are recomputed for every batch, and deep prompts are put in
by hand between the residual blocks. Nothing here is clever, on purpose: each line follows from an equation.

MaPLe: Khattak et al., CVPR 2023 (arXiv 2210.03117). CoOp: arXiv 2109.01134. CoCoOp: arXiv 2203.05557.
CLIP: arXiv 2103.00020.

Symbols in the shapes: B images, C classes, L context length, d_l and d_v widths of the text and the vision tower,
d joint width, b context tokens, J prompt depth.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from clip.model import CLIP
from clip.simple_tokenizer import SimpleTokenizer
from torch import Tensor, nn

from bench.openai_towers import cosine_logits, encode_image, encode_text, prompt_texts, tokenize

__all__ = [
    "UsualCoCoOp",
    "UsualCoOp",
    "UsualIVLP",
    "UsualMaPLe",
    "UsualVPT",
    "UsualZeroshot",
    "cosine_logits",
    "encode_image",
    "encode_text",
    "prompt_texts",
    "tokenize",
]

PROMPT_STD = 0.02
_TOKENIZER = SimpleTokenizer()


def _normal(clip_model: CLIP, *shape: int) -> nn.Parameter:
    """A parameter drawn from N(0, 0.02²) in the model's type and on its device."""
    like = clip_model.positional_embedding
    return nn.Parameter(torch.randn(*shape, dtype=like.dtype, device=like.device) * PROMPT_STD)


def _token_count(text: str) -> int:
    return len(_TOKENIZER.encode(text))


class _Usual(nn.Module):
    """Common to all: a frozen CLIP that is not part of the state dict, class names, token ids, token embeddings."""

    def __init__(self, clip_model: CLIP, classnames: Sequence[str]) -> None:
        super().__init__()
        clip_model.requires_grad_(False)
        # Kept in a tuple: state_dict() and parameters() then hold what the method learns, and nothing else.
        self._clip = (clip_model,)
        self.classnames = [name.replace("_", " ") for name in classnames]

    @property
    def clip_model(self) -> CLIP:
        return self._clip[0]

    def _set_texts(self, words: str) -> None:
        self.tokens = tokenize(self.clip_model, prompt_texts(self.classnames, words))  # (C, L)
        self.embedded = self.clip_model.token_embedding(self.tokens)  # (C, L, d_l)

    def _context(self, n_ctx: int, ctx_init: str) -> nn.Parameter:
        """Sets the texts and returns the first context (b, d_l), as MaPLe and IVLP have it.

        With words and b <= 4: the embeddings of the first b of them, the other words staying frozen in the text.
        Otherwise N(0, 0.02²) on b placeholder words.
        """
        if n_ctx < 1:
            raise ValueError(f"n_ctx is {n_ctx}, but at least one context token is needed")
        if ctx_init and n_ctx <= 4:
            if _token_count(ctx_init) < n_ctx:
                raise ValueError(f"ctx_init {ctx_init!r} has fewer tokens than n_ctx = {n_ctx}")
            self._set_texts(ctx_init)
            return nn.Parameter(self.embedded[0, 1 : 1 + n_ctx].clone())
        self._set_texts(" ".join(["X"] * n_ctx))
        return _normal(self.clip_model, n_ctx, self.embedded.shape[-1])

    def _with_context(self, ctx: Tensor) -> Tensor:
        """(C, L, d_l): the class's text with positions 1..b replaced by ctx, (b, d_l) or (C, b, d_l)."""
        n_ctx = ctx.shape[-2]
        ctx = ctx.expand(len(self.classnames), -1, -1)
        return torch.cat([self.embedded[:, :1], ctx, self.embedded[:, 1 + n_ctx :]], dim=1)


class UsualZeroshot(_Usual):
    """Zero-shot CLIP: cosine with the mean of the normalised features over the templates, normalised again.

    Args:
        clip_model: float32 or float64; gets frozen.
        classnames: C names.
        templates: strings with one `{}` for the name, e.g. `"a photo of a {}."`.
    """

    def __init__(self, clip_model: CLIP, classnames: Sequence[str], templates: Sequence[str]) -> None:
        super().__init__(clip_model, classnames)
        self.templates = list(templates)

    def text_features(self) -> Tensor:
        """(C, d), normalised."""
        total: Tensor | None = None
        for template in self.templates:
            tokens = tokenize(self.clip_model, [template.format(name) for name in self.classnames])
            features = encode_text(self.clip_model, self.clip_model.token_embedding(tokens), tokens)
            features = features / features.norm(dim=-1, keepdim=True)
            total = features if total is None else total + features
        if total is None:
            raise ValueError("at least one template is needed, but the list is empty")
        mean = total / len(self.templates)
        return mean / mean.norm(dim=-1, keepdim=True)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) → logits (B, C)."""
        return cosine_logits(self.clip_model, encode_image(self.clip_model, images), self.text_features())


class UsualMaPLe(_Usual):
    """MaPLe: text prompts P_0 … P_{J−1}; vision prompts F_k(P_k) through one linear layer per depth.

    Parameters are named as in the public checkpoints (there with `prompt_learner.` in front):
    `ctx` (b, d_l), `proj`, `compound_prompts_text.{k-1}` (b, d_l), `compound_prompt_projections.{k-1}`, 1 ≤ k < J.

    Args:
        clip_model: float32 or float64, with a ViT; gets frozen.
        classnames: C names.
        n_ctx: b.
        depth: J, 1 to the number of layers.
        ctx_init: words of the first context; "" for none.
    """

    def __init__(
        self,
        clip_model: CLIP,
        classnames: Sequence[str],
        n_ctx: int = 2,
        depth: int = 9,
        ctx_init: str = "a photo of a",
    ) -> None:
        super().__init__(clip_model, classnames)
        self.ctx = self._context(n_ctx, ctx_init)
        d_l, d_v = self.ctx.shape[1], clip_model.visual.conv1.out_channels

        def linear() -> nn.Linear:
            return nn.Linear(d_l, d_v, dtype=self.ctx.dtype, device=self.ctx.device)

        self.proj = linear()
        self.compound_prompts_text = nn.ParameterList([_normal(clip_model, n_ctx, d_l) for _ in range(depth - 1)])
        first = linear()
        self.compound_prompt_projections = nn.ModuleList([linear() for _ in range(depth - 1)])
        for layer in self.compound_prompt_projections:
            layer.load_state_dict(first.state_dict())

    def text_features(self) -> Tensor:
        """(C, d), not normalised."""
        embedded = self._with_context(self.ctx)
        return encode_text(self.clip_model, embedded, self.tokens, list(self.compound_prompts_text))

    def image_features(self, images: Tensor) -> Tensor:
        """(B, d), not normalised."""
        pairs = zip(self.compound_prompt_projections, self.compound_prompts_text, strict=True)
        deep = [layer(prompt) for layer, prompt in pairs]
        return encode_image(self.clip_model, images, self.proj(self.ctx), deep)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) → logits (B, C)."""
        return cosine_logits(self.clip_model, self.image_features(images), self.text_features())


class UsualCoOp(_Usual):
    """CoOp: one learned context `ctx`, (b, d_l) or (C, b, d_l), in the text's first layer.

    Args:
        clip_model: float32 or float64, ViT or ResNet; gets frozen.
        classnames: C names.
        n_ctx: b; with `ctx_init` its number of words counts instead.
        csc: a context of its own for each class.
        position: "end" (context, name), "middle" (half, name, half) or "front" (name, context); "." and EOS stay last.
        ctx_init: words of the first context; "" for N(0, 0.02²).
    """

    def __init__(
        self,
        clip_model: CLIP,
        classnames: Sequence[str],
        n_ctx: int = 16,
        csc: bool = False,
        position: str = "end",
        ctx_init: str = "",
    ) -> None:
        super().__init__(clip_model, classnames)
        if position not in ("end", "middle", "front"):
            raise ValueError(f"position is {position!r}, but must be end, middle or front")
        self.position = position
        self.name_lengths = [_token_count(name) for name in self.classnames]
        words = ctx_init or " ".join(["X"] * n_ctx)
        n_ctx = _token_count(words)
        self._set_texts(words)
        shape = (len(self.classnames), n_ctx, self.embedded.shape[-1]) if csc else (n_ctx, self.embedded.shape[-1])
        if ctx_init:
            self.ctx = nn.Parameter(self.embedded[0, 1 : 1 + n_ctx].expand(shape).clone())
        else:
            self.ctx = _normal(clip_model, *shape)

    def text_features(self) -> Tensor:
        """(C, d), not normalised."""
        rows = []
        n_ctx = self.ctx.shape[-2]
        half = {"end": n_ctx, "middle": n_ctx // 2, "front": 0}[self.position]
        for i, name_length in enumerate(self.name_lengths):
            ctx = self.ctx[i] if self.ctx.dim() == 3 else self.ctx  # (b, d_l)
            sos, rest = self.embedded[i, :1], self.embedded[i, 1 + n_ctx :]
            rows.append(torch.cat([sos, ctx[:half], rest[:name_length], ctx[half:], rest[name_length:]], dim=0))
        return encode_text(self.clip_model, torch.stack(rows), self.tokens)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) → logits (B, C)."""
        return cosine_logits(self.clip_model, encode_image(self.clip_model, images), self.text_features())


class _MetaNet(nn.Module):
    """Linear(d, d/16), ReLU, Linear(d/16, d_l)."""

    def __init__(self, joint_width: int, text_width: int, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__()
        self.linear1 = nn.Linear(joint_width, joint_width // 16, dtype=dtype, device=device)
        self.linear2 = nn.Linear(joint_width // 16, text_width, dtype=dtype, device=device)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear2(torch.relu(self.linear1(x)))


class UsualCoCoOp(_Usual):
    """CoCoOp: every image i has its own context, ctx + meta_net(normalised image feature i), for all classes.

    Parameters: `ctx` (b, d_l), `meta_net.linear1.*`, `meta_net.linear2.*`.

    Args:
        clip_model: float32 or float64, ViT or ResNet; gets frozen.
        classnames: C names.
        n_ctx: b; with `ctx_init` its number of words counts instead.
        ctx_init: words of the first context; "" for N(0, 0.02²).
    """

    def __init__(
        self, clip_model: CLIP, classnames: Sequence[str], n_ctx: int = 4, ctx_init: str = "a photo of a"
    ) -> None:
        super().__init__(clip_model, classnames)
        words = ctx_init or " ".join(["X"] * n_ctx)
        n_ctx = _token_count(words)
        self._set_texts(words)
        d_l, d = clip_model.text_projection.shape
        if ctx_init:
            self.ctx = nn.Parameter(self.embedded[0, 1 : 1 + n_ctx].clone())
        else:
            self.ctx = _normal(clip_model, n_ctx, d_l)
        self.meta_net = _MetaNet(d, d_l, self.ctx.dtype, self.ctx.device)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) → logits (B, C); the text tower runs once per image."""
        features = encode_image(self.clip_model, images)
        normed = features / features.norm(dim=-1, keepdim=True)
        shifts = self.meta_net(normed.type(self.ctx.dtype))  # (B, d_l)
        rows = []
        for feature, shift in zip(features, shifts, strict=True):
            embedded = self._with_context(self.ctx + shift)
            text_features = encode_text(self.clip_model, embedded, self.tokens)
            rows.append(cosine_logits(self.clip_model, feature.unsqueeze(0), text_features))
        return torch.cat(rows)


class _DeepPrompts(nn.Module):
    """Per-layer prompts of one tower, named `transformer.resblocks.{k}.VPT_shallow`, k ≥ 1 (public names)."""

    def __init__(self, clip_model: CLIP, n_ctx: int, depth: int, width: int) -> None:
        super().__init__()
        blocks = nn.ModuleDict()
        for k in range(1, depth):
            blocks[str(k)] = nn.Module()
            blocks[str(k)].register_parameter("VPT_shallow", _normal(clip_model, n_ctx, width))
        self.transformer = nn.Module()
        self.transformer.add_module("resblocks", blocks)

    def deep(self) -> list[Tensor]:
        return list(self.transformer.parameters())


class _VisionPrompts(_DeepPrompts):
    """The same with the shallow prompt `VPT` (b, d_v)."""

    def __init__(self, clip_model: CLIP, n_ctx: int, depth: int) -> None:
        width = clip_model.visual.conv1.out_channels
        super().__init__(clip_model, n_ctx, depth, width)
        self.VPT = _normal(clip_model, n_ctx, width)


class UsualIVLP(_Usual):
    """Independent vision-language prompting: MaPLe's places, the towers' prompts being separate parameters.

    Parameters: `prompt_learner.ctx`, `image_encoder.VPT`, `image_encoder.transformer.resblocks.{k}.VPT_shallow`,
    `text_encoder.transformer.resblocks.{k}.VPT_shallow`, k ≥ 1.

    Args:
        clip_model: float32 or float64; gets frozen.
        classnames: C names.
        n_ctx_vision: b of the vision tower; 0 with `depth_vision` 0 for none.
        n_ctx_text: b of the text tower.
        depth_vision: prompted layers of the vision tower.
        depth_text: prompted layers of the text tower, at least 1.
        ctx_init: words of the first context; "" for none.
    """

    def __init__(
        self,
        clip_model: CLIP,
        classnames: Sequence[str],
        n_ctx_vision: int = 2,
        n_ctx_text: int = 2,
        depth_vision: int = 12,
        depth_text: int = 12,
        ctx_init: str = "a photo of a",
    ) -> None:
        super().__init__(clip_model, classnames)
        self.prompt_learner = nn.ParameterDict({"ctx": self._context(n_ctx_text, ctx_init)})
        self.text_encoder = _DeepPrompts(clip_model, n_ctx_text, depth_text, self.embedded.shape[-1])
        vision = n_ctx_vision > 0 and depth_vision > 0
        self.image_encoder = _VisionPrompts(clip_model, n_ctx_vision, depth_vision) if vision else None

    def text_features(self) -> Tensor:
        """(C, d), not normalised."""
        embedded = self._with_context(self.prompt_learner["ctx"])
        return encode_text(self.clip_model, embedded, self.tokens, self.text_encoder.deep())

    def image_features(self, images: Tensor) -> Tensor:
        """(B, d), not normalised."""
        if self.image_encoder is None:
            return encode_image(self.clip_model, images)
        return encode_image(self.clip_model, images, self.image_encoder.VPT, self.image_encoder.deep())

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) → logits (B, C)."""
        return cosine_logits(self.clip_model, self.image_features(images), self.text_features())


class UsualVPT(_Usual):
    """Deep vision prompting: vision prompts only; text features of "<ctx_init> <name>." computed once.

    Parameters: `image_encoder.VPT`, `image_encoder.transformer.resblocks.{k}.VPT_shallow`, k ≥ 1.

    Args:
        clip_model: float32 or float64, with a ViT; gets frozen.
        classnames: C names.
        n_ctx: b.
        depth: prompted layers.
        ctx_init: the fixed words in front of the name.
    """

    def __init__(
        self,
        clip_model: CLIP,
        classnames: Sequence[str],
        n_ctx: int = 8,
        depth: int = 12,
        ctx_init: str = "a photo of a",
    ) -> None:
        super().__init__(clip_model, classnames)
        self._set_texts(ctx_init)
        with torch.no_grad():
            self.fixed_text_features = encode_text(clip_model, self.embedded, self.tokens)
        self.image_encoder = _VisionPrompts(clip_model, n_ctx, depth)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) → logits (B, C)."""
        image_features = encode_image(self.clip_model, images, self.image_encoder.VPT, self.image_encoder.deep())
        return cosine_logits(self.clip_model, image_features, self.fixed_text_features)
