"""Glyphs, images, captions, towers and loss of the mini CLIP pretraining."""

import math
import random

import clip
import numpy as np
import pytest
import torch
from mini_clip import towers
from mini_clip.captions import DIGIT_NAMES, CaptionBatch, CaptionSampler, lookalike_matrix, names_of, vocabulary
from mini_clip.glyphs import CHARACTERS, FIELD_SCALE, build_bank, find_fonts
from mini_clip.images import ImageSampler, normalise, resize_bicubic
from mini_clip.training import Architecture, Recipe, build_model, contrastive_loss
from PIL import Image

SMALL = Architecture(embed_dim=16, vision_width=64, vision_layers=2, text_width=64, text_layers=2)


def test_bank_holds_every_character_once(bank):
    assert sorted(bank.characters.tolist()) == list(range(len(CHARACTERS)))
    zero = bank.fields[bank.characters == 0][0].float() / FIELD_SCALE
    assert zero[32, 32] < 0  # the hole of a zero lies outside the shape
    assert zero.max() > 1  # and its stroke inside
    assert (bank.half_width >= bank.thin_width).all()


def test_find_fonts_names_what_is_missing(tmp_path, dejavu):
    assert find_fonts([dejavu]) == [dejavu]
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist; give a font"):
        find_fonts([tmp_path / "nowhere"])
    with pytest.raises(FileNotFoundError, match=r"no font file"):
        find_fonts([tmp_path])


def test_a_file_that_is_no_font_is_refused(tmp_path):
    (tmp_path / "fake.ttf").write_bytes(b"not a font")
    with pytest.raises(ValueError, match=r"none of the 1 fonts"):
        build_bank(find_fonts([tmp_path]))


def test_families_are_split_whole(bank, dejavu):
    two = build_bank([dejavu, dejavu.with_name("STIXGeneral.ttf")])
    training, held_out = two.split_families(0.5, seed=0)
    assert len(training) + len(held_out) == len(two)
    assert not set(training.families.tolist()) & set(held_out.families.tolist())
    assert all(part is bank for part in bank.split_families(0.5, seed=0))  # one family cannot be split


def test_images_follow_the_generator_and_stay_in_range(bank):
    def draw(seed):
        return ImageSampler(bank, torch.Generator().manual_seed(seed)).draw(64)

    first, again, other = draw(1), draw(1), draw(2)
    assert first.pixels.shape == (64, 1, 32, 32)
    assert first.pixels.min() >= 0 and first.pixels.max() <= 1
    assert torch.equal(first.pixels, again.pixels) and torch.equal(first.characters, again.characters)
    assert not torch.equal(first.pixels, other.pixels)
    assert (first.attributes["light"] ^ first.attributes["dark"]).all()
    assert not (first.attributes["bold"] & first.attributes["thin"]).any()
    # a character is there to be seen: no image is of one grey level
    assert (first.pixels.flatten(1).std(1) > 0.01).all()


def test_digit_share_is_kept(bank):
    characters = ImageSampler(bank, torch.Generator().manual_seed(0), digit_share=1.0).draw(200).characters
    assert characters.max() <= 9 and characters.unique().numel() == 10


@pytest.mark.parametrize("size", [8, 28])
def test_resize_is_that_of_the_evaluation(size):
    ramp = np.add.outer(np.arange(size), np.arange(size)).astype(np.uint8) * 4
    expected = np.asarray(Image.fromarray(ramp).resize((32, 32), Image.Resampling.BICUBIC)) / 255
    resized = resize_bicubic(torch.from_numpy(ramp / 255.0).float()[None, None], 32)[0, 0].numpy()
    np.testing.assert_allclose(resized, expected, atol=1.5 / 255)


def test_captions_are_true_of_their_images(bank):
    batch = ImageSampler(bank, torch.Generator().manual_seed(0)).draw(96)
    captions = CaptionSampler(random.Random(0)).draw(batch.characters, batch.attributes)
    assert len(set(captions.texts)) == len(captions.texts)
    assert captions.positive.any(1).all() and captions.positive.any(0).all()
    assert not (captions.positive & captions.ignored).any()
    for c, text in enumerate(captions.texts):
        for digit, name in enumerate(DIGIT_NAMES):
            if name in text.split() or f"{name}." in text.split():
                if "photo of one" in text:
                    continue  # a template with a number word of its own
                assert (batch.characters[captions.positive[:, c]] == digit).all()
        if "bold" in text:
            assert batch.attributes["bold"][captions.positive[:, c]].all()


def test_names_and_lookalikes():
    assert ("seven", "7") in names_of("7")
    assert ("letter b", "bB") in names_of("B") and ("capital b", "B") in names_of("B")
    alike = lookalike_matrix()
    assert torch.equal(alike, alike.T) and not alike.diagonal().any()
    assert alike[CHARACTERS.index("0"), CHARACTERS.index("O")] and not alike[0, 1]


def test_vocabulary_holds_what_is_drawn(bank):
    batch = ImageSampler(bank, torch.Generator().manual_seed(3)).draw(128)
    drawn = CaptionSampler(random.Random(3)).draw(batch.characters, batch.attributes).texts
    assert set(drawn) <= set(vocabulary())


def test_towers_compute_what_openai_clip_computes(bank):
    torch.manual_seed(0)
    model = build_model(SMALL).eval()
    pixels = normalise(ImageSampler(bank, torch.Generator().manual_seed(0)).draw(4).pixels)
    tokens = clip.tokenize(["a photo of a seven.", "b"])
    ends = tokens.argmax(1)
    with torch.no_grad():
        torch.testing.assert_close(towers.encode_image(model, pixels), model.encode_image(pixels), atol=1e-5, rtol=0)
        embedded = model.token_embedding(tokens[:, : int(ends.max()) + 1])
        expected = model.encode_text(tokens)
        torch.testing.assert_close(towers.encode_text(model, embedded, ends), expected, atol=1e-5, rtol=0)


def test_loss_by_hand():
    # two images, both of the first caption; the second caption is true of neither, its pair with image 1 is left out
    logits = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    captions = CaptionBatch(
        ["a", "b"], torch.tensor([[True, False], [True, False]]), torch.tensor([[False, False], [False, True]])
    )
    of_images = (math.log(math.e**1 + math.e**2) - 1 + 0.0) / 2
    of_captions = -((1 - 3) / 2 - math.log(1 + math.e**-2))
    assert contrastive_loss(logits, captions).item() == pytest.approx((of_images + of_captions) / 2, abs=1e-5)


def test_learning_rate_warms_up_and_ends_low():
    recipe = Recipe(steps=100, warmup_steps=10, peak_lr=1.0)
    assert recipe.lr_at(0) == pytest.approx(0.1) and recipe.lr_at(10) == pytest.approx(1.0)
    assert recipe.lr_at(99) < 0.001
