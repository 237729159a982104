"""Class names and templates → token ids with context slots, packed so that no token is computed twice.

Under CLIP's causal mask the end-of-text row depends on nothing after it, and what all classes begin with is the same
for all of them. So a set of class prompts is stored as one shared prefix and, per class, the tokens that follow,
without padding. `ClassPrompts` is that packed form.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Position = Literal["end", "middle", "front"]


@lru_cache(maxsize=1)
def tokenizer() -> Any:
    """CLIP's byte-pair tokenizer, from the openai-clip package (built once: its vocabulary takes a moment)."""
    with warnings.catch_warnings():
        # openai-clip imports pkg_resources, which warns, and leaves its vocabulary file open
        warnings.simplefilter("ignore")
        from clip import clip as openai_clip
    return openai_clip._tokenizer


def encode_words(text: str) -> list[int]:
    """Token ids of a text without the start and end tokens; ``_`` counts as a space."""
    return tokenizer().encode(text.replace("_", " "))


@dataclass(frozen=True)
class Padding:
    """Suffixes of C classes padded to the longest, S.

    Attributes:
        rows: (C, S) packed row of each place; a padded place repeats its class's last row.
        places: (T,) the places that are no padding, in the order of the packed rows.
        causal: (1, C, 1, S, P + S) True where a place may attend.
        present: (1, C, 1, 1, P + S) True where a key is no padding.
    """

    rows: Tensor
    places: Tensor
    causal: Tensor
    present: Tensor


