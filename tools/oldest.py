"""Prints a pip constraint for each requirement of setup.py that has a lower bound: the oldest release that it allows.

    python tools/oldest.py        # torch>=2.4 becomes torch==2.4.*, the last patch release of that version

The scripts take them with COMPAT=oldest (scripts/env.sh).
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

SETUP = Path(__file__).resolve().parent.parent / "setup.py"


def constraints(source: str) -> list[str]:
    """The constraints of a setup.py, in its order, each package once."""
    words = (n.value for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Constant) and isinstance(n.value, str))
    found = (re.fullmatch(r"([A-Za-z][\w.-]*)>=([\d.]+)(,.*)?", word) for word in words)
    return list(dict.fromkeys(f"{match[1]}=={match[2]}.*" for match in found if match and match[1] != "python"))


if __name__ == "__main__":
    print("\n".join(constraints(SETUP.read_text(encoding="utf-8"))))
