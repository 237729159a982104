"""Packing of class prompts, against the token sequences written out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prompted_clip import class_prompts, encode_words, text_prompts
from prompted_clip.classnames import fill_windows, pack, readable_prompt, tokenizer

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
    """Shared start, then suffixes of 3 and 2 tokens in one window of five rows, the longer first."""
    packed = pack([[9, -1, 8, 7], [9, -1, 5, 6, 7]], n_ctx=1)
    assert (packed.prefix_length, packed.windows) == (2, 1)
    assert packed.token_ids.tolist() == [9, 0, 5, 6, 7, 8, 7]
    assert packed.positions.tolist() == [0, 1, 2, 3, 4, 2, 3]
    assert packed.eos_rows.tolist() == [6, 4]
    assert packed.suffix_lengths == [2, 3]
    assert (packed.slot_rows.tolist(), packed.slot_tokens.tolist()) == ([1], [0])
    assert packed.mask.int().tolist() == [
        [
            [
                [1, 1, 1, 0, 0, 0, 0],
                [1, 1, 1, 1, 0, 0, 0],
                [1, 1, 1, 1, 1, 0, 0],
                [1, 1, 0, 0, 0, 1, 0],
                [1, 1, 0, 0, 0, 1, 1],
            ]
        ]
    ]
    assert (packed.readers.tolist(), packed.read_places.tolist()) == ([1, 0], [1, 0])
    assert packed.read_mask.int().tolist() == [[[[1, 1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 0, 1, 1]]]]


def test_inserting_rows_by_hand():
    """`test_packing_by_hand` with two more rows behind the start: everything after them sees them, in its own place."""
    packed = pack([[9, -1, 8, 7], [9, -1, 5, 6, 7]], n_ctx=1).insert(2)
    assert (packed.prefix_length, packed.suffix_lengths) == (4, [2, 3])
    assert packed.token_ids.tolist() == [9, 0, 0, 0, 5, 6, 7, 8, 7]
    assert packed.positions.tolist() == [0, 0, 0, 1, 2, 3, 4, 2, 3]
    assert (packed.eos_rows.tolist(), packed.slot_rows.tolist()) == ([8, 6], [3])
    assert packed.mask.int().tolist() == [
        [
            [
                [1, 1, 1, 1, 1, 0, 0, 0, 0],
                [1, 1, 1, 1, 1, 1, 0, 0, 0],
                [1, 1, 1, 1, 1, 1, 1, 0, 0],
                [1, 1, 1, 1, 0, 0, 0, 1, 0],
                [1, 1, 1, 1, 0, 0, 0, 1, 1],
            ]
        ]
    ]
    assert packed.read_mask.int().tolist() == [[[[1, 1, 1, 1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 0, 0, 0, 1, 1]]]]


@pytest.mark.parametrize(
    "options, shared",
    [({}, True), ({"per_class": True}, False), ({"position": "front"}, False), ({"position": "middle"}, True)],
)
def test_whether_a_slot_is_shared(options, shared):
    assert class_prompts(["cat", "dog"], context_length=12, n_ctx=2, **options).shared_slots == shared
    assert not class_prompts(["cat", "dog"], context_length=12).shared_slots


@settings(max_examples=50, deadline=None)
@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=200))
def test_windows_hold_every_class_once(lengths):
    for rows in (max(lengths), 40):
        windows = fill_windows(lengths, rows)
        assert sorted(i for members in windows for i in members) == list(range(len(lengths)))
        assert all(sum(lengths[i] for i in members) <= rows for members in windows)
        assert sum(sum(lengths[i] for i in members) <= rows / 2 for members in windows) <= 1  # else two would be one


def test_few_rows_of_a_window_stay_empty():
    """Suffix lengths as ImageNet's names have them: next to nothing is computed that nobody reads."""
    lengths = [3] * 296 + [4] * 380 + [5] * 186 + [6] * 106 + [7] * 28 + [9] * 3 + [14]
    packed = pack([[9, *range(10, 9 + n), 7] for n in lengths], n_ctx=0, prefix_length=1)
    assert packed.suffix_lengths == lengths
    assert len(packed.token_ids) < 1.01 * (1 + sum(lengths))


def test_classes_share_no_row_and_each_sees_its_own():
    names = ["cat", "golden retriever", "a very_long name of a thing", "cat"] * 9
    packed = class_prompts(names, context_length=24, n_ctx=2)
    length = packed.mask.shape[-2]
    for i, row in enumerate(packed.rows):
        window, last = divmod(int(packed.eos_rows[i]) - packed.prefix_length, length)
        seen = packed.mask[window, 0, last].nonzero()[:, 0].tolist()
        own = [n if n < packed.prefix_length else n + window * length for n in seen]
        assert packed.token_ids[own].tolist() == [max(token, 0) for token in row]
        assert packed.positions[own].tolist() == list(range(len(row)))


def test_context_of_its_own_per_class_shares_the_start_token_only():
    packed = class_prompts(["cat", "dog"], context_length=12, n_ctx=2, per_class=True)
    assert packed.prefix_length == 1
    assert sorted(packed.slot_classes.tolist()) == [0, 0, 1, 1]


def test_one_class_keeps_its_end_of_text_row_out_of_the_prefix():
    packed = text_prompts(["a cat."], context_length=12)
    assert packed.suffix_lengths == [1]


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


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"n_ctx": 2, "frozen_tokens": encode_words("of a")}, "[V1] [V2] of a red Fox 7-20."),
        ({"n_ctx": 4, "position": "front"}, "red Fox 7-20 [V1] [V2] [V3] [V4]."),
        ({"n_ctx": 5, "position": "middle"}, "[V1] [V2] red Fox 7-20 [V3] [V4] [V5]."),
        ({"n_ctx": 16}, "[V1] … [V16] red Fox 7-20."),
        ({}, "red Fox 7-20."),
    ],
)
def test_prompts_as_they_read(options, expected):
    (row,) = class_prompts(["red_Fox 7-20"], context_length=40, **options).rows
    assert readable_prompt(row, "red_Fox 7-20") == expected
    assert readable_prompt(row) == expected.replace("red Fox 7-20", "red fox 7 - 2 0")


TEXTS = st.lists(st.sampled_from(["cat", "Dog", "don't", "(big)", "7-20", ".", ",", "x.", ")", "é", "_"]), min_size=1)


@settings(deadline=None)
@given(before=TEXTS, name=TEXTS, after=TEXTS)
def test_what_is_shown_is_what_is_encoded(before, name, after):
    before, name, after = (" ".join(words[:6]) for words in (before, name, after))
    (row,) = text_prompts([f"{before} {name} {after}"], context_length=77).rows
    assert encode_words(readable_prompt(row, name)) == list(row[1:-1])
    assert encode_words(readable_prompt(row)) == list(row[1:-1])
