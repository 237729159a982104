"""Fonts to glyph bank: every character of every usable font as a signed distance field.

A signed distance field (distance to the outline in pixels, positive inside) keeps one small array per glyph and lets
the image step draw it at any stroke thickness, sharpness and resolution without going back to the font.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

DIGITS = "0123456789"
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
CHARACTERS = DIGITS + LETTERS

FIELD_SIZE = 64  # side of a stored distance field, pixels
GLYPH_SIZE = 40  # longer side of the glyph inside it, pixels
FIELD_SCALE = 8.0  # stored int8 = distance in pixels times this, so distances reach +-16 pixels

_SUPERSAMPLE = 2
_FONT_SUFFIXES = {".ttf", ".otf", ".pfb", ".t1", ".ttc"}
# Fonts whose "a" or "7" is a picture, another script, or a style so broken that a caption would be wrong.
_NOT_TEXT = re.compile(
    r"symbol|dingbat|icon|math|music|euterpe|cmex|cmsy|cmmi|msam|msbm|rsfs|wasy|esint|STIXSiz|STIXInt|STIXVar"
    r"|StandardSymbols|D050000L|bitbttf|90stars|fauxsnow|binx|binary|codelife|hdmaker|graze|unicode.?0100|dblayer|cmr10",
    re.IGNORECASE,
)
# Typefaces drawn after a hand; their images may also be captioned "handwritten".
_HANDWRITING = re.compile(
    r"bwht|breip|dkg|femke|humor|isabella|kristi|rufscript|sjfonts|delphine|steve|dancing|ecolier|klee|kaushan|yusei"
    r"|tomson|comic-?neue|chilanka|karumbi|xkcd|aescrawl|jmacscrl|leckerli|havana|bajaderka|joscelyn|summersby"
    r"|domestic|abogado|junkyard|penguinattack|amatic|caveat|delius|great.?vibes|indie.?flower|intuitive|kalam|pacifico"
    r"|permanent.?marker|satisfy|shadows.?into|yellowtail|zeyada",
    re.IGNORECASE,
)
# A package of several hundred display typefaces: useful variety, but it must not outweigh everything else.
_DISPLAY = re.compile(r"aenigma", re.IGNORECASE)


@dataclass(frozen=True)
class GlyphBank:
    """All glyphs of a set of fonts.

    Attributes:
        fields: int8 tensor (G, 64, 64), distance to the outline in pixels times `FIELD_SCALE`, positive inside.
        characters: int64 tensor (G,), index into `CHARACTERS`.
        families: int64 tensor (G,), index into `family_names`.
        half_width: float32 tensor (G,), largest distance inside, that is half the thickest stroke, pixels.
        thin_width: float32 tensor (G,), half the width of the glyph's thin strokes, pixels.
        handwriting: bool tensor (G,), whether the typeface imitates a hand.
        weight: float32 tensor (G,), how often the glyph's family is drawn, relative to an ordinary family.
        family_names: one name per family, sorted.
    """

    fields: torch.Tensor
    characters: torch.Tensor
    families: torch.Tensor
    half_width: torch.Tensor
    thin_width: torch.Tensor
    handwriting: torch.Tensor
    weight: torch.Tensor
    family_names: tuple[str, ...]

    def __len__(self) -> int:
        return int(self.characters.shape[0])

    def select(self, mask: torch.Tensor) -> GlyphBank:
        """The glyphs where `mask` (G,) is true; family names stay as they are."""
        return GlyphBank(
            self.fields[mask],
            self.characters[mask],
            self.families[mask],
            self.half_width[mask],
            self.thin_width[mask],
            self.handwriting[mask],
            self.weight[mask],
            self.family_names,
        )

    def split_families(self, held_out_fraction: float, seed: int) -> tuple[GlyphBank, GlyphBank]:
        """Split by typeface, so that no weight or slant of a held-out family is seen in training.

        Args:
            held_out_fraction: share of the families that is held out, 0 to 1 (at least one family when above 0).
            seed: of the draw.

        Returns:
            The training bank and the held-out bank. With a fraction of 0, or one family only, both are the whole bank.
        """
        n_families = len(self.family_names)
        n_held_out = max(1, round(n_families * held_out_fraction)) if held_out_fraction > 0 else 0
        if n_held_out == 0 or n_families < 2:
            return self, self
        order = torch.randperm(n_families, generator=torch.Generator().manual_seed(seed))
        held_out = torch.isin(self.families, order[:n_held_out])
        return self.select(~held_out), self.select(held_out)


def find_fonts(roots: Iterable[Path]) -> list[Path]:
    """Font files under the given folders (or the files themselves), one per file name, sorted by file name.

    Raises:
        FileNotFoundError: a given path does not exist, or none of them holds a font.
    """
    found: dict[str, Path] = {}
    roots = [Path(root) for root in roots]
    for root in roots:
        if not root.exists():
            raise FileNotFoundError(f"font path {root} does not exist; give a font file or a folder that holds fonts")
        for path in [root] if root.is_file() else sorted(root.rglob("*")):
            if path.suffix.lower() in _FONT_SUFFIXES and not _NOT_TEXT.search(path.name):
                found.setdefault(path.name.lower(), path)
    if not found:
        raise FileNotFoundError(f"no font file ({', '.join(sorted(_FONT_SUFFIXES))}) in {', '.join(map(str, roots))}")
    return [found[name] for name in sorted(found)]


def build_bank(fonts: Sequence[Path], faces_per_family: int = 4) -> GlyphBank:
    """Draw every character of every usable font.

    A font is left out when a digit is missing, empty, equal to another digit, in too many pieces or almost a filled box
    (dingbats, stencils, inverse type). Of a family at most `faces_per_family` faces are kept, the first ones and every
    n-th in order, and letters are taken of two of them, to keep one large family from filling the bank.

    Args:
        fonts: font files, as from `find_fonts`.
        faces_per_family: most faces (weights, slants) kept of one typeface, at least 1.

    Returns:
        The bank.

    Raises:
        ValueError: no font was usable.
    """
    by_family: dict[str, list[Path]] = {}
    for path in fonts:
        name = _family_name(path)
        if name is not None:
            by_family.setdefault(name, []).append(path)

    rows: list[tuple[np.ndarray, int, str, bool, float]] = []
    for name in sorted(by_family):
        faces = by_family[name]
        step = max(1, -(-len(faces) // faces_per_family))
        for i, path in enumerate(faces[::step]):
            handwriting = bool(_HANDWRITING.search(str(path)))
            weight = 0.25 if _DISPLAY.search(str(path)) and not handwriting else 1.0
            glyphs = _draw_font(path, CHARACTERS if i < 2 else DIGITS)
            for character, glyph in glyphs:
                rows.append((glyph, CHARACTERS.index(character), name, handwriting, weight))
    if not rows:
        raise ValueError(f"none of the {len(fonts)} fonts draws ten different digits; give other fonts")

    names = tuple(sorted({row[2] for row in rows}))
    index = {name: i for i, name in enumerate(names)}
    fields, half, thin = zip(*(_distance_field(row[0]) for row in rows), strict=True)
    return GlyphBank(
        fields=torch.from_numpy(np.stack(fields)),
        characters=torch.tensor([row[1] for row in rows]),
        families=torch.tensor([index[row[2]] for row in rows]),
        half_width=torch.tensor(half, dtype=torch.float32),
        thin_width=torch.tensor(thin, dtype=torch.float32),
        handwriting=torch.tensor([row[3] for row in rows]),
        weight=torch.tensor([row[4] for row in rows], dtype=torch.float32),
        family_names=names,
    )


def _family_name(path: Path) -> str | None:
    """Name of the typeface, or None when the file cannot be opened as a font."""
    try:
        name = ImageFont.truetype(str(path), 20).getname()[0] or path.stem
    except OSError:
        return None
    if _HANDWRITING.search(str(path)):
        return name.lower()
    # "Roboto Condensed", "Roboto Slab" and "Roboto" share their digits closely enough to be one family.
    return " ".join(name.split()[:1] if len(name.split()[0]) > 4 else name.split()[:2]).lower()


def _draw_font(path: Path, characters: str) -> list[tuple[str, np.ndarray]]:
    """Boolean pictures of the characters, or an empty list when the font's digits are not usable."""
    size = FIELD_SIZE * _SUPERSAMPLE
    font = ImageFont.truetype(str(path), size)
    missing = _draw(font, "\U000fffff")
    glyphs: list[tuple[str, np.ndarray]] = []
    for character in characters:
        glyph = _draw(font, character)
        usable = glyph is not None and not (missing is not None and np.array_equal(glyph, missing)) and _plain(glyph)
        if usable and glyph is not None:
            glyphs.append((character, glyph))
        elif character in DIGITS:
            return []
    digits = [glyph for character, glyph in glyphs if character in DIGITS]
    if any(np.array_equal(a, b) for i, a in enumerate(digits) for b in digits[:i]):
        return []
    return glyphs


