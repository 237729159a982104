"""The usual implementation of methods that came after MaPLe: oracles of the parity tests, in the manner of `baseline`.

Plain PyTorch on OpenAI's own `clip.model` modules; every text is run at full context length for every batch, and each
line follows from an equation. `losses` gives the terms of the method's loss by name, each already multiplied by its
weight; the loss is their sum.

KgCoOp: arXiv 2303.13283. PromptSRC: arXiv 2307.06948. TCP: arXiv 2311.18231. CLIP-Adapter: arXiv 2110.04544.
CLIP-LoRA: arXiv 2405.18541.

Symbols: B images, C classes, L context length, d_l and d_v widths of the text and the vision tower, d joint width,
b context tokens. f and g are the method's image and text features, f⁰ and g⁰ those of frozen CLIP; a hat means divided
by the length; s = exp(logit_scale); blocks are counted from 0.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from clip.model import CLIP, QuickGELU, ResidualAttentionBlock, VisionTransformer
from torch import Tensor, nn

from bench.baseline import UsualIVLP, _normal, _token_count, _Usual
from bench.openai_towers import cosine_logits, encode_image, encode_text, tokenize


def unit(features: Tensor) -> Tensor:
    """Features (N, d), each divided by its length."""
    return features / features.norm(dim=-1, keepdim=True)


def frozen_text(clip_model: CLIP, classnames: Sequence[str], templates: Sequence[str]) -> Tensor:
    """g⁰ (C, d): mean over the templates of frozen CLIP's text features, un-normalised; `{}` stands for the name."""
    total = torch.zeros((), dtype=clip_model.dtype, device=clip_model.positional_embedding.device)
    with torch.no_grad():
        for template in templates:
            tokens = tokenize(clip_model, [template.format(name) for name in classnames])
            total = total + encode_text(clip_model, clip_model.token_embedding(tokens), tokens)
    return total / len(templates)


def gaussian_weights(epochs: int, mean: float, std: float) -> list[float]:
    """w_e ∝ exp(−(e − mean)² / (2 std²)) for e = 1 … `epochs`, Σ w_e = 1."""
    e = torch.arange(1, epochs + 1, dtype=torch.float64)
    return torch.softmax(-((e - mean) ** 2) / (2 * std**2), dim=0).tolist()


def gaussian_average(states: Sequence[Mapping[str, Tensor]], mean: float, std: float) -> dict[str, Tensor]:
    """PromptSRC's Gaussian prompt aggregation, Σ_e w_e θ_e, added up epoch by epoch.

    Args:
        states: the learned tensors by name, as they are after each epoch from the first to the last.
        mean: epoch of the largest weight.
        std: of the weights, in epochs.

    Returns:
        The tensors that the model has in the end.
    """
    total = {name: torch.zeros_like(tensor) for name, tensor in states[0].items()}
    for weight, state in zip(gaussian_weights(len(states), mean, std), states, strict=True):
        for name, tensor in state.items():
            total[name] = total[name] + weight * tensor
    return total


class _Successor(_Usual):
    """A method whose features are `text_features` and `image_features`, and whose loss begins with cross entropy."""

    def _first_context(self, n_ctx: int, ctx_init: str, text: str = "{}.") -> nn.Parameter:
        """Sets the texts "<context> <text>" and returns the context (b, d_l), as CoOp has it.

        With words: their embeddings, b being their number. Without: N(0, 0.02²) on `n_ctx` placeholder words.
        """
        words = ctx_init or " ".join(["X"] * n_ctx)
        self.tokens = tokenize(self.clip_model, [f"{words} {text.format(name)}" for name in self.classnames])  # (C, L)
        self.embedded = self.clip_model.token_embedding(self.tokens)  # (C, L, d_l)
        n_ctx = _token_count(words)
        if ctx_init:
            return nn.Parameter(self.embedded[0, 1 : 1 + n_ctx].clone())
        return _normal(self.clip_model, n_ctx, self.embedded.shape[-1])

    def text_features(self) -> Tensor:
        """(C, d), not normalised."""
        raise NotImplementedError

    def image_features(self, images: Tensor) -> Tensor:
        """(B, d), not normalised; frozen CLIP's unless the method says otherwise."""
        return encode_image(self.clip_model, images)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) → logits (B, C)."""
        return cosine_logits(self.clip_model, self.image_features(images), self.text_features())

    def losses(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Images (B, 3, H, W) and labels (B,) → the terms of the loss."""
        return {"ce": F.cross_entropy(self(images), labels)}


