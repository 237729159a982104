"""Class names and templates → token ids with context slots, packed so that no token is computed twice.

Under CLIP's causal mask the end-of-text row depends on nothing after it, and what all classes begin with is the same
for all of them. So a set of class prompts is stored as one shared prefix and, per class, the tokens that follow, those
of several classes side by side. `ClassPrompts` is that packed form.
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


#: Rows of a window to choose from: fewer cost more calls, more cost scores that the mask throws away (by measurement).
WINDOW_ROWS = (24, 48)


@dataclass(frozen=True)
class ClassPrompts:
    """The prompts of C classes, packed: P shared prefix tokens, then G windows of W rows, whole suffixes side by side.

    A window is as long as the longest suffix at least; what its suffixes leave empty (about one row in a hundred) is
    filled with rows that nobody reads.

    Attributes:
        token_ids: (P + G · W,) vocabulary ids; 0 where a context token enters and in empty rows.
        positions: (P + G · W,) position of each token in its class's sequence (for the positional embedding).
        slot_rows: (S,) rows of the packed matrix where context tokens enter.
        slot_tokens: (S,) which context token enters there (0 … n_ctx − 1).
        slot_classes: (S,) the class that the row belongs to; 0 for rows of the shared prefix.
        prefix_length: P.
        windows: G.
        mask: (G, 1, W, P + W) True where a row of a window attends: the prefix, and its own class up to itself.
        eos_rows: (C,) row of each class's end-of-text token.
        readers: (G · K,) the class whose end-of-text row stands in each of a window's K reading places.
        read_places: (C,) the reading place of each class.
        read_mask: (G, 1, K, P + W) `mask` of the reading places.
        n_ctx: context tokens per class.
        rows: the unpacked sequences, −1 − i standing for context token i.
    """

    token_ids: Tensor
    positions: Tensor
    slot_rows: Tensor
    slot_tokens: Tensor
    slot_classes: Tensor
    prefix_length: int
    windows: int
    mask: Tensor
    eos_rows: Tensor
    readers: Tensor
    read_places: Tensor
    read_mask: Tensor
    n_ctx: int
    rows: tuple[tuple[int, ...], ...]

    @property
    def n_classes(self) -> int:
        return len(self.rows)

    @property
    def suffix_lengths(self) -> list[int]:
        """Tokens of each class after the prefix."""
        return [len(row) - self.prefix_length for row in self.rows]

    @property
    def shared_slots(self) -> bool:
        """Whether a context slot lies in the shared prefix."""
        return any(token < 0 for token in self.rows[0][: self.prefix_length])

    def to(self, device: torch.device | str) -> ClassPrompts:
        """The same prompts with their index tensors on a device."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {k: v.to(device) for k, v in values.items() if isinstance(v, Tensor)}
        return replace(self, **moved)

    def chunks(self, size: int) -> list[tuple[list[int], ClassPrompts]]:
        """Split into class groups of at most ``size`` (neighbours in length), each with the same shared prefix.

        Returns:
            pairs of the classes' indices and their packed prompts, on the same device.
        """
        if size not in self._chunks:
            order = sorted(range(self.n_classes), key=lambda i: len(self.rows[i]))
            groups = [order[i : i + size] for i in range(0, len(order), size)]
            device = self.token_ids.device
            self._chunks[size] = [
                (g, pack([self.rows[i] for i in g], self.n_ctx, self.prefix_length).to(device)) for g in groups
            ]
        return self._chunks[size]

    def insert(self, n: int) -> ClassPrompts:
        """The same prompts with n more rows behind start-of-text, shared by all classes and seen by all that follows.

        What a row stands for does not change: positions stay, and the new rows have neither token nor position (0).
        """

        def longer(values: Tensor) -> Tensor:
            return torch.cat([values[:1], values.new_zeros(n), values[1:]])

        return replace(
            self,
            token_ids=longer(self.token_ids),
            positions=longer(self.positions),
            slot_rows=self.slot_rows + n,
            prefix_length=self.prefix_length + n,
            mask=F.pad(self.mask, (n, 0), value=True),
            eos_rows=self.eos_rows + n,
            read_mask=F.pad(self.read_mask, (n, 0), value=True),
            rows=tuple((*row[:1], *[0] * n, *row[1:]) for row in self.rows),
        )

    @cached_property
    def _chunks(self) -> dict[int, list[tuple[list[int], ClassPrompts]]]:
        return {}


def fill_windows(lengths: Sequence[int], rows: int) -> list[list[int]]:
    """Put suffixes into windows of ``rows`` rows, the longest first, each where it leaves the least room (best fit).

    Returns:
        the members of each window, as indices of ``lengths``.
    """
    windows: list[list[int]] = []
    with_room: list[list[int]] = [[] for _ in range(rows + 1)]  # free rows → windows
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        room = next((n for n in range(lengths[i], rows + 1) if with_room[n]), None)
        if room is None:
            windows.append([])
            window, room = len(windows) - 1, rows
        else:
            window = with_room[room].pop()
        windows[window].append(i)
        with_room[room - lengths[i]].append(window)
    return windows


def _best_windows(lengths: Sequence[int]) -> tuple[int, list[list[int]]]:
    """The window length that leaves the fewest rows empty, and its windows' members."""
    total, longest = sum(lengths), max(lengths)
    least, most = (max(longest, min(rows, total)) for rows in WINDOW_ROWS)
    filled = ((rows, fill_windows(lengths, rows)) for rows in range(least, most + 1))
    return min(filled, key=lambda found: found[0] * len(found[1]))


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
    length, windows = _best_windows([len(row) - prefix_length for row in rows])
    places = max(len(members) for members in windows)

    flat = torch.zeros(prefix_length + len(windows) * length, dtype=torch.long)  # −1 − i: context token i
    positions, owners = torch.zeros_like(flat), torch.zeros_like(flat)
    flat[:prefix_length] = torch.tensor(rows[0][:prefix_length])
    positions[:prefix_length] = torch.arange(prefix_length)
    mask = torch.eye(length, dtype=torch.bool).repeat(len(windows), 1, 1)  # an empty row sees itself, not nothing
    mask = F.pad(mask, (prefix_length, 0), value=True)
    eos_rows, read_places = (torch.zeros(len(rows), dtype=torch.long) for _ in range(2))
    readers = torch.zeros(len(windows), places, dtype=torch.long)
    for g, members in enumerate(windows):
        start = 0
        for k, i in enumerate(members):
            suffix = torch.tensor(rows[i][prefix_length:])
            stop = start + len(suffix)
            here = slice(prefix_length + g * length + start, prefix_length + g * length + stop)
            flat[here], owners[here] = suffix, i
            positions[here] = torch.arange(prefix_length, len(rows[i]))
            causal = torch.ones(len(suffix), len(suffix), dtype=torch.bool).tril()
            mask[g, start:stop, prefix_length + start : prefix_length + stop] = causal
            eos_rows[i], readers[g, k], read_places[i] = here.stop - 1, i, g * places + k
            start = stop
    slots = (flat < 0).nonzero()[:, 0]
    last = (eos_rows[readers] - prefix_length) % length  # (G, K) the end-of-text row within its window
    return ClassPrompts(
        token_ids=flat.clamp(min=0),
        positions=positions,
        slot_rows=slots,
        slot_tokens=-1 - flat[slots],
        slot_classes=owners[slots],
        prefix_length=prefix_length,
        windows=len(windows),
        mask=mask[:, None],
        eos_rows=eos_rows,
        readers=readers.flatten(),
        read_places=read_places,
        read_mask=mask.gather(1, last[..., None].expand(-1, -1, mask.shape[-1]))[:, None],
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
