"""The prompted text encoder: shared prefix once, suffixes packed, nothing after end-of-text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from prompted_clip.adapters import NOTHING, Adapters
from prompted_clip.attention import attend, read_out
from prompted_clip.classnames import ClassPrompts
from prompted_clip.layers import FrozenLayerNorm, Transformer, cast_tower, frozen_parameter
from prompted_clip.precision import Precision
from prompted_clip.prompts import Prompts, TextAxis, TowerOutput, blend, deep_prompts


class TokenEmbedding(nn.Module):
    """The table of token embeddings, (vocabulary, width)."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.weight = frozen_parameter(vocabulary, width)


class TextTransformer(nn.Module):
    """CLIP's causal text tower on packed class prompts (see `ClassPrompts`).

    Context tokens enter before the positional embedding is added; deep prompts replace the rows of the context before
    blocks 1 … J−1, without positional embedding (arXiv 2210.03117, section 3.1). Late tokens stand behind
    start-of-text.
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
        self,
        classes: ClassPrompts,
        prompts: Prompts | None = None,
        adapters: Adapters | None = None,
        *,
        chunk: int = 0,
        recompute: bool = False,
        read_prompts: bool = False,
    ) -> TowerOutput:
        """Encode class prompts.

        Args:
            classes: C packed class prompts, on the encoder's device.
            prompts: text prompts that fill the context slots; None where there are no slots.
            adapters: what is added inside the blocks.
            chunk: classes per pass, 0 for all at once. The result is the same; memory is not.
            recompute: keep no activations, compute each pass again in the backward pass.
            read_prompts: give the rows of the prompts too.

        Returns:
            (C, d) features in the order of the class names, or (B, C, d) for prompts per image; not normalised; and
            the rows that were asked for.

        Raises:
            ValueError: prompts or adapters that do not fit the class prompts or the tower.
        """
        prompts, adapters = prompts or Prompts(), adapters or Adapters()
        layers = len(self.transformer.blocks)
        prompts.check_text(
            width=self.width,
            layers=layers,
            n_ctx=classes.n_ctx,
            n_classes=classes.n_classes,
            shared_slots=classes.shared_slots,
        )
        adapters.check("text", layers=layers)
        read_prompts = read_prompts and (classes.n_ctx > 0 or prompts.text_late is not None)
        run: Callable[..., tuple[Tensor | None, ...]] = self._encode
        if recompute and torch.is_grad_enabled():
            run = partial(checkpoint, self._encode, use_reentrant=False)
        if 0 < chunk < classes.n_classes:
            groups = classes.chunks(chunk)
            members = torch.tensor([i for group, _ in groups for i in group], device=classes.token_ids.device)
            order = torch.argsort(members)
            parts = [
                run(part.token_ids, part, prompts.of_classes(group), adapters, read_prompts) for group, part in groups
            ]
            features, context = (_join(column, order) for column in list(zip(*parts, strict=True))[:2])
            late = parts[0][2]  # the same for all classes
        else:
            features, context, late = run(classes.token_ids, classes, prompts, adapters, read_prompts)
        assert features is not None
        n = prompts.n_images
        return TowerOutput(_of_images(features, n), _of_images(context, n), _of_images(late, n))

    def _encode(
        self, _: Tensor, classes: ClassPrompts, prompts: Prompts, adapters: Adapters, read_prompts: bool
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """(N, C, d) features of all classes at once, N images or 1; the rows of context and late tokens if asked for.

        The first argument tells `checkpoint` on which device random numbers are drawn: it looks at tensors only.
        """
        x = self._embed(classes, prompts)  # (N, P + G · W, d_l)
        blocks, late = self.transformer.blocks, prompts.text_late
        for k, block in enumerate(blocks):
            deep, keep = deep_prompts(prompts.text_deep, prompts.text_keep, k)
            if deep is not None:
                tokens = _slot_tokens(classes, deep, prompts.text_axis).to(x.dtype)
                x = _fill(x, classes, tokens, keep)
            if late is not None:
                x = late.enter(x, k, 1)
                if k == late.start:
                    classes = classes.insert(late.n_tokens)
            adapter = adapters.text.get(k, NOTHING)
            if k < len(blocks) - 1 or read_prompts:
                x = block(x, partial(attend, classes), adapter)
            else:
                pick = partial(torch.index_select, dim=1, index=classes.eos_rows)
                x = block.readout(x, pick, partial(read_out, classes), adapter)
        if not read_prompts:
            return self.ln_final(x) @ self.text_projection, None, None
        features = self.ln_final(x.index_select(1, classes.eos_rows)) @ self.text_projection
        context = self.ln_final(x[:, _context_rows(classes)]) if classes.n_ctx else None
        return features, context, self.ln_final(x[:, 1 : 1 + late.n_tokens]) if late is not None else None

    def _embed(self, classes: ClassPrompts, prompts: Prompts) -> Tensor:
        with torch.no_grad():
            positions = self.positional_embedding[classes.positions]
            x = (self.token_embedding.weight[classes.token_ids] + positions)[None]
        if prompts.text is None:
            return x
        tokens = _slot_tokens(classes, prompts.text, prompts.text_axis).to(x.dtype)
        return _fill(x, classes, tokens + positions[classes.slot_rows])


def _slot_tokens(classes: ClassPrompts, prompts: Tensor, axis: TextAxis) -> Tensor:
    """What stands in each slot, (N, S, d_l)."""
    if prompts.dim() == 2:
        return prompts[classes.slot_tokens][None]
    if axis == "class":
        return prompts[classes.slot_classes, classes.slot_tokens][None]
    return prompts[:, classes.slot_tokens]


def _fill(x: Tensor, classes: ClassPrompts, tokens: Tensor, keep: float = 0.0) -> Tensor:
    """(N or 1, R, d_l) with the rows of the slots replaced by (N or 1, S, d_l)."""
    n = max(len(x), len(tokens))
    x = x.expand(n, -1, -1)
    if keep:
        tokens = blend(tokens, x.index_select(1, classes.slot_rows), keep)
    return x.index_copy(1, classes.slot_rows, tokens.expand(n, -1, -1))


def _context_rows(classes: ClassPrompts) -> Tensor:
    """(C, b) the row of each class's context tokens."""
    rows = classes.slot_rows.new_zeros(classes.n_classes, classes.n_ctx)
    rows[classes.slot_classes, classes.slot_tokens] = classes.slot_rows
    return torch.where(rows[0] < classes.prefix_length, rows[0], rows)  # shared ones are written down for class 0


def _of_images(rows: Any, n: int | None) -> Any:
    """(N or 1, …) → (N, …), or without that axis for None; None stays None."""
    if rows is None or len(rows) == n:
        return rows
    return rows[0] if n is None else rows.expand(n, *rows.shape[1:])  # all that differs by image was kept out


def _join(parts: Sequence[Tensor | None], order: Tensor) -> Tensor | None:
    """(N, classes, …) of every group → (N, C, …), in the classes' order."""
    known = [part for part in parts if part is not None]
    return torch.cat(known, dim=1).index_select(1, order) if known else None
