"""The miniature project."""

from pathlib import Path

import pytest

from .world import make_world


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_world(tmp_path / "project")
