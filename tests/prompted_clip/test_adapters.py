"""Adapters inside the blocks: against the towers written out, against weights that they are merged into, and none."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bench.openai_towers import tokenize as usual_tokenize
from prompted_clip import Adapters, Backbone, BlockAdapter, LateTokens, Prompts, class_prompts, text, text_prompts
from prompted_clip.adapters import PRODUCTS
from tests.prompted_clip import plain
from tests.stubs import random_clip, random_images, random_rn_clip

NAMES = ["cat", "golden retriever", "a very_long name of a thing", "cat"]
WIDTH, MLP, LAYERS = 64, 256, 3
SIZES = {"fc": (WIDTH, MLP), "proj": (MLP, WIDTH)}  # the others: width to width
ACTIVATIONS = {"quick_gelu": plain.quick_gelu, "gelu": F.gelu}
PRECISION = {torch.float32: "fp32", torch.float64: "fp64"}


class Bottleneck(nn.Module):
    """A small network, or one whose last layer is zero, with dropout if asked for."""

    def __init__(self, n_in, n_out, *, zero=False, dropout=0.0):
        super().__init__()
        self.down, self.up = nn.Linear(n_in, 5), nn.Linear(5, n_out)
        self.dropout = nn.Dropout(dropout)
        for p in self.up.parameters() if zero else ():
            nn.init.zeros_(p)

    def forward(self, x):
        return self.up(self.dropout(torch.tanh(self.down(x))))


class Learner(nn.Module):
    """Networks at given places, (block, product or "branch"), of each tower."""

    def __init__(self, text, vision, dtype=torch.float32, **options):
        super().__init__()
        for tower, places in (("text", text), ("vision", vision)):
            blocks = {str(k): nn.ModuleDict() for k, _ in places}
            for k, product in places:
                blocks[str(k)][product] = Bottleneck(*SIZES.get(product, (WIDTH, WIDTH)), **options)
            setattr(self, tower, nn.ModuleDict(blocks))
        self.to(dtype)

    def forward(self):
        def of(blocks):
            return {
                int(k): BlockAdapter(
                    branch=dict(nets.items()).get("branch"),
                    delta={name: net for name, net in nets.items() if name != "branch"},
                )
                for k, nets in blocks.items()
            }

        return Adapters(text=of(self.text), vision=of(self.vision))


ALL = [(k, product) for k in range(LAYERS) for product in (*PRODUCTS, "branch")]
places = st.lists(st.sampled_from(ALL), unique=True, max_size=6)


def backbone_of(model, activation="quick_gelu", precision=None):
    return Backbone(model.state_dict(), precision=precision or PRECISION[model.dtype], activation=activation)


@pytest.fixture(scope="module")
def models():
    return {dtype: random_clip(5, dtype=dtype).requires_grad_(False) for dtype in PRECISION}


def some_prompts(axis, dtype):
    """Prompts of all kinds, with their class prompts."""
    leading = {"shared": (), "class": (len(NAMES),), "image": (3,)}[axis]
    text, deep = torch.randn(*leading, 2, WIDTH, dtype=dtype), torch.randn(2, WIDTH, dtype=dtype)
    vision, late = torch.randn(2, WIDTH, dtype=dtype), LateTokens(1, torch.randn(3, WIDTH, dtype=dtype))
    prompts = Prompts(text=text, text_deep=[deep], text_axis=axis, vision=vision, text_late=late, vision_late=late)
    return prompts, class_prompts(NAMES, context_length=24, n_ctx=2, per_class=axis == "class")


def test_the_oracles_block_is_openais(models):
    x = torch.randn(5, 7, WIDTH, dtype=torch.float64)
    block = models[torch.float64].transformer.resblocks[1]
    with torch.no_grad():
        block.attn_mask, mask = plain.causal(7), block.attn_mask
        expected = block(x.transpose(0, 1)).transpose(0, 1)
        block.attn_mask = mask
        torch.testing.assert_close(plain.block(block, x, plain.causal(7)), expected, atol=1e-12, rtol=0)


@settings(max_examples=40, deadline=None)
@given(
    text=places,
    vision=places,
    axis=st.sampled_from(["shared", "class", "image"]),
    activation=st.sampled_from(list(ACTIVATIONS)),
    dtype=st.sampled_from(list(PRECISION)),
    chunk=st.sampled_from([0, 1, 3]),
    recompute=st.booleans(),
    seed=st.integers(0, 100),
)
def test_features_and_gradients_equal_the_plain_towers(
    models, text, vision, axis, activation, dtype, chunk, recompute, seed
):
    model = models[dtype]
    backbone, act = backbone_of(model, activation), ACTIVATIONS[activation]
    torch.manual_seed(seed)
    learner = Learner(text, vision, dtype)
    (prompts, classes), images = some_prompts(axis, dtype), random_images(model, 3)
    parameters, adapters = list(learner.parameters()), learner()
    found = [
        backbone.encode_text(classes, prompts, adapters, chunk=chunk, recompute=recompute),
        backbone.encode_image(images, prompts, adapters),
    ]
    expected = [
        plain.encode_text(model, classes, prompts, adapters.text, act)[0],
        plain.encode_image(model, images, prompts, adapters.vision, act)[0],
    ]
    atol, rtol = (1e-5, 1e-4) if dtype == torch.float32 else (1e-9, 1e-9)
    for ours, reference in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, reference, atol=atol, rtol=rtol)
    if parameters:
        weights = [torch.randn_like(each) for each in expected]
        gradients = []
        for outputs in (found, expected):
            total = sum((o * w).sum() for o, w in zip(outputs, weights, strict=True))
            gradients.append(torch.autograd.grad(total, parameters))
        largest = max(each.norm() for each in gradients[1])  # what is added to all keys alike has none
        for ours, reference in zip(*gradients, strict=True):
            assert (ours - reference).norm() <= rtol * (reference.norm() + largest / 10)


@pytest.mark.parametrize("tower", ["text", "vision"])
@pytest.mark.parametrize("product", PRODUCTS)
def test_linear_deltas_are_weights_with_them_merged_in(models, tower, product):
    """Low-rank additions to every block's weights, against OpenAI's modules that have the sums as their weights."""
    model = models[torch.float64]
    torch.manual_seed(0)
    n_in, n_out = SIZES.get(product, (WIDTH, WIDTH))
    updates = [torch.randn(n_out, 2, dtype=torch.float64) @ torch.randn(2, n_in, dtype=torch.float64) * 0.1] * LAYERS
    state = {k: v.clone() for k, v in model.state_dict().items()}
    for k, update in enumerate(updates):
        block = f"{'visual.' if tower == 'vision' else ''}transformer.resblocks.{k}."
        if product in "qkv":
            state[block + "attn.in_proj_weight"].chunk(3)["qkv".index(product)].add_(update)
        else:
            name = {"out": "attn.out_proj", "fc": "mlp.c_fc", "proj": "mlp.c_proj"}[product]
            state[f"{block}{name}.weight"] += update
    merged = random_clip(5, dtype=torch.float64).requires_grad_(False)
    merged.load_state_dict(state)
    deltas = {k: BlockAdapter(delta={product: lambda x, w=update: x @ w.t()}) for k, update in enumerate(updates)}
    adapters = Adapters(**{tower: deltas})
    backbone = backbone_of(model)
    if tower == "text":
        texts = ["a cat.", "a golden retriever."]
        classes = text_prompts(texts, context_length=24)
        found, before = backbone.encode_text(classes, adapters=adapters), backbone.encode_text(classes)
        expected = merged.encode_text(usual_tokenize(merged, texts))
    else:
        images = random_images(model, 2)
        found, before = backbone.encode_image(images, adapters=adapters), backbone.encode_image(images)
        expected = merged.encode_image(images)
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)
    assert not torch.allclose(found, before, atol=1e-3)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16", "amp"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("axis", ["shared", "image"])
def test_zero_adapters_change_no_bit(models, precision, activation, axis):
    backbone = backbone_of(models[torch.float32], activation, precision)
    images = random_images(models[torch.float32], 3)
    torch.manual_seed(0)
    prompts, classes = some_prompts(axis, torch.float32)
    for places in (ALL, [(1, "branch")], [(1, "fc")], [(2, "proj")], [(0, "q")], [(2, "k"), (2, "v")]):
        adapters = Learner(places, places, zero=True)()
        for chunk in (0, 3):
            found = backbone.encode_text(classes, prompts, adapters, chunk=chunk)
            assert torch.equal(found, backbone.encode_text(classes, prompts, chunk=chunk))
        assert torch.equal(backbone.encode_image(images, prompts, adapters), backbone.encode_image(images, prompts))


@pytest.mark.parametrize("axis", ["shared", "class", "image"])
def test_the_read_out_block_agrees_with_the_whole_block(models, axis):
    model = models[torch.float64]
    backbone = backbone_of(model)
    torch.manual_seed(1)
    adapters, images = Learner(ALL, ALL, torch.float64)(), random_images(model, 3)
    prompts, classes = some_prompts(axis, torch.float64)
    text, image = backbone.encode_text(classes, prompts, adapters), backbone.encode_image(images, prompts, adapters)
    read, seen = backbone.read_text(classes, prompts, adapters), backbone.read_image(images, prompts, adapters)
    every = backbone.read_image(images, prompts, adapters, patches=True)
    for found, expected in ((read.features, text), (seen.features, image), (every.features, image)):
        torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)
    expected = plain.encode_text(model, classes, prompts, adapters.text)
    for found, rows in zip((read.prompts, read.late), expected[1:], strict=True):
        torch.testing.assert_close(found, rows, atol=1e-9, rtol=0)
    expected = plain.encode_image(model, images, prompts, adapters.vision)
    for found, rows in zip(every[1:], expected[1:], strict=True):
        torch.testing.assert_close(found, rows, atol=1e-9, rtol=0)


def test_only_rows_that_are_read_reach_an_adapter(models):
    backbone = backbone_of(models[torch.float32])
    seen = {}

    def at(place):
        def adapter(x):
            seen[place] = tuple(x.shape[:-1])
            return torch.zeros(*x.shape[:-1], SIZES.get(place[1], (WIDTH, WIDTH))[1])

        return adapter

    blocks = {
        k: BlockAdapter(branch=at((k, "branch")), delta={name: at((k, name)) for name in PRODUCTS}) for k in (0, 2)
    }
    classes = text_prompts([f"a photo of a {name}." for name in NAMES], context_length=24)
    packed, n = len(classes.token_ids), len(NAMES)
    assert packed < sum(map(len, classes.rows))
    backbone.encode_text(classes, adapters=Adapters(text=blocks))
    by_rows = {place: torch.Size(shape).numel() for place, shape in seen.items()}
    assert {by_rows[0, name] for name in (*PRODUCTS, "branch")} == {packed}
    assert {name: by_rows[2, name] for name in (*PRODUCTS, "branch")} == {
        **dict.fromkeys(["q", "out", "fc", "proj", "branch"], n),
        **dict.fromkeys(["k", "v"], packed),
    }


@pytest.mark.parametrize("precision", ["bf16", "fp16", "amp"])
def test_low_precision_is_near_and_adapters_stay_float32(models, precision):
    model = models[torch.float32]
    torch.manual_seed(0)
    learner, images = Learner(ALL, ALL), random_images(model, 3)
    prompts, classes = some_prompts("shared", torch.float32)
    results = []
    for backbone in (backbone_of(model, precision="fp64"), backbone_of(model, precision=precision)):
        adapters = learner()
        features = backbone.encode_image(images, prompts, adapters), backbone.encode_text(classes, prompts, adapters)
        logits = backbone.logits(*features)
        results.append((logits, torch.autograd.grad(logits.logsumexp(1).sum(), list(learner.parameters()))))
    (exact, reference), (found, gradients) = results
    assert ((found - exact).norm() / exact.norm()).item() < 5e-2
    ours, others = (torch.cat([g.flatten() for g in each]) for each in (gradients, reference))
    assert ours.dtype == torch.float32
    assert F.cosine_similarity(ours, others, dim=0) > 0.99


@pytest.mark.parametrize(
    "precision, function", [("fp32", torch.float32), ("bf16", torch.float32), ("fp64", torch.float64)]
)
def test_the_format_an_adapter_is_called_in(models, precision, function):
    """A module's own, whatever the tower's; float32 for a function, as learners' parameters are."""
    backbone = backbone_of(models[torch.float32], precision=precision)
    formats = []

    class Noting(nn.Linear):
        def forward(self, x):
            formats.append(x.dtype)
            return super().forward(x)

    def plain_function(x):
        formats.append(x.dtype)
        return x

    block = BlockAdapter(branch=Noting(WIDTH, WIDTH), delta={"v": plain_function})
    backbone.encode_text(text_prompts(["a cat."], context_length=24), adapters=Adapters(text={1: block}))
    assert formats == [torch.float32, function]


