"""The tools are scripts with their own folder on the path, as when they are run; so it is here."""

import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))


@pytest.fixture(scope="session")
def dejavu() -> Path:
    """One font file that every installation of matplotlib has."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


@pytest.fixture(scope="session")
def bank(dejavu):
    """The glyphs of that font."""
    from mini_clip.glyphs import build_bank

    return build_bank([dejavu])
