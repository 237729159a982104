"""Classes that a backbone cannot tell apart, and the prompts as they are shown."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import trainers  # noqa: F401  (registers)
from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TRAINER_REGISTRY, build_trainer
from prompted_clip import Backbone, class_prompts, encode_words, load_backbone
from tests.stubs import random_clip, save_state_dict
from tests.trainers.conftest import SHAPE
from trainers.common.base import PromptTrainer
from trainers.common.class_text import equal_prompts, first_prompts

NAMES = sorted(n for n in TRAINER_REGISTRY.registered_names() if issubclass(TRAINER_REGISTRY.get(n), PromptTrainer))


@pytest.fixture(scope="module")
def poor(tmp_path_factory):
    """A CLIP that has one embedding for "cat" and "horse"."""
    model = random_clip(11, **SHAPE)
    (cat,), (horse,) = encode_words("cat"), encode_words("horse")
    with torch.no_grad():
        model.token_embedding.weight[horse] = model.token_embedding.weight[cat]
    return save_state_dict(model, tmp_path_factory.mktemp("poor") / "poor.pt")


@pytest.mark.parametrize("name", NAMES)
def test_every_method_that_reads_class_names_refuses_equal_ones(name, make_config, own):
    distinct = build_trainer(make_config(name, *own("Dog", "cat")))
    cfg = make_config(name, *own("Dog", "dog"), out="equal")
    if not hasattr(distinct.learner, "classes"):
        build_trainer(cfg)  # it knows the classes by number
        return
    with pytest.raises(ValueError, match=r"'Dog' and 'dog' read alike to CLIP.*; give every class a name of its own"):
        build_trainer(cfg)
    cfg.MODEL.ALLOW_EQUAL_PROMPTS = True
    trainer = build_trainer(cfg)
    with torch.no_grad():
        logits = trainer.model_inference(torch.randn(2, 3, 32, 32))
    torch.testing.assert_close(logits[:, 0], logits[:, 1], atol=1e-5, rtol=0)  # so it was said


@pytest.mark.parametrize(
    "names, told",
    [
        (("cat", "ant", "cat"), "classes 0 and 2 have the same name, 'cat'; give every class"),
        (("red_fox", "ant", "red  fox"), "the classes 'red_fox' and 'red  fox' read alike to CLIP"),
        (("a", "A", "b", "B"), r"'a' and 'A' read alike .* no difference \(4 of the 4 classes are like another\);"),
    ],
)
def test_names(names, told, make_config, own):
    with pytest.raises(ValueError, match=told) as caught:
        build_trainer(make_config("MaPLe", *own(*names)))
    assert "MODEL.ALLOW_EQUAL_PROMPTS" in str(caught.value) and "\n" not in str(caught.value)


def test_embeddings(make_config, own, poor):
    cfg = make_config("MaPLe", *own("cat", "dog", "horse"), "MODEL.BACKBONE.NAME", str(poor))
    with pytest.raises(
        ValueError, match=r"poor\.pt cannot tell the classes 'cat' and 'horse' apart.*--backbone ViT-B/16"
    ):
        build_trainer(cfg)
    build_trainer(make_config("MaPLe", *own("cat", "dog"), "MODEL.BACKBONE.NAME", str(poor), out="others"))


@pytest.mark.parametrize("names", [("zero", "one", "two"), ("letter a", "letter b"), ("A", "b", "7")])
def test_what_the_small_clip_can_read(names, make_config, own):
    build_trainer(make_config("MaPLe", *own(*names), "MODEL.BACKBONE.NAME", "mini_clip"))


def test_what_the_small_clip_cannot_read(make_config, own):
    cfg = make_config("MaPLe", *own("circle", "square", "zero"), "MODEL.BACKBONE.NAME", "mini_clip")
    told = "mini_clip cannot tell the classes 'circle' and 'square' apart.*mini_clip can read digits and letters"
    with pytest.raises(ValueError, match=told):
        build_trainer(cfg)


def test_a_context_per_class_may_learn_to_tell_equal_names_apart(make_config, own, capsys):
    build_trainer(make_config("CoOp", *own("Dog", "dog"), "TRAINER.COOP.CSC", True))
    assert "'Dog' and 'dog' read alike to CLIP" in (shown := capsys.readouterr().out)
    assert "only ctx can learn to" in shown


def test_names_that_a_published_list_gives_twice(make_config, own, monkeypatch):
    names = ("missile", "ant", "missile", "Missile")
    monkeypatch.setattr(DATASET_REGISTRY.get("Folder"), "shared_names", ("missile",))
    build_trainer(make_config("ZeroshotCLIP", *own(*names[:3])))
    with pytest.raises(ValueError, match="same name"):
        build_trainer(make_config("ZeroshotCLIP", *own("ant", "ant", "missile"), out="other"))
    with pytest.raises(ValueError, match="3 of the 4 classes"):  # another spelling is no published one
        build_trainer(make_config("ZeroshotCLIP", *own(*names), out="spelling"))


def test_imagenet_and_its_variants_have_two_such_names():
    having = {n for n in DATASET_REGISTRY.registered_names() if getattr(DATASET_REGISTRY.get(n), "shared_names", ())}
    assert having == {"ImageNet", "ImageNetV2", "ImageNetSketch", "ImageNetA", "ImageNetR"}
    assert all(DATASET_REGISTRY.get(n).shared_names == ("missile", "sunglasses") for n in having)


def test_the_names_of_imagenet_as_published():
    """OpenCLIP carries the list of CLIP's authors; nothing in it but the two names is equal to CLIP's tokenizer."""
    names = pytest.importorskip("open_clip").IMAGENET_CLASSNAMES
    rows = class_prompts(names, context_length=77, n_ctx=2).rows
    weights = random_clip(0, context_length=77).state_dict()
    groups = equal_prompts(Backbone(weights, precision="fp32"), rows)
    assert sorted(names[i] for group in groups for i in group) == ["missile", "missile", "sunglasses", "sunglasses"]


@pytest.fixture(scope="module")
def backbone(poor):
    return load_backbone(str(poor), precision="fp32")


TOKENS = st.sampled_from([-1, -2, 0, *encode_words("cat"), *encode_words("horse"), *encode_words("dog")])


@settings(deadline=None, max_examples=60)
@given(rows=st.lists(st.lists(TOKENS, min_size=1, max_size=3).map(tuple), min_size=1, max_size=8))
def test_groups(backbone, rows):
    (cat,), (horse,) = encode_words("cat"), encode_words("horse")
    seen = [tuple(cat if token == horse else token for token in row) for row in rows]
    expected = [[i for i, other in enumerate(seen) if other == row] for row in dict.fromkeys(seen)]
    assert equal_prompts(backbone, rows) == [group for group in expected if len(group) > 1]


def test_the_line_that_shows_prompts(make_config, own, capsys):
    names = own("Quince", "pear", "red_apple", "ant")

    def shown(trainer, *options):
        build_trainer(make_config(trainer, *names, *options, "VERBOSE", True))
        (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Prompts")]
        return line

    template = ["DATASET.TEMPLATE", "a drawing of a {}, an apple."]
    assert shown("MaPLe", *template) == (
        'Prompts: "[V1] [V2] of a Quince.", "[V1] [V2] of a pear.", "[V1] [V2] of a red apple.", ... ([V…]: learned)'
    )
    assert shown("ZeroshotCLIP", *template).startswith('Prompts: "a drawing of a Quince, an apple.", "a drawing of a p')
    assert shown("ZeroshotCLIP2", *template).endswith("... (the first of 8 templates)")
    assert shown("VPT", "TRAINER.VPT.CTX_INIT", "one of").startswith('Prompts: "one of Quince.", "one of pear."')
    middle = ["TRAINER.COOP.N_CTX", 6, "TRAINER.COOP.CTX_INIT", "", "TRAINER.COOP.CLASS_TOKEN_POSITION", "middle"]
    assert shown("CoOp", *middle).startswith('Prompts: "[V1] [V2] [V3] Quince [V4] [V5] [V6].", ')


def test_few_classes_are_all_shown():
    rows = class_prompts(["cat", "dog"], context_length=12).rows
    assert first_prompts([rows], ["cat", "dog"]) == 'Prompts: "cat.", "dog."'


@pytest.mark.parametrize("name", NAMES)
def test_a_template_that_is_not_read_is_said_to_be_so(name, make_config, own, capsys):
    template = "one drawing of a {}, an apple."
    trainer = build_trainer(make_config(name, *own("cat", "dog"), "DATASET.TEMPLATE", template))
    said = f"DATASET.TEMPLATE {template!r} is not read by {name}" in capsys.readouterr().out
    words = encode_words("one drawing of a cat, an apple.")
    learners = [each for each in getattr(trainer, "ensemble", [trainer.learner]) if hasattr(each, "classes")]
    used = any(list(each.classes.rows[0][1:-1]) == words for each in learners)
    taught = any("one drawing of a cat, an apple." in texts[0] for texts, _ in trainer.frozen._texts)
    assert said != (used or taught)


def test_nothing_is_said_without_a_template(make_config, own, capsys):
    build_trainer(make_config("MaPLe", *own("cat", "dog")))
    assert "TEMPLATE" not in capsys.readouterr().out