@pytest.mark.parametrize("chunk", [0, 3])
def test_recomputation_draws_the_same_dropout_again(models, chunk):
    backbone = backbone_of(models[torch.float64])
    torch.manual_seed(2)
    learner = Learner(ALL, [], torch.float64, dropout=0.5)
    prompts, classes = some_prompts("shared", torch.float64)
    results = []
    for recompute in (False, True):
        torch.manual_seed(3)
        features = backbone.encode_text(classes, prompts, learner(), chunk=chunk, recompute=recompute)
        torch.manual_seed(4)  # what the backward pass finds
        results.append((features, *torch.autograd.grad(features.square().sum(), list(learner.parameters()))))
    for kept, again in zip(*results, strict=True):
        torch.testing.assert_close(again, kept, atol=1e-12, rtol=1e-12)
    assert not torch.equal(results[0][0], backbone.encode_text(classes, prompts, learner()))


def test_recomputation_is_told_the_device(models, monkeypatch):
    """PyTorch keeps the random state of the devices of its tensor arguments: one must be there without any prompts."""
    devices = []

    def note(run, *args, **options):
        devices.extend(a.device for a in args if isinstance(a, torch.Tensor))
        return run(*args)

    monkeypatch.setattr(text, "checkpoint", note)
    classes = text_prompts(["a cat.", "a dog."], context_length=24)
    backbone_of(models[torch.float32]).encode_text(classes, adapters=Learner(ALL, [])(), recompute=True)
    assert devices == [classes.token_ids.device]