class _KnowledgeGuided(_Successor):
    """With the second term weight · (1 − mean over all C classes of cos(g_c, g⁰_c)), named "kg"."""

    weight: float
    teacher: Tensor  # g⁰ (C, d)

    def losses(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Images (B, 3, H, W) and labels (B,) → the terms of the loss."""
        text = self.text_features()
        logits = cosine_logits(self.clip_model, self.image_features(images), text)
        cosine = (unit(text) * unit(self.teacher)).sum(dim=-1)  # (C,)
        return {"ce": F.cross_entropy(logits, labels), "kg": self.weight * (1 - cosine.mean())}


class UsualKgCoOp(_KnowledgeGuided):
    """KgCoOp: CoOp's shared context, kept near the features of a hand-written template.

    Loss: CE(s f̂⁰ ĝᵀ, y) + weight · (1 − mean_c cos(g_c, g⁰_c)). Parameter: `ctx` (b, d_l).

    Args:
        clip_model: float32 or float64, ViT or ResNet; gets frozen.
        classnames: C names.
        n_ctx: b; with `ctx_init` its number of words counts instead.
        ctx_init: words of the first context; "" for N(0, 0.02²).
        teacher_template: of g⁰, with `{}` for the name.
        weight: of the second term.
    """

    def __init__(
        self,
        clip_model: CLIP,
        classnames: Sequence[str],
        *,
        n_ctx: int = 4,
        ctx_init: str = "a photo of a",
        teacher_template: str = "a photo of a {}.",
        weight: float = 8.0,
    ) -> None:
        super().__init__(clip_model, classnames)
        self.ctx = self._first_context(n_ctx, ctx_init)
        self.teacher = frozen_text(clip_model, self.classnames, [teacher_template])
        self.weight = weight

    def text_features(self) -> Tensor:
        """(C, d), not normalised."""
        return encode_text(self.clip_model, self._with_context(self.ctx), self.tokens)


class _TextualMetaNet(nn.Module):
    """Linear(d, d/4), QuickGELU, Linear(d/4, b · d_l): a class's text feature → its context tokens."""

    def __init__(self, clip_model: CLIP, n_ctx: int) -> None:
        super().__init__()
        d_l, d = clip_model.text_projection.shape
        like = clip_model.positional_embedding
        self.linear1 = nn.Linear(d, d // 4, dtype=like.dtype, device=like.device)
        self.gelu = QuickGELU()
        self.linear2 = nn.Linear(d // 4, n_ctx * d_l, dtype=like.dtype, device=like.device)
        self.shape = (n_ctx, d_l)

    def forward(self, features: Tensor) -> Tensor:
        """(C, d) → (C, b, d_l)."""
        return self.linear2(self.gelu(self.linear1(features))).unflatten(-1, self.shape)


class UsualTCP(_KnowledgeGuided):
    """TCP: before block `layer` of the text tower, class c's context rows become t_c = meta_net(ĝ⁰_c).

    Loss: CE + weight · (1 − mean_c cos(g_c, g⁰_c)).
    Parameters: `ctx` (b, d_l), `meta_net.linear1.*`, `meta_net.linear2.*`.

    Args:
        clip_model: float32 or float64, ViT or ResNet; gets frozen.
        classnames: C names; t_c of new ones comes from their own g⁰.
        n_ctx: b; with `ctx_init` its number of words counts instead.
        ctx_init: words of the first context; "" for N(0, 0.02²).
        text: what follows the context, with `{}` for the name, e.g. `"{}, a type of pet."`, `"person doing {}."`.
        teacher_template: of g⁰, with `{}` for the name.
        layer: the block, 1 or more; 8 of 12 in the public code.
        weight: of the second term.

    Raises:
        ValueError: the text tower has no such block.
    """

    def __init__(
        self,
        clip_model: CLIP,
        classnames: Sequence[str],
        *,
        n_ctx: int = 4,
        ctx_init: str = "",
        text: str = "{}.",
        teacher_template: str = "a photo of a {}.",
        layer: int = 8,
        weight: float = 8.0,
    ) -> None:
        super().__init__(clip_model, classnames)
        last = len(clip_model.transformer.resblocks) - 1
        if not 1 <= layer <= last:
            raise ValueError(f"layer is {layer}, but must be a block of the text tower from 1 to {last}")
        self.ctx = self._first_context(n_ctx, ctx_init, text)
        self.teacher = frozen_text(clip_model, self.classnames, [teacher_template])
        self.meta_net = _TextualMetaNet(clip_model, len(self.ctx))
        self.layer = layer
        self.weight = weight

    def text_features(self) -> Tensor:
        """(C, d), not normalised."""
        per_class = self.meta_net(unit(self.teacher))  # (C, b, d_l)
        deep = [None] * (self.layer - 1) + [per_class]
        return encode_text(self.clip_model, self._with_context(self.ctx), self.tokens, deep)


class UsualPromptSRC(UsualIVLP):
    """PromptSRC: IVLP's prompts, kept near frozen CLIP's features and logits.

    Loss: CE + text_weight · mean|ĝ − ĝ⁰| + image_weight · mean|f̂ − f̂⁰| + KL, the means over all C·d and B·d elements,
    KL = (1 / (B·C)) Σ_b Σ_c p⁰ (log p⁰ − log p), p⁰ = softmax(s f̂⁰ ĝ⁰ᵀ). The average over the epochs, the third part of
    the method, is `gaussian_average`. Parameters: those of `UsualIVLP`.

    Args:
        clip_model: float32 or float64; gets frozen.
        classnames: C names.
        n_ctx_vision: b of the vision tower; 0 with `depth_vision` 0 for none.
        n_ctx_text: b of the text tower.
        depth_vision: prompted layers of the vision tower.
        depth_text: prompted layers of the text tower, at least 1.
        ctx_init: words of the first context; "" for none.
        teacher_templates: of g⁰, with `{}` for the name.
        text_weight: of the term "text".
        image_weight: of the term "image".
    """

    def __init__(
        self,
        clip_model: CLIP,
        classnames: Sequence[str],
        *,
        n_ctx_vision: int = 4,
        n_ctx_text: int = 4,
        depth_vision: int = 9,
        depth_text: int = 9,
        ctx_init: str = "a photo of a",
        teacher_templates: Sequence[str] = ("a photo of a {}.",),
        text_weight: float = 25.0,
        image_weight: float = 10.0,
    ) -> None:
        super().__init__(clip_model, classnames, n_ctx_vision, n_ctx_text, depth_vision, depth_text, ctx_init)
        self.teacher = frozen_text(clip_model, self.classnames, teacher_templates)
        self.text_weight = text_weight
        self.image_weight = image_weight

    def losses(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Images (B, 3, H, W) and labels (B,) → the terms of the loss."""
        text, image = self.text_features(), self.image_features(images)
        with torch.no_grad():
            frozen_image = encode_image(self.clip_model, images)
        logits = cosine_logits(self.clip_model, image, text)
        log_p = logits.log_softmax(dim=-1)
        log_p0 = cosine_logits(self.clip_model, frozen_image, self.teacher).log_softmax(dim=-1)
        return {
            "ce": F.cross_entropy(logits, labels),
            "text": self.text_weight * (unit(text) - unit(self.teacher)).abs().mean(),
            "image": self.image_weight * (unit(image) - unit(frozen_image)).abs().mean(),
            "kl": (log_p0.exp() * (log_p0 - log_p)).sum() / logits.numel(),
        }


class UsualCLIPAdapter(_Successor):
    """CLIP-Adapter: f ← ratio · A(f) + (1 − ratio) · f on un-normalised f, A(f) = ReLU(W₂ ReLU(W₁ f)). Loss: CE.

    Parameters: `fc.0.weight` (d / reduction, d), `fc.2.weight` (d, d / reduction).

    Args:
        clip_model: float32 or float64, ViT or ResNet; gets frozen.
        classnames: C names.
        template: of the text features, with `{}` for the name.
        ratio: share of the adapter's output.
        reduction: d over the adapter's inner width.
    """

    def __init__(
        self,
        clip_model: CLIP,
        classnames: Sequence[str],
        *,
        template: str = "a photo of a {}.",
        ratio: float = 0.2,
        reduction: int = 4,
    ) -> None:
        super().__init__(clip_model, classnames)
        self.fixed_text_features = frozen_text(clip_model, self.classnames, [template])
        like = clip_model.positional_embedding
        d = self.fixed_text_features.shape[-1]
        self.fc = nn.Sequential(
            nn.Linear(d, d // reduction, bias=False, dtype=like.dtype, device=like.device),
            nn.ReLU(),
            nn.Linear(d // reduction, d, bias=False, dtype=like.dtype, device=like.device),
            nn.ReLU(),
        )
        self.ratio = ratio

    def text_features(self) -> Tensor:
        """(C, d), not normalised."""
        return self.fixed_text_features

    def image_features(self, images: Tensor) -> Tensor:
        """(B, d), not normalised."""
        features = encode_image(self.clip_model, images)
        return self.ratio * self.fc(features) + (1 - self.ratio) * features


class _LowRank(nn.Module):
    """ΔW = B A · α/√r of one projection: A (r, D) Kaiming-uniform with a = √5, B (D, r) zero; dropout on its input."""

    def __init__(self, width: int, r: int, alpha: float, dropout: float, like: Tensor) -> None:
        super().__init__()
        self.w_lora_A = nn.Parameter(torch.empty(r, width, dtype=like.dtype, device=like.device))
        self.w_lora_B = nn.Parameter(torch.zeros(width, r, dtype=like.dtype, device=like.device))
        nn.init.kaiming_uniform_(self.w_lora_A, a=math.sqrt(5))
        self.dropout = nn.Dropout(dropout)
        self.scale = alpha / math.sqrt(r)

    def weight(self) -> Tensor:
        """ΔW (D, D)."""
        return self.w_lora_B @ self.w_lora_A * self.scale

    def forward(self, x: Tensor) -> Tensor:
        """(…, D) → (…, D)."""
        return self.dropout(x) @ self.weight().t()


class UsualCLIPLoRA(_Successor):
    """CLIP-LoRA: low-rank additions to the attention's q, k and v in every block of both towers. Loss: CE.

    Parameters: `layer_<i>.<q_proj|k_proj|v_proj>.w_lora_{A,B}`, the blocks of the text tower first, then the vision
    tower's.

    Args:
        clip_model: float32 or float64, with a ViT; gets frozen.
        classnames: C names.
        template: of the texts, with `{}` for the name.
        r: rank.
        alpha: ΔW is multiplied by alpha / √r.
        dropout: on the input of the low-rank path, drawn for each projection by itself, in training mode.

    Raises:
        ValueError: the image tower is not a ViT.
    """

    def __init__(
        self,
        clip_model: CLIP,
        classnames: Sequence[str],
        *,
        template: str = "a photo of a {}.",
        r: int = 2,
        alpha: float = 1.0,
        dropout: float = 0.25,
    ) -> None:
        super().__init__(clip_model, classnames)
        if not isinstance(clip_model.visual, VisionTransformer):
            raise ValueError("CLIP-LoRA needs a ViT, but the image tower is a ResNet: use a ViT backbone")
        self.tokens = tokenize(clip_model, [template.format(name) for name in self.classnames])  # (C, L)
        self.low_rank: list[dict[str, _LowRank]] = []  # of every block, by product
        for i, block in enumerate(self._blocks(clip_model)):
            like = block.attn.out_proj.weight
            self.low_rank.append({name: _LowRank(len(like), r, alpha, dropout, like) for name in "qkv"})
            layer = nn.ModuleDict({f"{name}_proj": low_rank for name, low_rank in self.low_rank[i].items()})
            self.add_module(f"layer_{i}", layer)

    @staticmethod
    def _blocks(clip_model: CLIP) -> list[ResidualAttentionBlock]:
        return [*clip_model.transformer.resblocks, *clip_model.visual.transformer.resblocks]

    def text_features(self) -> Tensor:
        """(C, d), not normalised."""
        deltas = self.low_rank[: len(self.clip_model.transformer.resblocks)]
        embedded = self.clip_model.token_embedding(self.tokens)
        return encode_text(self.clip_model, embedded, self.tokens, deltas=deltas)

    def image_features(self, images: Tensor) -> Tensor:
        """(B, d), not normalised."""
        deltas = self.low_rank[len(self.clip_model.transformer.resblocks) :]
        return encode_image(self.clip_model, images, deltas=deltas)

    def merged(self) -> CLIP:
        """A copy of the model with W + ΔW in place of W: what is used for testing."""
        merged = copy.deepcopy(self.clip_model)
        with torch.no_grad():
            for block, low_rank in zip(self._blocks(merged), self.low_rank, strict=True):
                block.attn.in_proj_weight += torch.cat([low_rank[name].weight() for name in "qkv"])
        return merged
