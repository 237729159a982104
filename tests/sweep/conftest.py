"""The miniature project."""

from pathlib import Path

import pytest

from .world import make_world


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_world(tmp_path / "project")


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from .engine import write_backbone  # needs PyTorch, which most tests of this folder do without

    return write_backbone(tmp_path_factory.mktemp("backbone") / "tiny.pt")
