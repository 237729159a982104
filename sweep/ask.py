"""What ``train.py`` knows, asked before anything runs: its methods, and whether it takes a plan's command lines.

Only the methods themselves can tell: they register by being imported, and declare their own config keys. Importing them
costs PyTorch's import, some seconds, so it is done in a process of its own, and only where the answer is needed; the
sweep itself stays quick. What can be read from the sources without importing them would be a guess.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from configs.facts import ROOT

_METHODS = "methods:"


def registered_methods(root: Path) -> list[str]:
    """The methods that ``train.py --list`` names.

    Raises:
        RuntimeError: it does not answer.
    """
    for line in _ask([sys.executable, "train.py", "--list"], root).splitlines():
        if line.startswith(_METHODS):
            return line.removeprefix(_METHODS).split()
    raise RuntimeError(f"train.py --list in {root} names no methods: expected a line '{_METHODS} …'.")


def refusals(commands: Sequence[Sequence[str]], root: Path) -> list[str]:
    """Why ``train.py`` would refuse command lines for their settings, "" for each that it takes.

    Args:
        commands: arguments of ``train.py``.
        root: the project's folder.

    Raises:
        RuntimeError: it does not answer.
    """
    answer = _ask([sys.executable, "-m", __name__], root, json.dumps([list(command) for command in commands]))
    return json.loads(answer.splitlines()[-1])


def _ask(command: list[str], root: Path, question: str = "") -> str:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, cwd=root, env=environment, input=question, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise RuntimeError(f"the methods in {root} cannot be asked: {said.removeprefix('error: ')}")
    return done.stdout


def _refusal(train: Any, arguments: list[str]) -> str:
    try:
        train.build_config(train.parse_args(arguments))
    except (ValueError, KeyError, OSError) as error:
        message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        return " ".join(message.split()) or type(error).__name__
    return ""


def _answer() -> None:
    """In the process that is asked: command lines come in as JSON, refusals go out likewise."""
    with contextlib.redirect_stdout(sys.stderr):  # whatever a method prints when it is imported
        import train

        answer = [_refusal(train, arguments) for arguments in json.load(sys.stdin)]
    print(json.dumps(answer))


if __name__ == "__main__":
    _answer()
