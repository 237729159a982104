"""What pip installs: the library alone, whole, and beside another package that is called `datasets`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = {"prompted_clip", "dassl"}
PROGRAM = """
import datasets, dassl.engine, prompted_clip
from prompted_clip import load_backbone, text_prompts
assert datasets.OF_ANOTHER_PROJECT
backbone = load_backbone("mini_clip")
features = backbone.encode_text(text_prompts(["zero", "one"], context_length=backbone.spec.context_length))
print(prompted_clip.__file__, *features.shape)
"""


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def build(source: Path, folder: Path) -> Path:
    """The wheel of a project, built with the tools of this environment."""
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        folder,
        source,
        cwd=folder,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    source = tmp_path_factory.mktemp("source")  # a build leaves folders behind
    for name in ("setup.py", "pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, source)
    for name in ("prompted_clip", "dassl", "datasets", "trainers", "assets"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    return build(source, tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_the_library_and_nothing_else(wheel) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == OURS
    missing = [
        str(file.relative_to(ROOT))
        for package in OURS
        for file in [*(ROOT / package).rglob("*.py"), ROOT / package / "py.typed"]
        if str(file.relative_to(ROOT)) not in names
    ]
    assert not missing


def test_it_works_next_to_a_package_named_datasets(wheel, tmp_path) -> None:
    other = tmp_path / "other"
    (other / "datasets").mkdir(parents=True)
    (other / "datasets" / "__init__.py").write_text("OF_ANOTHER_PROJECT = True\n")
    (other / "setup.py").write_text("from setuptools import setup\nsetup(name='other', packages=['datasets'])\n")
    (tmp_path / "wheels").mkdir()
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "env", cwd=tmp_path)
    python = next(
        place for place in (tmp_path / "env/bin/python", tmp_path / "env/Scripts/python.exe") if place.exists()
    )
    purelib = Path(
        run(python, "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip()
    )
    wheels = [wheel, build(other, tmp_path / "wheels")]
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", *wheels, cwd=tmp_path)
    # PyTorch and the rest are this environment's: a plain path, so that this environment's own .pth files (its
    # installation of the project) do not count; after pip is done, which would take that installation for its own
    (purelib / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    where, classes, _ = run(python, "-I", "-W", "ignore", "-c", PROGRAM, cwd=tmp_path).split()[-3:]
    assert Path(where).is_relative_to(purelib) and classes == "2"


def test_the_lower_bounds_are_all_named() -> None:
    """Else nobody knows what the oldest versions are that the project promises to run on."""
    text = (ROOT / "setup.py").read_text()
    wanted = re.findall(r'^\s+"([\w-]+)([^"]*)",$', text, flags=re.MULTILINE)
    unbounded = [name for name, bound in wanted if not bound and not name.startswith(("types-", "prompted", "dassl"))]
    assert not unbounded
