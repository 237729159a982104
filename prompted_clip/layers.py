"""Frozen pre-norm transformer blocks that save as little as possible for the backward pass.

The weights never need a gradient, so a linear layer saves nothing but a reference to its weight, and the MLP saves
its pre-activation only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prompted_clip.adapters import NOTHING, BlockAdapter, wide
from prompted_clip.precision import Precision

#: QuickGELU is x · sigmoid(1.702 x), which is silu(1.702 x) / 1.702.
QUICK_GELU_SLOPE = 1.702


def frozen_parameter(*shape: int) -> nn.Parameter:
    """An uninitialised parameter without gradient: it is filled from a state dict."""
    return nn.Parameter(torch.empty(*shape), requires_grad=False)


def _use_onednn(x: Tensor) -> bool:
    if torch.compiler.is_compiling():  # it has its own choice of libraries
        return False
    formats = (torch.float32, torch.bfloat16)
    return x.device.type == "cpu" and x.dtype in formats and torch.backends.mkldnn.is_available()


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x Wᵀ + b, without gradient.

    On a CPU by the one oneDNN call that PyTorch has for it: in float32 it is about a tenth faster than the BLAS behind
    `F.linear`, in bfloat16 it adds the bias on the way (docs/performance.md).
    """
    if _use_onednn(x):
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return F.linear(x, weight, bias)


def scaled_product(x: Tensor, weight: Tensor, bias: Tensor, *, alpha: float, beta: float) -> Tensor:
    """α · x Wᵀ + β · b on (rows, D), without gradient."""
    if not _use_onednn(x):
        return torch.addmm(bias, x, weight.t(), beta=beta, alpha=alpha)
    if weight.shape[1] < weight.shape[0]:  # the scale goes to the narrower side
        return product(alpha * x, weight, beta * bias)
    return product(x, weight, beta / alpha * bias).mul_(alpha)


class _FrozenProduct(torch.autograd.Function):
    """x Wᵀ + b whose gradient goes to x alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        return product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        return product(grad_outputs[0], weight.t()), None, None


def frozen_linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """y = x Wᵀ + b with frozen W (out, in) and b (out,)."""
    return _FrozenProduct.apply(x, weight, bias)


class FrozenLinear(nn.Module):
    """`frozen_linear` with its weights."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = frozen_parameter(n_out, n_in)
        self.bias = frozen_parameter(n_out)

    def forward(self, x: Tensor) -> Tensor:
        return frozen_linear(x, self.weight, self.bias)


class FrozenLayerNorm(nn.Module):
    """LayerNorm over the last axis with frozen weight and bias; PyTorch computes its moments in float32."""

    eps = 1e-5

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = frozen_parameter(width)
        self.bias = frozen_parameter(width)

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class _QuickGeluMlp(torch.autograd.Function):
    """W₂ · quickgelu(W₁ x + b₁) + b₂ on (rows, D), saving one (rows, MLP width) matrix.

    The factor 1.702 rides on the matrix products (as their scalar), so that the activation is one fused silu.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
        scaled = scaled_product(x, w1, b1, alpha=QUICK_GELU_SLOPE, beta=QUICK_GELU_SLOPE)
        ctx.save_for_backward(scaled, w1, w2)
        return scaled_product(F.silu(scaled), w2, b2, alpha=1 / QUICK_GELU_SLOPE, beta=1.0)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        scaled, w1, w2 = ctx.saved_tensors
        # The slopes of the two products cancel: d/dx W₂ silu(a u) / a = W₂ silu'(a u) du/dx.
        grad = torch.ops.aten.silu_backward(product(grad_outputs[0], w2.t()), scaled)
        return product(grad, w1.t()), None, None, None, None


class _ScaledProduct(torch.autograd.Function):
    """α · x Wᵀ + β · b on (rows, D) whose gradient goes to x alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, alpha: float, beta: float) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.alpha = alpha
        return scaled_product(x, weight, bias, alpha=alpha, beta=beta)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        return ctx.alpha * product(grad_outputs[0], weight.t()), None, None, None, None


class Mlp(nn.Module):
    """The feed-forward part of a block, wider inside."""

    def __init__(self, width: int, mlp_width: int, activation: str) -> None:
        super().__init__()
        self.c_fc = FrozenLinear(width, mlp_width)
        self.c_proj = FrozenLinear(mlp_width, width)
        self.activation = activation

    def forward(self, x: Tensor, adapter: BlockAdapter = NOTHING) -> Tensor:
        if self.activation == "gelu":
            hidden = F.gelu(adapter.add("fc", self.c_fc(x), x))
            return adapter.add("proj", self.c_proj(hidden), hidden)
        rows = x.reshape(-1, x.shape[-1])
        weights = (self.c_fc.weight, self.c_fc.bias, self.c_proj.weight, self.c_proj.bias)
        if adapter.has("fc", "proj"):
            return _adapted_quick_gelu(rows, *weights, adapter).view(x.shape)
        return _QuickGeluMlp.apply(rows, *weights).view(x.shape)


def _adapted_quick_gelu(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, adapter: BlockAdapter) -> Tensor:
    """`_QuickGeluMlp` in its own steps (the same numbers), so that something can be added between them."""
    scaled = _ScaledProduct.apply(x, w1, b1, QUICK_GELU_SLOPE, QUICK_GELU_SLOPE)
    activated = F.silu(adapter.add("fc", scaled, x, QUICK_GELU_SLOPE))
    out = _ScaledProduct.apply(activated, w2, b2, 1 / QUICK_GELU_SLOPE, 1.0)
    return adapter.add("proj", out, wide(activated) / QUICK_GELU_SLOPE) if adapter.has("proj") else out