def _draw(font: ImageFont.FreeTypeFont, character: str) -> np.ndarray | None:
    """The character, cut to its box, scaled to the glyph size and centred; None where nothing is drawn."""
    left, top, right, bottom = font.getbbox(character)
    width, height = int(right - left), int(bottom - top)
    if width < 2 or height < 2 or max(width, height) > 8 * FIELD_SIZE * _SUPERSAMPLE:
        return None
    image = Image.new("L", (width + 8, height + 8))
    ImageDraw.Draw(image).text((4 - left, 4 - top), character, font=font, fill=255)
    box = image.getbbox()
    if box is None:
        return None
    image = image.crop(box)
    scale = GLYPH_SIZE * _SUPERSAMPLE / max(image.size)
    image = image.resize(
        (max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.BOX
    )
    size = FIELD_SIZE * _SUPERSAMPLE
    canvas = Image.new("L", (size, size))
    canvas.paste(image, ((size - image.width) // 2, (size - image.height) // 2))
    return np.asarray(canvas) > 127


def _plain(glyph: np.ndarray) -> bool:
    """Whether the picture can be a plain character: few pieces, neither hair nor block."""
    area = int(glyph.sum())
    if area < 60:
        return False
    rows, columns = np.flatnonzero(glyph.any(1)), np.flatnonzero(glyph.any(0))
    box = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
    narrow = columns.size < 0.45 * rows.size  # a "1" or an "l" may fill its box
    return bool(ndimage.label(glyph)[1] <= 4 and (narrow or area / box < 0.85))


def _distance_field(glyph: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Distance field (64, 64) int8 of a picture, its largest distance inside and that of its thin strokes."""
    inside = ndimage.distance_transform_edt(glyph)
    outside = ndimage.distance_transform_edt(~glyph)
    distance = np.where(glyph, inside - 0.5, 0.5 - outside) / _SUPERSAMPLE
    ridge = inside[glyph & (inside == ndimage.maximum_filter(inside, 3))] / _SUPERSAMPLE
    small = distance.reshape(FIELD_SIZE, _SUPERSAMPLE, FIELD_SIZE, _SUPERSAMPLE).mean((1, 3))
    field = np.clip(np.round(small * FIELD_SCALE), -128, 127).astype(np.int8)
    return field, float(inside.max() / _SUPERSAMPLE), float(np.percentile(ridge, 25))
