"""A copy of the house, to add something to."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("train.py", "trainers", "configs", "datasets", "dassl", "prompted_clip", "sweep", "reporting")


class House:
    """A copy of what trains, plans and reports, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name in PARTS:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, folder / name)

    def add(self, path: str, text: str) -> None:
        """Write a new file."""
        target = self.folder / path
        assert not target.exists()
        target.parent.mkdir(exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments in the house."""
        return subprocess.run([sys.executable, *words], cwd=self.folder, capture_output=True, text=True)

    def said(self, *words: str) -> str:
        """What Python prints with these arguments, which must go well."""
        done = self.call(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def naming(self, word: str) -> set[str]:
        """The files of the house in which a word occurs."""
        files = [file for name in PARTS for file in [self.folder / name, *(self.folder / name).rglob("*")]]
        return {
            str(file.relative_to(self.folder))
            for file in files
            if file.is_file() and file.suffix in (".py", ".yaml", ".json") and word in file.read_text(encoding="utf-8")
        }
