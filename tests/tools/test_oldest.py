"""Lower bounds → constraints."""

from tools.oldest import SETUP, constraints


def test_lower_bounds_become_constraints_and_nothing_else_does() -> None:
    source = 'setup(python_requires=">=3.10", a=["torch>=2.4", "setuptools>=71,<81", "b==1", "c"], d=["torch>=2.4"])'
    assert constraints(source) == ["torch==2.4.*", "setuptools==71.*"]


def test_the_projects_own() -> None:
    found = constraints(SETUP.read_text())
    assert "torch==2.4.*" in found and "torchvision==0.19.*" in found and len(found) > 10