@pytest.mark.parametrize(
    "adapters, message",
    [
        (Adapters(text={3: BlockAdapter()}), "block 3: the text tower has blocks 0 to 2"),
        (Adapters(vision={-1: BlockAdapter()}), "block -1: the vision tower has blocks 0 to 2"),
        (
            Adapters(text={1: BlockAdapter(delta={"o": nn.Identity()})}),
            "block 1 of the text tower adds to 'o': expected one of q, k, v, out, fc, proj",
        ),
        (
            Adapters(vision={0: BlockAdapter(delta={"fc": nn.Identity()})}),
            r"'fc' turns \(10, 64\) into \(10, 64\): expected \(10, 256\)",
        ),
        (
            Adapters(vision={2: BlockAdapter(branch=lambda x: x[..., :1])}),
            r"'branch' turns \(2, 1, 64\) into \(2, 1, 1\): expected \(2, 1, 64\)",
        ),
    ],
)
def test_adapters_that_do_not_fit(models, adapters, message):
    model = models[torch.float32]
    backbone = backbone_of(model)
    with pytest.raises(ValueError, match=message):
        backbone.encode_image(random_images(model, 2), adapters=adapters)
        backbone.encode_text(text_prompts(["a cat."], context_length=24), adapters=adapters)


def test_a_resnet_takes_adapters_of_the_text_tower_only():
    model = random_rn_clip(1)
    backbone, images = backbone_of(model), random_images(model, 2)
    adapters = Learner([(1, "q")], [])()
    assert torch.equal(backbone.encode_image(images, adapters=adapters), backbone.encode_image(images))
    for refused, call in {
        "Adapters of the vision tower": lambda: backbone.encode_image(images, adapters=Learner([], [(1, "q")])()),
        "Patch rows": lambda: backbone.read_image(images, patches=True),
        "Vision prompts": lambda: backbone.encode_image(
            images, Prompts(vision_late=LateTokens(1, torch.zeros(2, WIDTH)))
        ),
    }.items():
        with pytest.raises(ValueError, match=f"{refused} need a ViT backbone"):
            call()


@pytest.mark.slow
def test_compiled_towers_with_all_kinds_of_prompts_and_adapters(models):
    model = models[torch.float32]
    plainly, compiled = backbone_of(model), backbone_of(model)
    compiled.compile_encoders()
    torch.manual_seed(0)
    prompts, classes = some_prompts("class", torch.float32)
    learner, images, results = Learner(ALL[-14:], ALL[-14:]), random_images(model, 3), []
    for backbone in (plainly, compiled):
        adapters = learner()
        outputs = [
            *backbone.read_image(images, prompts, adapters, patches=True),
            backbone.encode_text(classes, prompts, adapters),
        ]
        loss = sum(each.square().sum() for each in outputs)
        results.append((*outputs, *torch.autograd.grad(loss, list(learner.parameters()))))
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)
