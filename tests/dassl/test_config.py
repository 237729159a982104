"""The configuration tree and its errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from yacs.config import CfgNode as PlainNode

from dassl.config import clean_cfg, get_cfg_default


def test_defaults_of_the_field() -> None:
    cfg = get_cfg_default()
    assert (cfg.VERSION, cfg.OUTPUT_DIR, cfg.RESUME, cfg.SEED, cfg.USE_CUDA, cfg.VERBOSE) == (
        1,
        "./output",
        "",
        -1,
        True,
        True,
    )
    assert cfg.INPUT.SIZE == (224, 224) and cfg.INPUT.INTERPOLATION == "bilinear" and cfg.INPUT.TRANSFORMS == ()
    assert cfg.INPUT.RRCROP_SCALE == (0.08, 1.0) and cfg.INPUT.GN_STD == 0.15 and cfg.INPUT.GB_K == 21
    assert cfg.DATASET.NUM_SHOTS == -1 and cfg.DATASET.VAL_PERCENT == 0.1
    assert cfg.DATALOADER.NUM_WORKERS == 4 and cfg.DATALOADER.TRAIN_X.BATCH_SIZE == 32
    assert cfg.DATALOADER.TRAIN_U.SAME_AS_X and cfg.DATALOADER.TRAIN_U.N_INS == 16
    assert cfg.MODEL.BACKBONE.PRETRAINED and cfg.MODEL.HEAD.BN
    assert cfg.OPTIM.NAME == "adam" and cfg.OPTIM.LR == 3e-4 and cfg.OPTIM.STEPSIZE == (-1,)
    assert cfg.OPTIM.WARMUP_EPOCH == -1 and cfg.OPTIM.WARMUP_RECOUNT and cfg.OPTIM.WARMUP_CONS_LR == 1e-5
    assert cfg.TRAIN.CHECKPOINT_FREQ == 0 and cfg.TRAIN.PRINT_FREQ == 10 and cfg.TRAIN.COUNT_ITER == "train_x"
    assert cfg.TEST.FINAL_MODEL == "last_step" and cfg.TEST.SPLIT == "test" and cfg.TRAINER.NAME == ""


def test_each_call_gives_a_fresh_tree() -> None:
    get_cfg_default().OPTIM.LR = 1.0
    assert get_cfg_default().OPTIM.LR == 3e-4


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("OPTIM.LRR", "OPTIM.LR"),
        ("OPTIM.MAX_EPOCHS", "OPTIM.MAX_EPOCH"),
        ("NUM_SHOTS", "DATASET.NUM_SHOTS"),
        ("optim.lr", "OPTIM.LR"),
        ("OPTIM.LERNRATE", "OPTIM.LR"),
        ("OPTIM.LERN", "OPTIM.LR"),
        ("OPTIM.LEARNING_RATE", "OPTIM.LR"),
        ("OPTIM.MOMENT", "OPTIM.MOMENTUM"),
        ("OPTIM.EPOCHS", "OPTIM.MAX_EPOCH"),
        ("EPOCHS", "OPTIM.MAX_EPOCH"),
        ("OPTIM.NMAE", "OPTIM.NAME"),
        ("OPTM.NAME", "OPTIM.NAME"),
        ("DATASETS.NAME", "DATASET.NAME"),
        ("TRAIN.BATCH_SIZE", "DATALOADER.TRAIN_X.BATCH_SIZE"),
        ("DATALOADER.TEST.BATCHSIZE", "DATALOADER.TEST.BATCH_SIZE"),
        ("SEEED", "SEED"),
    ],
)
def test_unknown_key_names_the_nearest(key: str, near: str, tmp_path: Path) -> None:
    with pytest.raises(KeyError, match=f"unknown config key .*did you mean {near}\\?"):
        get_cfg_default().merge_from_list([key, 1])
    section, _, leaf = key.rpartition(".")
    (tmp_path / "c.yaml").write_text(f"{section}:\n  {leaf}: 1\n" if section else f"{leaf}: 1\n")
    with pytest.raises(KeyError, match=r"in .*c\.yaml; did you mean"):
        get_cfg_default().merge_from_file(str(tmp_path / "c.yaml"))


def test_unknown_key_like_no_other_has_no_suggestion() -> None:
    with pytest.raises(KeyError, match=r"unknown config key QQQQ'$"):
        get_cfg_default().merge_from_list(["QQQQ", 1])


def test_merges(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "OPTIM:\n  LR: 1\n  WARMUP_CONS_LR: 1e-6\n  STEPSIZE: [2, 4]\nINPUT:\n  SIZE: (32, 32)\n"
    )
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    cfg = get_cfg_default()
    cfg.merge_from_file(str(tmp_path / "c.yaml"))
    cfg.merge_from_file(str(tmp_path / "empty.yaml"))
    cfg.merge_from_list(["DATASET.NUM_SHOTS", "16", "OPTIM.NAME", "sgd", "OPTIM.WEIGHT_DECAY", "0"])
    assert cfg.OPTIM.LR == 1.0 and isinstance(cfg.OPTIM.LR, float) and cfg.OPTIM.WARMUP_CONS_LR == 1e-6
    assert cfg.OPTIM.STEPSIZE == (2, 4) and cfg.INPUT.SIZE == (32, 32)
    assert cfg.DATASET.NUM_SHOTS == 16 and cfg.OPTIM.WEIGHT_DECAY == 0.0


@pytest.mark.parametrize("text", ["2024", "1e5", "True", "(1, 2)", "{'a': 1}", "[a]", "it's", "", "'quoted'", "None"])
def test_text_that_looks_like_another_type(text: str, tmp_path: Path) -> None:
    """Where text is expected it is text; quotes around it are those of a literal, and None is none."""
    expected = {"'quoted'": "quoted", "None": None}.get(text, text)
    cfg = get_cfg_default()
    cfg.merge_from_list(["DATASET.ROOT", text])
    assert expected == cfg.DATASET.ROOT
    (tmp_path / "x.yaml").write_text(f'DATASET:\n  ROOT: "{text}"\n')
    cfg = get_cfg_default()
    cfg.merge_from_file(str(tmp_path / "x.yaml"))
    assert expected == cfg.DATASET.ROOT


def test_bad_values_are_refused(tmp_path: Path) -> None:
    cfg = get_cfg_default()
    with pytest.raises(ValueError, match=r"OPTIM\.MAX_EPOCH"):
        cfg.merge_from_list(["OPTIM.MAX_EPOCH", "many"])
    with pytest.raises(ValueError, match="takes a section"):
        cfg.merge_from_list(["OPTIM", 3])
    with pytest.raises(ValueError, match="takes a value like"):
        cfg.merge_from_list(["OPTIM.LR.BASE", 3])
    with pytest.raises(ValueError, match="pairs KEY VALUE, but 3 words"):
        cfg.merge_from_list(["OPTIM.LR", 3, "SEED"])
    with pytest.raises(FileNotFoundError, match=r"config file not found: .*nowhere\.yaml"):
        cfg.merge_from_file(str(tmp_path / "nowhere.yaml"))
    (tmp_path / "bad.yaml").write_text("a: [1\n")
    with pytest.raises(ValueError, match=r"bad\.yaml is not valid YAML"):
        cfg.merge_from_file(str(tmp_path / "bad.yaml"))
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(ValueError, match="KEY: value pairs, found a list"):
        cfg.merge_from_file(str(tmp_path / "list.yaml"))


def test_plugin_nodes_freeze_and_clone() -> None:
    cfg = get_cfg_default()
    cfg.TRAINER.COOP = PlainNode()  # as upstream plugins do
    cfg.TRAINER.COOP.N_CTX = 16
    cfg.MYSTUFF = PlainNode()
    cfg.MYSTUFF.ALPHA = 0.5
    cfg.merge_from_list(["TRAINER.COOP.N_CTX", 4, "MYSTUFF.ALPHA", 1])
    copy = cfg.clone()
    cfg.freeze()
    with pytest.raises(AttributeError, match="immutable"):
        cfg.SEED = 3
    cfg.defrost()
    cfg.SEED = 3
    assert cfg.TRAINER.COOP.N_CTX == 4 and cfg.MYSTUFF.ALPHA == 1.0 and copy.SEED == -1
    assert "ALPHA: 1.0" in str(cfg)


def test_new_allowed_takes_any_key() -> None:
    cfg = get_cfg_default()
    cfg.set_new_allowed(True)
    cfg.merge_from_list(["BRAND_NEW", 7])
    assert cfg.BRAND_NEW == 7


def test_clean_cfg_keeps_one_trainer() -> None:
    cfg = get_cfg_default()
    cfg.TRAINER.MAPLE = PlainNode({"N_CTX": 2})
    cfg.TRAINER.COOP = PlainNode({"N_CTX": 16})
    clean_cfg(cfg, "MaPLe")
    assert set(cfg.TRAINER) == {"NAME", "MAPLE"}
