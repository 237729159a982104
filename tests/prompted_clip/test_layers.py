"""Products with frozen weights against float64, by each library that does them."""

import pytest
import torch
import torch.nn.functional as F

from prompted_clip import layers
from prompted_clip.layers import Mlp, frozen_linear, product, scaled_product

#: Largest difference from float64, relative to the norm.
BOUNDS = {torch.float32: 1e-6, torch.float64: 1e-14, torch.bfloat16: 1e-2}


@pytest.fixture(params=[True, False], ids=["oneDNN", "BLAS"])
def library(request, monkeypatch):
    """Both ways of a CPU; oneDNN's is the one taken by itself."""
    assert layers._use_onednn(torch.zeros(1)) == torch.backends.mkldnn.is_available()
    if not request.param:
        monkeypatch.setattr(layers, "_use_onednn", lambda x: False)
    return request.param


def apart(found, expected):
    return ((found.double() - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("n_in, n_out", [(48, 96), (96, 48)])
def test_products_are_those_of_float64(library, dtype, n_in, n_out):
    torch.manual_seed(0)
    x, weight, bias, gradient = (
        torch.randn(*shape).to(dtype) for shape in [(2, 5, n_in), (n_out, n_in), (n_out,), (2, 5, n_out)]
    )
    wide = [value.double() for value in (x, weight, bias, gradient)]
    expected = F.linear(*wide[:3])
    assert apart(product(x, weight, bias), expected) < BOUNDS[dtype]
    assert apart(product(gradient, weight.t()), wide[3] @ wide[1]) < BOUNDS[dtype]
    scaled = scaled_product(x[0], weight, bias, alpha=0.25, beta=3.0)
    assert apart(scaled, 0.25 * (expected[0] - wide[2]) + 3.0 * wide[2]) < BOUNDS[dtype]

    x.requires_grad_()
    found = frozen_linear(x, weight, bias)
    (slope,) = torch.autograd.grad(found, x, gradient)
    assert found.dtype == slope.dtype == dtype
    assert apart(slope, wide[3] @ wide[1]) < BOUNDS[dtype]
    (slope,) = torch.autograd.grad(frozen_linear(x, weight, bias).sum(), x)  # of an expanded gradient, strides 0
    assert apart(slope, wide[1].sum(0).expand_as(slope)) < BOUNDS[dtype]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_mlp_is_quick_gelu_between_two_layers(library, dtype):
    torch.manual_seed(1)
    mlp = Mlp(16, 64, "quick_gelu").to(dtype)
    with torch.no_grad():
        for parameter in mlp.parameters():
            parameter.normal_(std=0.3)
    x = torch.randn(3, 4, 16, dtype=dtype, requires_grad=True)
    found = mlp(x)
    (slope,) = torch.autograd.grad(found.square().sum(), x)

    reference = [parameter.detach().double() for parameter in mlp.parameters()]
    wide = x.detach().double().requires_grad_()
    hidden = F.linear(wide, *reference[:2])
    expected = F.linear(hidden * torch.sigmoid(1.702 * hidden), *reference[2:])
    (wide_slope,) = torch.autograd.grad(expected.square().sum(), wide)
    assert apart(found, expected) < 2 * BOUNDS[dtype]
    assert apart(slope, wide_slope) < 4 * BOUNDS[dtype]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_attention_of_16_bits_gets_float32_on_a_cpu(precision):
    """And gives its result back in 16 bits: the residual stream's own format is the tower's affair."""
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    block = layers.Block(16, 2, 64, "quick_gelu").to(dtype)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.normal_(std=0.3)
    seen = []

    def attend(qkv):
        seen.append(qkv.dtype)
        return qkv[..., 0, :, :].flatten(-2)

    out = block(torch.randn(2, 3, 16, dtype=dtype), attend)
    assert (seen, out.dtype) == ([torch.float32], dtype)
