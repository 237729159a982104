"""The classes of training beside those of the test."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.common.trained_classes import compare_classes

BASE, NEW = ["cat", "dog", "ant"], ["fox", "bee"]


@pytest.mark.parametrize(
    "trained, tested, new, told",
    [
        (BASE, BASE, False, ""),
        (BASE, NEW, True, "Trained on 3 classes, tested on 2 others: base → new."),
        (BASE, NEW, False, "Trained on 3 classes, tested on 2 others."),
        (BASE, ["ant", "dog", "cat"], False, "Trained on the same 3 classes in another order, which changes nothing"),
        (BASE + NEW, NEW, True, "of the 2 tested, all are among them, so that this is no test on new classes."),
        (BASE + NEW, NEW, False, "Trained on 5 classes: of the 2 tested, all are among them."),
        (BASE, ["dog", "fox"], False, "Trained on 3 classes: of the 2 tested, 1 are among them."),
        (BASE, ["cat", "cat", "dog"], False, "of the 3 tested, all are among them."),
    ],
)
def test_what_is_said(trained, tested, new, told):
    found = compare_classes(trained, tested, new=new)
    assert told in found and bool(told) == bool(found)
    assert new or compare_classes(trained, tested) == found


@pytest.mark.parametrize(
    "tested, told",
    [
        (NEW, "class 0 was 'cat' and is 'fox'"),
        (["cat", "ant", "dog"], "class 1 was 'dog' and is 'ant'"),
        (BASE[:2], "3 classes, not 2"),
    ],
)
def test_what_is_tied_to_classes_serves_no_others(tested, told):
    with pytest.raises(ValueError, match=rf"{told}\), and it knows them by number \(weight, bias\)"):
        compare_classes(BASE, tested, class_bound=("weight", "bias"))


LISTS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=4)


@given(trained=LISTS, tested=LISTS, new=st.booleans())
def test_only_the_same_list_goes_without_a_word(trained, tested, new):
    assert (compare_classes(trained, tested, new=new) == "") == (trained == tested)
    if trained == tested:
        assert compare_classes(trained, tested, class_bound=("ctx",)) == ""
    else:
        with pytest.raises(ValueError, match="It was trained on other classes, or in another order"):
            compare_classes(trained, tested, class_bound=("ctx",))