@dataclass(frozen=True)
class ClassPrompts:
    """The prompts of C classes, packed: P shared prefix tokens, then T suffix tokens, class after class.

    Classes are ordered by suffix length, so that all classes of one length form a dense block.

    Attributes:
        token_ids: (P + T,) vocabulary ids; 0 where a context token enters.
        positions: (P + T,) position of each token in its class's sequence (for the positional embedding).
        slot_rows: (S,) rows of the packed matrix where context tokens enter.
        slot_tokens: (S,) which context token enters there (0 … n_ctx − 1).
        slot_classes: (S,) the class that the row belongs to; 0 for rows of the shared prefix.
        prefix_length: P.
        blocks: (number of classes, suffix length) of each dense block.
        eos_rows: (C,) rows of the end-of-text tokens, in packed order.
        restore: (C,) packed place of each class: ``features[restore]`` is in the order of the class names.
        n_ctx: context tokens per class.
        rows: the unpacked sequences, −1 − i standing for context token i.
    """

    token_ids: Tensor
    positions: Tensor
    slot_rows: Tensor
    slot_tokens: Tensor
    slot_classes: Tensor
    prefix_length: int
    blocks: tuple[tuple[int, int], ...]
    eos_rows: Tensor
    restore: Tensor
    n_ctx: int
    rows: tuple[tuple[int, ...], ...]

    @property
    def n_classes(self) -> int:
        return len(self.rows)

    def to(self, device: torch.device | str) -> ClassPrompts:
        """The same prompts with their index tensors on a device."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {k: v.to(device) for k, v in values.items() if isinstance(v, Tensor)}
        return replace(self, **moved)

    @cached_property
    def padding(self) -> Padding:
        """Where the suffixes lie when each is padded to the longest."""
        lengths = torch.tensor([length for count, length in self.blocks for _ in range(count)])  # packed order
        longest = int(lengths.max())
        steps = torch.arange(longest)
        starts = self.prefix_length + torch.cumsum(lengths, 0) - lengths
        present = steps < lengths[:, None]  # (C, S)
        rows = starts[:, None] + torch.minimum(steps, lengths[:, None] - 1)
        causal = (steps <= steps[:, None]) & present[:, None]  # (C, S, S)
        device = self.token_ids.device
        return Padding(
            rows=rows.to(device),
            places=present.flatten().nonzero()[:, 0].to(device),
            causal=F.pad(causal, (self.prefix_length, 0), value=True)[None, :, None].to(device),
            present=F.pad(present, (self.prefix_length, 0), value=True)[None, :, None, None].to(device),
        )

    def chunks(self, size: int) -> list[tuple[list[int], ClassPrompts]]:
        """Split into class groups of at most ``size`` (neighbours in length), each with the same shared prefix.

        Returns:
            pairs of the classes' indices and their packed prompts, on the same device.
        """
        order = torch.argsort(self.restore).tolist()
        groups = [order[i : i + size] for i in range(0, len(order), size)]
        device = self.token_ids.device
        return [(g, pack([self.rows[i] for i in g], self.n_ctx, self.prefix_length).to(device)) for g in groups]


def pack(rows: Sequence[Sequence[int]], n_ctx: int, prefix_length: int | None = None) -> ClassPrompts:
    """Pack token sequences that end with the end-of-text token.

    Args:
        rows: one sequence per class; −1 − i stands for context token i.
        n_ctx: context tokens per class.
        prefix_length: leading tokens to share; all sequences must agree on them. None: as many as they agree on.
    """
    if prefix_length is None:
        shortest = min(len(row) for row in rows) - 1  # the end-of-text row always belongs to its class
        prefix_length = next((i for i in range(shortest) if len({row[i] for row in rows}) > 1), shortest)
    suffixes = [row[prefix_length:] for row in rows]
    order = sorted(range(len(rows)), key=lambda i: len(suffixes[i]))  # stable
    lengths = [len(suffixes[i]) for i in order]
    blocks = tuple((lengths.count(n), n) for n in sorted(set(lengths)))

    flat: list[int] = list(rows[0][:prefix_length])
    positions = list(range(prefix_length))
    owners = [0] * prefix_length
    eos_rows = []
    for i in order:
        flat += suffixes[i]
        positions += range(prefix_length, len(rows[i]))
        owners += [i] * len(suffixes[i])
        eos_rows.append(len(flat) - 1)
    slots = [row for row, token in enumerate(flat) if token < 0]
    restore = torch.empty(len(rows), dtype=torch.long)
    restore[torch.tensor(order)] = torch.arange(len(rows))
    return ClassPrompts(
        token_ids=torch.tensor([max(token, 0) for token in flat]),
        positions=torch.tensor(positions),
        slot_rows=torch.tensor(slots, dtype=torch.long),
        slot_tokens=torch.tensor([-1 - flat[row] for row in slots], dtype=torch.long),
        slot_classes=torch.tensor([owners[row] for row in slots], dtype=torch.long),
        prefix_length=prefix_length,
        blocks=blocks,
        eos_rows=torch.tensor(eos_rows),
        restore=restore,
        n_ctx=n_ctx,
        rows=tuple(tuple(row) for row in rows),
    )


def class_prompts(
    classnames: Sequence[str],
    *,
    context_length: int,
    n_ctx: int = 0,
    frozen_tokens: Sequence[int] = (),
    position: Position = "end",
    per_class: bool = False,
) -> ClassPrompts:
    """Tokenise "<context> <frozen template words> <name>." for every class.

    Args:
        classnames: one name per class; ``_`` becomes a space.
        context_length: positions that the text tower has.
        n_ctx: learnable context tokens.
        frozen_tokens: token ids between the context and the class name (``position="end"`` only).
        position: where the context stands: before the name (``end``: the name is last), half before and half after
            (``middle``), after the name (``front``: the name is first). The full stop and end-of-text are always last.
        per_class: every class has its own context, so that only the start token is shared.

    Raises:
        ValueError: no class names, an empty name, an unknown position, or a prompt longer than the context.
    """
    if not classnames:
        raise ValueError("No class names were given.")
    if position not in ("end", "middle", "front"):
        raise ValueError(f"The class token position is {position!r}: expected end, middle or front.")
    context = [-1 - i for i in range(n_ctx)]
    half = n_ctx // 2
    rows = []
    for name in classnames:
        n_words = len(encode_words(name))
        if not n_words:
            raise ValueError(f"The class name {name!r} has no word in it.")
        words = encode_words(name + ".")  # together: a name that ends in punctuation shares a token with the full stop
        if position == "end":
            rows.append([*context, *frozen_tokens, *words])
        elif position == "middle":
            rows.append(context[:half] + words[:n_words] + context[half:] + words[n_words:])
        else:
            rows.append(words[:n_words] + context + words[n_words:])
    return _finish(rows, list(classnames), n_ctx, context_length, 1 if per_class else None)


def text_prompts(texts: Sequence[str], *, context_length: int) -> ClassPrompts:
    """Tokenise whole texts, without context slots (zero-shot prompts).

    Raises:
        ValueError: no text, or one that does not fit the context.
    """
    if not texts:
        raise ValueError("No texts were given.")
    return _finish([encode_words(text) for text in texts], list(texts), 0, context_length, None)


def _finish(
    bodies: list[list[int]], names: list[str], n_ctx: int, context_length: int, prefix_length: int | None
) -> ClassPrompts:
    vocabulary = tokenizer().encoder
    start, end = vocabulary["<|startoftext|>"], vocabulary["<|endoftext|>"]
    rows = [[start, *body, end] for body in bodies]
    longest = max(range(len(rows)), key=lambda i: len(rows[i]))
    if len(rows[longest]) > context_length:
        raise ValueError(
            f"The prompt of class {names[longest]!r} takes {len(rows[longest])} tokens with {n_ctx} context tokens, but"
            f" the text tower has {context_length} positions: use a smaller N_CTX or a shorter class name."
        )
    return pack(rows, n_ctx, prefix_length)
