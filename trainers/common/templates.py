"""Lists of templates that several methods use as their teacher's texts, from CLIP's authors' list for ImageNet."""

from __future__ import annotations

_OF_A = ("bad", "bright", "cropped", "close-up", "jpeg corrupted", "blurry", "low resolution", "pixelated")
_OF_THE = (
    *("low resolution", "cropped", "bad", "bright", "dark", "close-up", "black and white", "pixelated", "blurry"),
    "good",
)
_OF = (
    *("many", "my", "one", "the hard to see", "a hard to see", "a clean", "a dirty", "the cool", "the dirty"),
    *("the clean", "a large", "a nice", "a weird"),
)
_WORKS = ("painting", "sculpture", "rendering", "doodle", "rendition", "sketch")

#: The 60 of PromptSRC's teacher (arXiv 2307.06948).
IMAGENET_60 = (
    *("a photo of a {}.", "a photo of the {}."),
    *(f"a {word} photo of a {{}}." for word in _OF_A),
    *(f"a {word} photo of the {{}}." for word in _OF_THE),
    *(f"a photo of {words} {{}}." for words in _OF),
    *(f"a {work} of a {{}}." for work in (*_WORKS, "tattoo", "drawing")),
    *(f"a {work} of the {{}}." for work in _WORKS),
    *(f"{article} {word} {{}}." for word in ("embroidered", "plastic", "origami") for article in ("the", "a")),
    *("the toy {}.", "a cartoon {}.", "graffiti of a {}.", "art of a {}.", "itap of the {}."),
    *("a {} in a video game.", "the {} in a video game."),
)
