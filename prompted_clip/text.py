"""The prompted text encoder: shared prefix once, suffixes packed, nothing after end-of-text."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from prompted_clip.attention import attend, read_out
from prompted_clip.classnames import ClassPrompts
from prompted_clip.layers import FrozenLayerNorm, Transformer, cast_tower, frozen_parameter
from prompted_clip.precision import Precision
from prompted_clip.prompts import Prompts


class TokenEmbedding(nn.Module):
    """The table of token embeddings, (vocabulary, width)."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.weight = frozen_parameter(vocabulary, width)


class TextTransformer(nn.Module):
    """CLIP's causal text tower on packed class prompts (see `ClassPrompts`).

    Context tokens enter before the positional embedding is added; deep prompts replace the rows of the context before
    blocks 1 … J−1, without positional embedding (arXiv 2210.03117, section 3.1).
    """

    def __init__(
        self,
        *,
        vocabulary: int,
        context_length: int,
        width: int,
        heads: int,
        layers: int,
        mlp_width: int,
        out_dim: int,
        activation: str,
    ) -> None:
        super().__init__()
        self.width = width
        self.context_length = context_length
        self.token_embedding = TokenEmbedding(vocabulary, width)
        self.positional_embedding = frozen_parameter(context_length, width)
        self.transformer = Transformer(width, heads, layers, mlp_width, activation)
        self.ln_final = FrozenLayerNorm(width)
        self.text_projection = frozen_parameter(width, out_dim)

    def cast(self, precision: Precision) -> None:
        cast_tower(self, precision)

    def forward(
        self, classes: ClassPrompts, prompts: Prompts | None = None, *, chunk: int = 0, recompute: bool = False
    ) -> Tensor:
        """Encode class prompts.

        Args:
            classes: C packed class prompts, on the encoder's device.
            prompts: text prompts that fill the context slots; None where there are no slots.
            chunk: classes per pass, 0 for all at once. The result is the same; memory is not.
            recompute: keep no activations, compute each pass again in the backward pass.

        Returns:
            (C, d) features in the order of the class names, or (B, C, d) for prompts per image; not normalised.

        Raises:
            ValueError: prompts that do not fit the class prompts or the tower.
        """
        prompts = prompts or Prompts()
        prompts.check_text(
            width=self.width,
            layers=len(self.transformer.blocks),
            n_ctx=classes.n_ctx,
            n_classes=classes.n_classes,
        )
        run: Callable[..., Tensor] = self._encode
        if recompute and torch.is_grad_enabled():
            run = partial(checkpoint, self._encode, use_reentrant=False)
        deep = tuple(prompts.text_deep)
        if 0 < chunk < classes.n_classes:
            groups = classes.chunks(chunk)
            members = torch.tensor([i for group, _ in groups for i in group], device=classes.token_ids.device)
            features = torch.cat(
                [run(part, self._context(prompts, group), *deep) for group, part in groups], dim=1
            ).index_select(1, torch.argsort(members))
        else:
            features = run(classes, self._context(prompts, None), *deep)
        return features if prompts.text_axis == "image" else features[0]

    @staticmethod
    def _context(prompts: Prompts, group: list[int] | None) -> Tensor | None:
        """The shallow prompts as (N, C or 1, b, d_l), N images or 1, for a group of classes (None: all)."""
        text = prompts.text
        if text is None:
            return None
        if prompts.text_axis == "class":
            return text[None] if group is None else text[None, group]
        return text[:, None] if prompts.text_axis == "image" else text[None, None]

    def _encode(self, classes: ClassPrompts, context: Tensor | None, *deep: Tensor) -> Tensor:
        """(N, C, d) features of all classes at once."""
        x = self._embed(classes, context)  # (N, P + G · W, d_l)
        blocks = self.transformer.blocks
        for k, block in enumerate(blocks):
            if 1 <= k <= len(deep):
                rows = deep[k - 1].to(x.dtype)[classes.slot_tokens]
                x = x.index_copy(1, classes.slot_rows, rows.expand(len(x), -1, -1))
            if k < len(blocks) - 1:
                x = block(x, partial(attend, classes))
            else:
                x = block.readout(x, lambda rows: rows.index_select(1, classes.eos_rows), partial(read_out, classes))
        return self.ln_final(x) @ self.text_projection

    def _embed(self, classes: ClassPrompts, context: Tensor | None) -> Tensor:
        with torch.no_grad():
            positions = self.positional_embedding[classes.positions]
            x = (self.token_embedding.weight[classes.token_ids] + positions)[None]
        if context is None:
            return x
        owner = classes.slot_classes if context.shape[1] > 1 else torch.zeros_like(classes.slot_classes)
        tokens = context[:, owner, classes.slot_tokens].to(x.dtype)  # (N, S, d_l)
        tokens = tokens + positions[classes.slot_rows]
        return x.expand(len(tokens), -1, -1).index_copy(1, classes.slot_rows, tokens)
