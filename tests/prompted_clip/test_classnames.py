"""Packing of class prompts, against the token sequences written out."""

import pytest

from prompted_clip import class_prompts, encode_words, text_prompts
from prompted_clip.classnames import pack, tokenizer

SOS = tokenizer().encoder["<|startoftext|>"]
EOS = tokenizer().encoder["<|endoftext|>"]
CAT, DOG, STOP = encode_words("cat")[0], encode_words("dog")[0], encode_words(".")[0]


@pytest.mark.parametrize(
    "position, expected",
    [
        ("end", (SOS, -1, -2, -3, CAT, DOG, STOP, EOS)),
        ("middle", (SOS, -1, CAT, DOG, -2, -3, STOP, EOS)),
        ("front", (SOS, CAT, DOG, -1, -2, -3, STOP, EOS)),
    ],
)
def test_where_the_context_stands(position, expected):
    prompts = class_prompts(["cat_dog"], context_length=12, n_ctx=3, position=position)
    assert prompts.rows == (expected,)


def test_frozen_template_words_stay_between_context_and_name():
    of_a = encode_words("of a")
    prompts = class_prompts(["cat"], context_length=12, n_ctx=2, frozen_tokens=of_a)
    assert prompts.rows == ((SOS, -1, -2, *of_a, CAT, STOP, EOS),)


def test_packing_by_hand():
    """Shared start, then suffixes of 3 and 2 tokens: the shorter comes first, and restore undoes that."""
    packed = pack([[9, -1, 5, 6, 7], [9, -1, 8, 7]], n_ctx=1)
    assert packed.prefix_length == 2
    assert packed.blocks == ((1, 2), (1, 3))
    assert packed.token_ids.tolist() == [9, 0, 8, 7, 5, 6, 7]
    assert packed.positions.tolist() == [0, 1, 2, 3, 2, 3, 4]
    assert packed.eos_rows.tolist() == [3, 6]
    assert packed.restore.tolist() == [1, 0]
    assert (packed.slot_rows.tolist(), packed.slot_tokens.tolist()) == ([1], [0])


def test_context_of_its_own_per_class_shares_the_start_token_only():
    packed = class_prompts(["cat", "dog"], context_length=12, n_ctx=2, per_class=True)
    assert packed.prefix_length == 1
    assert sorted(packed.slot_classes.tolist()) == [0, 0, 1, 1]


def test_one_class_keeps_its_end_of_text_row_out_of_the_prefix():
    packed = text_prompts(["a cat."], context_length=12)
    assert packed.blocks == ((1, 1),)


def test_a_name_that_ends_in_punctuation_is_tokenised_with_the_full_stop():
    text = class_prompts(["dog (small)"], context_length=16).rows[0]
    assert list(text[1:-1]) == tokenizer().encode("dog (small).")


@pytest.mark.parametrize(
    "names, options, message",
    [
        ([], {}, "No class names"),
        (["cat", " "], {}, "has no word"),
        (["cat"], {"position": "side"}, "'side': expected end, middle or front"),
        (
            ["cat", "dog " * 8],
            {"n_ctx": 2},
            "takes 13 tokens with 2 context tokens, but the text tower has 12 positions",
        ),
    ],
)
def test_names_that_cannot_be_prompts(names, options, message):
    with pytest.raises(ValueError, match=message):
        class_prompts(names, context_length=12, **options)


def test_texts_are_required():
    with pytest.raises(ValueError, match="No texts"):
        text_prompts([], context_length=12)
