"""Items, the base class of datasets, few-shot sampling."""

from __future__ import annotations

import pickle
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum, build_dataset


def data(*labels: int) -> list[Datum]:
    return [Datum(f"/{n}.png", label, n % 2, f"c{label}") for n, label in enumerate(labels)]


def test_datum() -> None:
    item = Datum(impath="/no/such/file.png", label=3, domain=1, classname="cat")
    assert (item.impath, item.label, item.domain, item.classname) == ("/no/such/file.png", 3, 1, "cat")
    with pytest.raises(AttributeError):
        item.label = 4  # type: ignore[misc]
    copy = pickle.loads(pickle.dumps(item))
    assert copy.classname == "cat" and vars(copy).keys() == {"_impath", "_label", "_domain", "_classname"}
    assert "cat" in repr(item) and Datum("x").domain == 0
    with pytest.raises(TypeError, match="impath must be a path"):
        Datum(3)  # type: ignore[arg-type]


def test_base() -> None:
    base = DatasetBase(train_x=data(1, 0, 1, 2), val=data(0), test=data(5))
    assert (
        base.num_classes == 3
        and base.classnames == ["c0", "c1", "c2"]
        and base.lab2cname == {0: "c0", 1: "c1", 2: "c2"}
    )
    assert base.train_u is None and len(base.val) == 1 and base.test[0].label == 5
    assert list(base.split_dataset_by_label(base.train_x)) == [1, 0, 2]
    assert {d: len(i) for d, i in base.split_dataset_by_domain(base.train_x).items()} == {0: 2, 1: 2}
    assert DatasetBase(train_x=[]).num_classes == 0 and DatasetBase().classnames == []


def test_gaps_and_double_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no training image for label 1, 3 although labels go up to 4"):
        DatasetBase(train_x=data(0, 2, 4))
    with pytest.raises(ValueError, match="label 0 has two class names, 'c0' and 'other'"):
        DatasetBase(train_x=[*data(0), Datum("x", 0, 0, "other")])


def test_domains() -> None:
    base = DatasetBase(train_x=data(0))
    base.domains = ["photo", "sketch"]
    base.check_input_domains(["photo"], ["sketch"])
    with pytest.raises(ValueError, match="there is no domain 'art'; choose from"):
        base.check_input_domains(["photo"], ["art"])
    with pytest.raises(ValueError, match=r"DATASET\.SOURCE_DOMAINS is empty"):
        base.check_input_domains([], ["photo"])


def test_registry() -> None:
    @DATASET_REGISTRY.register()
    class Registered(DatasetBase):
        def __init__(self, cfg: Any) -> None:
            super().__init__(train_x=data(0))

    cfg = get_cfg_default()
    cfg.DATASET.NAME = "Registered"
    assert isinstance(build_dataset(cfg), Registered)
    cfg.DATASET.NAME = "Registred"
    with pytest.raises(ValueError, match="did you mean 'Registered'"):
        build_dataset(cfg)


@given(labels=st.lists(st.integers(0, 4), min_size=1, max_size=60), shots=st.integers(1, 6), seed=st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_few_shots(labels: list[int], shots: int, seed: int) -> None:
    source, base = data(*labels), DatasetBase()
    random.seed(seed)
    first = base.generate_fewshot_dataset(source, num_shots=shots)
    groups = base.split_dataset_by_label(source)
    # the published protocol, step by step
    random.seed(seed)
    expected = []
    for items in groups.values():
        expected += random.sample(items, shots) if len(items) >= shots else items
    assert [i.impath for i in first] == [i.impath for i in expected]
    assert list(base.split_dataset_by_label(first)) == list(groups)
    repeated = base.generate_fewshot_dataset(source, num_shots=shots, repeat=True)
    assert len(repeated) == shots * len(groups)


def test_several_sources_and_no_shots() -> None:
    base, train, val = DatasetBase(), data(0, 0, 1, 1), data(0, 1)
    a, b = base.generate_fewshot_dataset(train, val, num_shots=1)
    assert len(a) == 2 and len(b) == 2
    assert base.generate_fewshot_dataset(train, num_shots=-1) is train
    same = base.generate_fewshot_dataset(train, val, num_shots=0)
    assert same[0] is train and same[1] is val
    random.seed(1)
    state = random.getstate()
    assert base.generate_fewshot_dataset(train, num_shots=9) == train
    assert random.getstate() == state  # a class that is taken whole draws nothing
