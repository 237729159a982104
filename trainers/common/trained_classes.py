"""The classes that a model was trained on beside those that it is asked about."""

from __future__ import annotations

from collections.abc import Sequence


def compare_classes(
    trained: Sequence[str], tested: Sequence[str], *, class_bound: Sequence[str] = (), new: bool = False
) -> str:
    """What it means to test on these classes, in a sentence; "" where they are those of training.

    Prompts that all classes share serve any class names in any order: base → new, another dataset, more classes. What
    is learned for each class by its number serves the classes of training in their order, and nothing else.

    Args:
        trained: class names of training, by label.
        tested: class names now, by label.
        class_bound: names of the parameters that are tied to the classes.
        new: the classes tested are meant to be new ones.

    Raises:
        ValueError: they are other classes, or in another order, and parameters are tied to the classes.
    """
    if list(trained) == list(tested):
        return ""
    known = set(trained)
    seen = sum(name in known for name in tested)
    if class_bound:
        label = next((i for i, pair in enumerate(zip(trained, tested, strict=False)) if pair[0] != pair[1]), None)
        found = (
            f"{len(trained)} classes, not {len(tested)}"
            if label is None
            else f"class {label} was {trained[label]!r} and is {tested[label]!r}"
        )
        raise ValueError(
            f"It was trained on other classes, or in another order ({found}), and it knows them by number"
            f" ({', '.join(class_bound)}): test it on the classes that it was trained on."
        )
    if not seen:
        return f"Trained on {len(trained)} classes, tested on {len(tested)} others" + (": base → new." if new else ".")
    if sorted(trained) == sorted(tested):
        return (
            f"Trained on the same {len(tested)} classes in another order, which changes nothing: what it learned is of"
            " all classes together."
        )
    amount = "all" if seen == len(tested) else str(seen)
    told = f"Trained on {len(trained)} classes: of the {len(tested)} tested, {amount} are among them"
    return f"{told}, so that this is no test on new classes." if new else f"{told}."
