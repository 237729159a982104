"""Every method on CLIPs of the published sizes (random weights), from the file to a tested model."""

import pytest
import torch
from clip.model import CLIP

import trainers  # noqa: F401  (registers)
from dassl.engine import TRAINER_REGISTRY, build_trainer
from dassl.utils import set_random_seed
from trainers.common.base import PromptTrainer

NAMES = sorted(n for n in TRAINER_REGISTRY.registered_names() if issubclass(TRAINER_REGISTRY.get(n), PromptTrainer))
TEXT = {"context_length": 77, "vocab_size": 49408, "transformer_layers": 12}
SHAPES = {
    "ViT-L/14": {
        "embed_dim": 768,
        "image_resolution": 224,
        "vision_layers": 24,
        "vision_width": 1024,
        "vision_patch_size": 14,
        "transformer_width": 768,
        "transformer_heads": 12,
        **TEXT,
    },
    "RN50": {
        "embed_dim": 1024,
        "image_resolution": 224,
        "vision_layers": (3, 4, 6, 3),
        "vision_width": 64,
        "vision_patch_size": None,
        "transformer_width": 512,
        "transformer_heads": 8,
        **TEXT,
    },
}


@pytest.fixture(scope="module", params=SHAPES)
def shaped(request, tmp_path_factory):
    """A weight file of a published shape, in half precision as published."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("shape") / "clip.pt"
    model = CLIP(**SHAPES[request.param]).half()
    torch.save(model.state_dict(), path)
    yield request.param, path
    path.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_published_shapes(name, shaped, make_config):
    shape, path = shaped
    trainer_class = TRAINER_REGISTRY.get(name)
    options = ["MODEL.BACKBONE.NAME", str(path), "INPUT.SIZE", (224, 224), "DATASET.NUM_SHOTS", 1]
    options += ["DATALOADER.TRAIN_X.BATCH_SIZE", 2]
    cfg = make_config(name, *options)
    set_random_seed(1)
    method = trainer_class.__new__(trainer_class)
    method.check_cfg(cfg)  # for some it goes by the settings
    if shape == "RN50" and method.needs_vit:
        with pytest.raises(ValueError, match=f"{name} prompts the image tower and needs a ViT backbone"):
            build_trainer(cfg)
        return
    trainer = build_trainer(cfg)
    trainer.dm.dataset.val[:] = trainer.dm.dataset.val[:4]
    batch = next(iter(trainer.train_loader_x))
    if trainer_class.train is PromptTrainer.train:
        trainer.batch_idx, trainer.num_batches = 0, 2
        assert trainer.forward_backward(batch)["loss"] > 0
    with torch.no_grad():
        logits = trainer.model_inference(batch["img"])
    assert logits.shape == (2, 5) and torch.isfinite(logits).all()


@pytest.mark.slow
def test_deep_language_prompting_runs_on_a_resnet(shaped, make_config):
    shape, path = shaped
    if shape != "RN50":
        return
    options = ["TRAINER.IVLP.N_CTX_VISION", 0, "TRAINER.IVLP.PROMPT_DEPTH_VISION", 0, "INPUT.SIZE", (224, 224)]
    trainer = build_trainer(make_config("IVLP", "MODEL.BACKBONE.NAME", str(path), *options))
    trainer.batch_idx, trainer.num_batches = 0, 2
    assert trainer.forward_backward(next(iter(trainer.train_loader_x)))["loss"] > 0