class Attention(nn.Module):
    """Weights of multi-head self-attention, under the names of `torch.nn.MultiheadAttention`."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.in_proj_weight = frozen_parameter(3 * width, width)
        self.in_proj_bias = frozen_parameter(3 * width)
        self.out_proj = FrozenLinear(width, width)
        self.heads = heads
        self.width = width

    def qkv(self, x: Tensor, adapter: BlockAdapter = NOTHING) -> Tensor:
        """(…, D) → (…, 3, heads, D / heads)."""
        return self._project(x, 0, 3, adapter)

    def query(self, x: Tensor, adapter: BlockAdapter = NOTHING) -> Tensor:
        """(…, D) → (…, heads, D / heads), queries alone."""
        return self._project(x, 0, 1, adapter).squeeze(-3)

    def keys_values(self, x: Tensor, adapter: BlockAdapter = NOTHING) -> Tensor:
        """(…, D) → (…, 2, heads, D / heads), keys and values alone."""
        return self._project(x, 1, 3, adapter)

    def _project(self, x: Tensor, first: int, last: int, adapter: BlockAdapter) -> Tensor:
        rows = slice(first * self.width, last * self.width)
        out = frozen_linear(x, self.in_proj_weight[rows], self.in_proj_bias[rows])
        if out.device.type == "cpu":  # its attention in 16 bits is slower than in 32, and less exact
            out = out.to(torch.promote_types(out.dtype, torch.float32))
        names = "qkv"[first:last]
        if adapter.has(*names):
            x = wide(x)  # once for all
            parts = out.unflatten(-1, (last - first, self.width)).unbind(-2)
            parts = [adapter.add(name, part, x) for name, part in zip(names, parts, strict=True)]
            out = torch.cat(parts, dim=-1)
        return out.unflatten(-1, (last - first, self.heads, -1))


class Block(nn.Module):
    """x + attn(ln_1 x), then x + mlp(ln_2 x); who attends to whom is the caller's.

    Args:
        width: D.
        heads: attention heads.
        mlp_width: width inside the MLP.
        activation: "quick_gelu" or "gelu".
    """

    def __init__(self, width: int, heads: int, mlp_width: int, activation: str) -> None:
        super().__init__()
        self.ln_1 = FrozenLayerNorm(width)
        self.attn = Attention(width, heads)
        self.ln_2 = FrozenLayerNorm(width)
        self.mlp = Mlp(width, mlp_width, activation)

    def forward(self, x: Tensor, attend: Callable[[Tensor], Tensor], adapter: BlockAdapter = NOTHING) -> Tensor:
        """All rows through the block.

        Args:
            x: (…, D) residual stream.
            attend: (…, 3, heads, D / heads) queries, keys, values → (…, D).
            adapter: what is added on the way.
        """
        normed = self.ln_1(x)
        branch = adapter.beside(normed)
        qkv = self.attn.qkv(self._cast(normed), adapter)
        del normed  # large, and not needed any more
        return self._finish(x + self._out(attend(qkv), adapter).to(x.dtype), branch, adapter)

    def readout(
        self,
        x: Tensor,
        pick: Callable[[Tensor], Tensor],
        attend: Callable[[Tensor, Tensor], Tensor],
        adapter: BlockAdapter = NOTHING,
    ) -> Tensor:
        """The block's output in the rows that are read from it, which is all that the last block has to compute.

        Args:
            x: (…, L, D) residual stream.
            pick: (…, L, D) → (…, R, D), the rows to read.
            attend: queries (…, R, heads, D / heads), keys and values (…, L, 2, heads, D / heads) → (…, R, D).
            adapter: what is added on the way.
        """
        normed = self.ln_1(x)
        branch = None if adapter.branch is None else adapter.beside(pick(normed))
        normed = self._cast(normed)
        attended = attend(self.attn.query(pick(normed), adapter), self.attn.keys_values(normed, adapter))
        return self._finish(pick(x) + self._out(attended, adapter).to(x.dtype), branch, adapter)

    def _out(self, attended: Tensor, adapter: BlockAdapter) -> Tensor:
        attended = self._cast(attended)
        return adapter.add("out", self.attn.out_proj(attended), attended)

    def _finish(self, x: Tensor, branch: Tensor | None, adapter: BlockAdapter) -> Tensor:
        """Behind attention: the MLP, and what comes from beside the block."""
        x = x + self.mlp(self._cast(self.ln_2(x)), adapter).to(x.dtype)
        return x if branch is None else x + branch

    def _cast(self, x: Tensor) -> Tensor:
        return x.to(self.attn.in_proj_weight.dtype)


class Transformer(nn.Module):
    """Blocks under the name that CLIP's state dicts give them, ``resblocks.<k>``."""

    def __init__(self, width: int, heads: int, layers: int, mlp_width: int, activation: str) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList([Block(width, heads, mlp_width, activation) for _ in range(layers)])

    @property
    def blocks(self) -> list[Block]:
        return cast(list[Block], list(self.resblocks))


def cast_tower(tower: nn.Module, precision: Precision) -> None:
    """Give each weight its number format: matrix weights compute's, LayerNorms and embeddings the residual stream's."""
    for module in tower.modules():
        is_matrix = isinstance(module, (FrozenLinear, Attention, nn.Conv2d))
        dtype = precision.compute if is_matrix else precision.residual
        for name, value in module.named_parameters(recurse=False):
            setattr(module, name, nn.Parameter(value.detach().to(dtype), requires_grad=False))
