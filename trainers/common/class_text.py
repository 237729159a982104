"""The class prompts of a run as text: which of them a backbone cannot tell apart, and how the first ones read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch

from prompted_clip import Backbone
from prompted_clip.classnames import readable_prompt
from prompted_clip.weights import MINI_CLIP

#: One class's tokens, as in `prompted_clip.ClassPrompts.rows`; for an ensemble of templates, those of all of them.
Row = tuple[int, ...]


def equal_prompts(backbone: Backbone, rows: Sequence[Row]) -> list[list[int]]:
    """Groups of classes that have the same prompt as far as the text tower can see.

    Tokens are the same if they are equal or if their rows of the token embedding are.

    Args:
        backbone: the frozen CLIP.
        rows: one per class; −1 − i stands for context token i.

    Returns:
        the groups of two classes or more, as indices of ``rows``, in their order.
    """
    used = sorted({token for row in rows for token in row if token >= 0})
    _, embedding_of = torch.unique(backbone.embed_tokens(used), dim=0, return_inverse=True)
    same = dict(zip(used, embedding_of.tolist(), strict=True))
    groups: dict[Row, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        groups[tuple(same[token] if token >= 0 else token for token in row)].append(i)
    return [group for group in groups.values() if len(group) > 1]


def refuse_equal_prompts(
    backbone: Backbone,
    rows: Sequence[Row],
    classnames: Sequence[str],
    *,
    backbone_name: str,
    published: Sequence[str] = (),
    class_bound: Sequence[str] = (),
    allowed: bool = False,
) -> None:
    """Refuse classes of equal prompts: their scores would always be equal, and one of them never predicted.

    Args:
        backbone: the frozen CLIP.
        rows: one per class.
        classnames: likewise.
        backbone_name: as the user gave it.
        published: names that the published list of the dataset gives to several classes; those are left as they are.
        class_bound: parameters tied to the classes, which can learn to tell them apart: only a note is printed.
        allowed: the user means it: likewise.

    Raises:
        ValueError: names two such classes and says what to do.
    """
    groups = [
        group
        for group in equal_prompts(backbone, rows)
        if classnames[group[0]] not in published or len({classnames[i] for i in group}) > 1
    ]
    if not groups:
        return
    first, second = groups[0][:2]
    one, other = classnames[first], classnames[second]
    remedy = "give every class a name of its own"
    if one == other:
        problem = f"classes {first} and {second} have the same name, {one!r}"
    elif rows[first] == rows[second]:
        problem = (
            f"the classes {one!r} and {other!r} read alike to CLIP, for which case, _ and spaces are no difference"
        )
    else:
        problem = (
            f"the backbone {backbone_name} cannot tell the classes {one!r} and {other!r} apart, as it has one and the"
            " same token embedding for what differs in their prompts"
        )
        remedy = (
            "use a backbone that knows these words, e.g. --backbone ViT-B/16 with INPUT.SIZE (224, 224)"
            f" ({MINI_CLIP} can read digits and letters)"
        )
    total = sum(len(group) for group in groups)
    if total > 2:
        problem += f" ({total} of the {len(rows)} classes are like another)"
    if class_bound or allowed:
        print(f"Note: {problem}" + (f"; only {' and '.join(class_bound)} can learn to" if class_bound else ""))
        return
    raise ValueError(
        f"Their scores would always be equal: {problem}; {remedy}, or set MODEL.ALLOW_EQUAL_PROMPTS True to go on"
        " nevertheless."
    )


def first_prompts(ensemble: Sequence[Sequence[Row]], classnames: Sequence[str], count: int = 3) -> str:
    """The line that shows the prompts of the first classes.

    Args:
        ensemble: the rows of every class under each template; the first is shown.
        classnames: one per class.
        count: how many.
    """
    rows = ensemble[0]
    shown = [f'"{readable_prompt(row, name)}"' for row, name in zip(rows[:count], classnames, strict=False)]
    more = ", ..." if len(rows) > count else ""
    learned = " ([V…]: learned)" if any(token < 0 for token in rows[0]) else ""
    others = f" (the first of {len(ensemble)} templates)" if len(ensemble) > 1 else ""
    return f"Prompts: {', '.join(shown)}{more}{learned}{others}"
