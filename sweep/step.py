"""One step of one run, or of several seeds: the other half of ``scripts/run.sh``, where its arguments are explained."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from sweep.layout import Call, Setting, legs, train_arguments
from sweep.recipes import default_config


def commands(arguments: list[str], environment: Mapping[str, str]) -> list[list[str]]:
    """The ``train.py`` command lines of ``scripts/run.sh STEP TRAINER DATASET [SEED [WEIGHTS]]``.

    Raises:
        ValueError: an unknown step, no seed, a seed or number of shots that is none, or no weight folder.
    """
    step, method, dataset, *rest = arguments
    seeds = (environment.get("SEEDS") or (rest[0] if rest else "")).split()
    if not seeds:
        raise ValueError("no seed: give one after the dataset, or several in SEEDS.")
    shots = whole_number("SHOTS", environment.get("SHOTS") or "16")
    call = Call(
        data=environment.get("DATA") or "data",
        options=(environment.get("OPTS") or "").split(),
        force=bool(environment.get("FORCE")),
        load_epoch=environment.get("LOADEP") or "",
    )
    name = Path(dataset).stem if dataset.endswith(".yaml") else dataset
    lines = []
    for seed in seeds:
        setting = Setting(
            method=method,
            config=environment.get("CFG") or default_config(step, method, name, shots),
            dataset=dataset,
            shots=shots,
            seed=whole_number("SEED", seed),
            output=environment.get("OUTPUT") or "output",
            source=environment.get("SOURCE") or "",
            weights=rest[1] if len(rest) > 1 else "",
        )
        for leg in legs(step, setting):
            lines.append([sys.executable, "train.py", *train_arguments(leg, setting, call)])
    return lines


def whole_number(name: str, text: str) -> int:
    """A number from the command line or environment.

    Raises:
        ValueError: it is none.
    """
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name} is '{text}': expected a whole number.") from None


def _run(command: list[str]) -> int:
    # Ctrl-C reaches both processes, a SIGTERM this one alone: it is passed on, and the run decides when it is done.
    child = subprocess.Popen(command)
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: child.send_signal(signal.SIGTERM))
    code = child.wait()
    return 128 - code if code < 0 else code


def main() -> int:
    """Run the commands in turn, up to the first that fails; DRY_RUN=1 prints them."""
    try:
        lines = commands(sys.argv[1:], os.environ)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if os.environ.get("DRY_RUN"):
        for command in lines:
            print(shlex.join(command))
        return 0
    if len(lines) == 1:
        os.execv(lines[0][0], lines[0])
    for command in lines:
        code = _run(command)
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
