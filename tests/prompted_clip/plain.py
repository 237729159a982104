"""The towers written out, as the oracle: one class after the other, no packing, every row computed in every block, an
explicit causal mask, attention as a softmax. `block` is anchored to OpenAI's own in test_adapters.py.

Symbols: L tokens of one class, D a tower's width, b tokens, B images.
"""

import torch
from clip.model import CLIP, ResidualAttentionBlock
from torch import Tensor

from prompted_clip import BlockAdapter, ClassPrompts, LateTokens, Prompts


def causal(length: int) -> Tensor:
    return torch.full((length, length), -torch.inf, dtype=torch.float64).triu(1)


def quick_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


def block(
    b: ResidualAttentionBlock, x: Tensor, mask: Tensor | None, adapter: BlockAdapter | None = None, act=quick_gelu
) -> Tensor:
    """(…, L, D) → (…, L, D)."""
    adapter = adapter or BlockAdapter()

    def plus(name: str, out: Tensor, given: Tensor) -> Tensor:
        return out + adapter.delta[name](given) if name in adapter.delta else out

    normed = b.ln_1(x)
    weights, biases = b.attn.in_proj_weight.chunk(3), b.attn.in_proj_bias.chunk(3)
    heads = []
    for name, weight, bias in zip("qkv", weights, biases, strict=True):
        out = plus(name, normed @ weight.t() + bias, normed)
        heads.append(out.unflatten(-1, (b.attn.num_heads, -1)).transpose(-2, -3))
    q, k, v = heads
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    attended = ((scores if mask is None else scores + mask.to(x.dtype)).softmax(-1) @ v).transpose(-2, -3).flatten(-2)
    middle = x + plus("out", b.attn.out_proj(attended), attended)
    given = b.ln_2(middle)
    hidden = act(plus("fc", b.mlp.c_fc(given), given))
    out = middle + plus("proj", b.mlp.c_proj(hidden), hidden)
    return out if adapter.branch is None else out + adapter.branch(normed)


def _share(keep, i: int) -> float:
    return keep[i] if isinstance(keep, (list, tuple)) else keep


def _replace(x: Tensor, places: list[int], new: Tensor, keep: float) -> Tensor:
    x = x.clone()
    x[..., places, :] = (1 - keep) * new + keep * x[..., places, :]
    return x


def _late(x: Tensor, late: LateTokens | None, k: int, first: int) -> Tensor:
    """(…, L, D) before block k, with the late tokens from row ``first``."""
    if late is None or k < late.start:
        return x
    if k == late.start:
        tokens = late.tokens.expand(*x.shape[:-2], -1, -1)
        return torch.cat([x[..., :first, :], tokens, x[..., first:, :]], dim=-2)
    i = k - late.start - 1
    if i >= len(late.deep) or late.deep[i] is None:
        return x
    return _replace(x, list(range(first, first + late.tokens.shape[-2])), late.deep[i], _share(late.keep, i))


def text_rows(model: CLIP, sequence, prompts: Prompts, adapters=None, *, pick=lambda t: t, act=quick_gelu):
    """All rows of one class after ln_final: (L + late, D), and the places of its context tokens.

    Args:
        sequence: token ids, −1 − i for context token i.
        prompts: `pick` makes a part of them that of the class or image at hand, (b, D).
        adapters: `BlockAdapter` by block.
    """
    ids = torch.tensor(sequence)
    places = [sequence.index(-1 - i) for i in range(sum(token < 0 for token in sequence))]
    x = model.token_embedding(ids.clamp(min=0))
    if places:
        x = _replace(x, places, pick(prompts.text), 0.0)
    x = x + model.positional_embedding[: len(ids)]
    late = prompts.text_late
    if late is not None:
        late = LateTokens(late.start, pick(late.tokens), [t if t is None else pick(t) for t in late.deep], late.keep)
    for k, each in enumerate(model.transformer.resblocks):
        if 1 <= k <= len(prompts.text_deep) and prompts.text_deep[k - 1] is not None:
            x = _replace(x, places, pick(prompts.text_deep[k - 1]), _share(prompts.text_keep, k - 1))
        x = _late(x, late, k, 1)
        if late is not None and k == late.start:
            places = [place + late.tokens.shape[-2] for place in places]
        x = block(each, x, causal(len(x)), (adapters or {}).get(k), act)
    return model.ln_final(x), places


def encode_text(model: CLIP, classes: ClassPrompts, prompts: Prompts, adapters=None, act=quick_gelu):
    """Features (C, d) or (B, C, d), and the rows of context (…, C, b, D) and late tokens (…, b, D)."""
    axis = prompts.text_axis
    parts = [prompts.text, *prompts.text_deep]
    parts += [] if prompts.text_late is None else [prompts.text_late.tokens, *prompts.text_late.deep]
    images = next((len(p) for p in parts if p is not None and p.dim() == 3), 1) if axis == "image" else 1
    features, contexts, lates = [], [], []
    for n in range(images):
        rows = []
        for c, sequence in enumerate(classes.rows):

            def pick(t, leading={"shared": 0, "class": c, "image": n}[axis]):
                return t[leading] if t.dim() == 3 else t

            out, places = text_rows(model, list(sequence), prompts, adapters, pick=pick, act=act)
            b = 0 if prompts.text_late is None else prompts.text_late.tokens.shape[-2]
            rows.append((out[-1] @ model.text_projection, out[places], out[1 : 1 + b]))
        features.append(torch.stack([row[0] for row in rows]))
        contexts.append(torch.stack([row[1] for row in rows]))
        lates.append(rows[0][2])
    found = [torch.stack(each) for each in (features, contexts, lates)]
    return found if axis == "image" else [each[0] for each in found]


def encode_image(model: CLIP, images: Tensor, prompts: Prompts, adapters=None, act=quick_gelu):
    """Features (B, d), and the rows of the shallow prompts, the late tokens and the (projected) patches."""
    visual = model.visual
    x = visual.conv1(images).flatten(2).transpose(1, 2)
    x = torch.cat([visual.class_embedding.expand(len(x), 1, -1), x], dim=1) + visual.positional_embedding
    n_tokens = x.shape[1]
    if prompts.vision is not None:
        x = torch.cat([x, prompts.vision.expand(len(x), -1, -1)], dim=1)
    end = x.shape[1]
    x = visual.ln_pre(x)
    for k, each in enumerate(visual.transformer.resblocks):
        if 1 <= k <= len(prompts.vision_deep) and prompts.vision_deep[k - 1] is not None:
            deep, keep = prompts.vision_deep[k - 1], _share(prompts.vision_keep, k - 1)
            x = _replace(x, list(range(n_tokens, end)), deep, keep)
        x = _late(x, prompts.vision_late, k, end)
        x = block(each, x, None, (adapters or {}).get(k), act)
    x = visual.ln_post(x)
    return x[:, 0] @ visual.proj, x[:, n_tokens:end], x[:, end:], x[:, 1:n_tokens] @ visual.proj
