"""Captions for the images: class names, templates, and which caption is true of which image."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from mini_clip.glyphs import CHARACTERS, DIGITS, LETTERS

DIGIT_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

# {} is a name with no article of its own: "seven", "7", "letter b", "capital b".
PLAIN_TEMPLATES = (
    "a photo of a {}.",
    "a photo of the {}.",
    "a photo of {}.",
    "a photo of one {}.",
    "a photo of my {}.",
    "a picture of a {}.",
    "a picture of the {}.",
    "an image of a {}.",
    "an image of the {}.",
    "a drawing of a {}.",
    "a scan of a {}.",
    "a good photo of a {}.",
    "a bad photo of the {}.",
    "a close-up photo of a {}.",
    "a cropped photo of the {}.",
    "itap of a {}.",
    "a origami {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a {}.",
    "the {}.",
    "this is a {}.",
    "there is a {} here.",
    "it says {}.",
    "{}",
    "{}.",
    "X X X X {}.",
    "X X {}.",
    "X X X X X X X X {}.",
)
DIGIT_TEMPLATES = (
    'a photo of the number: "{}".',
    "a photo of the number {}.",
    "a photo of the digit {}.",
    "the number {}.",
    "the digit {}",
    "number {}",
    "the figure {}.",
    "a street sign of the number {}.",
    "{}, a digit.",
    "a photo of a {}, a type of digit.",
    "a photo of a {}, a type of number.",
)
LETTER_TEMPLATES = (
    "a photo of a {}, a type of letter.",
    "{} of the alphabet.",
    "a photo of the character {}.",
)
# attribute of the image to templates that say so
ATTRIBUTE_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "bold": ("a bold {}.", "a photo of a thick {}.", "a photo of a bold {}."),
    "thin": ("a thin {}.", "a photo of a thin {}.", "a photo of a light {} with thin lines."),
    "large": ("a photo of the large {}.", "a large {}.", "a {} that fills the frame."),
    "small": ("a photo of the small {}.", "a small {}.", "a {} in the middle of the frame."),
    "pixelated": ("a pixelated photo of a {}.", "a low resolution photo of the {}.", "a pixelated {}."),
    "blurry": ("a blurry photo of a {}.", "a blurry {}."),
    "handwritten": ("a handwritten {}.", "a photo of a handwritten {}.", "a {} written by hand."),
    "printed": ("a printed {}.", "a photo of a printed {}."),
    "light": ("a white {} on a black background.", "a {} on black.", "a photo of a {}, white on black."),
    "dark": ("a black {} on a white background.", "a {} on white.", "a photo of a {}, black on white."),
}

# Characters that look alike in many typefaces: such a pair is left out of the loss, being neither true nor false.
LOOKALIKES: tuple[str, ...] = ("0oO", "1lIi", "2zZ", "5sS", "9gq", "6b")
LOOKALIKES += tuple(letter + letter.upper() for letter in "cfjkmpuvwxy")


@dataclass(frozen=True)
class CaptionBatch:
    """Captions and their truth about a batch of images.

    Attributes:
        texts: the captions, no two the same.
        positive: bool (B, C), caption c is true of image b.
        ignored: bool (B, C), the pair takes no part in the loss.
    """

    texts: list[str]
    positive: torch.Tensor
    ignored: torch.Tensor


def lookalike_matrix() -> torch.Tensor:
    """Bool (62, 62): two different characters that may be drawn alike."""
    alike = torch.zeros(len(CHARACTERS), len(CHARACTERS), dtype=torch.bool)
    for group in LOOKALIKES:
        for a in group:
            for b in group:
                alike[CHARACTERS.index(a), CHARACTERS.index(b)] = a != b
    return alike


def names_of(character: str) -> list[tuple[str, str]]:
    """What a character may be called, as (name, the characters that the name covers)."""
    if character in DIGITS:
        return [(DIGIT_NAMES[int(character)], character), (character, character)]
    lower = character.lower()
    both = lower + lower.upper()
    case = ("capital", "uppercase") if character.isupper() else ("lowercase",)
    return [("letter " + lower, both), (lower, both)] + [(f"{word} {lower}", character) for word in case]


class CaptionSampler:
    """Writes captions for batches of images.

    Args:
        rng: source of every random choice.
        per_digit, per_letter: captions without attribute for every digit and letter in the batch.
        with_attribute: captions that name an attribute too, written for images of the batch.
    """

    def __init__(self, rng: random.Random, per_digit: int = 3, per_letter: int = 1, with_attribute: int = 24) -> None:
        self.rng, self.per_digit, self.per_letter, self.with_attribute = rng, per_digit, per_letter, with_attribute
        self._alike = lookalike_matrix()

    def draw(self, characters: torch.Tensor, attributes: Mapping[str, torch.Tensor]) -> CaptionBatch:
        """Captions for images of these characters, int64 (B,), and attributes, each bool (B,)."""
        rng = self.rng
        entries: dict[str, tuple[str, str | None]] = {}  # caption to (characters covered, attribute)
        for index in characters.unique().tolist():
            character = CHARACTERS[index]
            for _ in range(self.per_digit if character in DIGITS else self.per_letter):
                name, covered = self._name(character)
                own = DIGIT_TEMPLATES if character in DIGITS else LETTER_TEMPLATES
                # the templates of everything and those of the kind, half of the time each
                template = rng.choice(own if rng.random() < 0.35 else PLAIN_TEMPLATES)
                entries[template.format(name)] = (covered, None)
        for row in rng.sample(range(len(characters)), min(self.with_attribute, len(characters))):
            held = [name for name in ATTRIBUTE_TEMPLATES if bool(attributes[name][row])]
            if held:
                attribute = rng.choice(held)
                name, covered = self._name(CHARACTERS[int(characters[row])])
                entries[rng.choice(ATTRIBUTE_TEMPLATES[attribute]).format(name)] = (covered, attribute)

        texts = list(entries)
        covers = torch.zeros(len(texts), len(CHARACTERS), dtype=torch.bool)
        holds = torch.ones(len(texts), len(characters), dtype=torch.bool)
        for i, (covered, said) in enumerate(entries.values()):
            covers[i, [CHARACTERS.index(character) for character in covered]] = True
            if said is not None:
                holds[i] = attributes[said]
        of_image = covers[:, characters]  # (C, B)
        alike = (covers.float() @ self._alike.float() > 0)[:, characters] & ~of_image
        return CaptionBatch(texts, (of_image & holds).T, alike.T)

    def _name(self, character: str) -> tuple[str, str]:
        """One of the character's names; the first, its plain one, half of the time."""
        names = names_of(character)
        return names[0] if self.rng.random() < 0.5 else self.rng.choice(names)


def vocabulary() -> list[str]:
    """Every caption that the sampler can write; their tokens are the rows of the embedding that are trained."""
    templates = [t for group in ATTRIBUTE_TEMPLATES.values() for t in group]
    texts: list[str] = []
    for characters, own in ((DIGITS, DIGIT_TEMPLATES), (LETTERS, LETTER_TEMPLATES)):
        for character in characters:
            for name, _ in names_of(character):
                texts.extend(t.format(name) for t in (*PLAIN_TEMPLATES, *own, *templates))
    return list(dict.fromkeys(texts))
