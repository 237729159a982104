"""A project in miniature for sweeps: real config names, and a ``train.py`` of the standard library and the records.

Its runs count to a number, saving as the real ones do: on SIGTERM and SIGINT, and then they go on from there. Every
count and every completion is noted in ``ledger.txt``, so that work done twice or lost shows.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from configs.dataset import DATASET_ENDING
from configs.method import METHOD_FILE
from sweep.layout import ROOT, Call
from sweep.plan import Plan, Wanted, make_plan

CONFIG = """
def parse_args(words):
    return words
def build_config(words):
    start = words.index("DATASET.NUM_SHOTS")
    for key, value in zip(words[start::2], words[start + 1::2]):
        if not key.startswith(("FAKE.", "DATASET.", "OPTIM.LR")):
            raise KeyError(f"unknown config key {key}; did you mean OPTIM.LR?")
        if key == "OPTIM.LR":
            float(value)
"""

TRAIN = (
    f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
"""
    + """
import fcntl, hashlib, json, os, pathlib, signal, time
from dassl.records import Asked, Source, is_answered, read_record, take, write_marks
words = sys.argv[1:]
def value(name, default=""):
    return words[words.index(name) + 1] if name in words else default
folder = value("--output-dir")
method, dataset = value("--trainer"), os.path.basename(value("--dataset-config-file")).removesuffix(".yaml")
def note(text):
    with open("ledger.txt", "a") as ledger:
        ledger.write(text + "\\n")
asked = Asked.from_arguments(words, pathlib.Path.cwd())
sources = [Source("content", "config_file", ""), Source("content", "dataset_config_file", "")]
if "--model-dir" in words:
    sources.append(Source("content", "model_dir", "model/model.pth.tar-1"))
def write(name, text):
    with open(folder + "/" + name + ".part", "w") as file:
        file.write(text)
    os.replace(folder + "/" + name + ".part", folder + "/" + name)
command = " ".join(["python", *sys.argv])
if words == ["--list"]:
    print("methods:   " + open("methods.txt").read())
    sys.exit(0)
if read_record(folder) is not None:
    if not is_answered(folder, asked) and read_record(folder)["environment"]["command"] != command:
        sys.exit("error: holds a complete run that answers another question")
    print(folder, "is complete: nothing to do")
    sys.exit(0)
os.makedirs(folder, exist_ok=True)
lock = open(folder + "/.lock", "a")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    print(f"error: another run is using the output folder {folder}", file=sys.stderr)
    sys.exit(2)
if "--model-dir" in words and not os.path.exists(value("--model-dir") + "/model/model.pth.tar-1"):
    print("error: no such checkpoint", file=sys.stderr)
    sys.exit(2)
stopped = []
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda received, _: stopped.append(received))
count = int(open(folder + "/resume.pt").read()) if os.path.exists(folder + "/resume.pt") else 0
write("resume.pt", str(count))
steps = 1 if "--eval-only" in words else int(value("FAKE.STEPS", "3"))
while count < steps:
    time.sleep(float(value("FAKE.SECONDS", "0.02")))
    count += 1
    note(f"count {folder} {count}")
    if value("FAKE.FAIL") in (method, dataset) and "--eval-only" not in words:
        print("error: the loss is nan")
        sys.exit(2)
    marker = folder.replace("/", "_") + ".killed"
    if value("FAKE.KILL") == dataset and count == 2 and not os.path.exists(marker):
        write("resume.pt", str(count))
        open(marker, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    if stopped:
        write("resume.pt", str(count))
        print("stopped; the same command goes on from there")
        sys.exit(128 + stopped[0])
os.makedirs(folder + "/model", exist_ok=True)
write("model/model.pth.tar-1", "")
accuracy = int(hashlib.sha256(folder.encode()).hexdigest(), 16) % 10000 / 100
config = os.path.basename(value("--config-file")).removesuffix(".yaml")
protocol = {"shots": int(value("DATASET.NUM_SHOTS")), "subsample_classes": value("DATASET.SUBSAMPLE_CLASSES"),
            "seed": int(value("--seed")), "config": config, "eval_only": "--eval-only" in words,
            "model_dir": value("--model-dir")}
write("run.json", json.dumps({
    "schema_version": 1, "status": "complete", "method": method, "dataset": dataset.title(), "backbone": "b",
    "protocol": protocol, "config": {}, "data": {}, "metrics": {"test": {"accuracy": accuracy}},
    "trainable_parameters": 0 if method.startswith("Zero") else 8, "end_utc": "2024-01-01T00:00:00+00:00",
    "cost": {"train_seconds": 2.0, "eval_seconds": 1.0},
    "environment": {"command": command, "device_name": "abacus"}}))
write_marks(folder, asked, take(asked, sources))
os.remove(folder + "/resume.pt")
note(f"complete {folder}")
"""
)


def make_world(root: Path) -> Path:
    """Write the miniature project, with the real project's config names and facts."""
    root.mkdir(parents=True, exist_ok=True)
    for path in (ROOT / "configs").rglob("*.yaml"):
        copy = root / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.name == METHOD_FILE or path.name.endswith(DATASET_ENDING):
            shutil.copy(path, copy)
        else:
            copy.write_text(f'DATASET:\n  NAME: "{path.stem.title()}"\n', encoding="utf-8")
    program = f'{CONFIG}\nif __name__ == "__main__":\n{textwrap.indent(TRAIN, "    ")}'
    (root / "train.py").write_text(program, encoding="utf-8")
    methods = sorted(path.name for path in (root / "configs" / "trainers").iterdir())
    (root / "methods.txt").write_text(" ".join(methods), encoding="utf-8")
    return root


def plan_for(root: Path, *protocols: str, options: Sequence[str] = (), **more: object) -> Plan:
    """A plan on Digits with the quickstart's setting, unless told otherwise."""
    chosen: dict = {"methods": ["MaPLe"], "datasets": ["digits"], "seeds": [1], "config": "quickstart", **more}
    return make_plan(Wanted(protocols or ("base2new",), call=Call(options=options), root=root, **chosen))


def ledger(root: Path) -> list[str]:
    """What runs have noted."""
    path = root / "ledger.txt"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def assert_each_once(root: Path, plan: Plan) -> None:
    """All runs are complete, each completed once and each count counted once."""
    noted = Counter(ledger(root))
    assert {line.split()[1] for line in noted if line.startswith("complete")} == set(plan.runs)
    assert set(noted.values()) == {1}, [line for line, count in noted.items() if count > 1]


def start_sweep(root: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """``python -m sweep`` for a miniature project, as a process in a session of its own."""
    # what runs the tests may ignore SIGHUP (nohup does), and a sweep would inherit that
    program = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL); import pathlib, sys; "
    program += "from sweep.cli import main; sys.exit(main(sys.argv[1:], pathlib.Path.cwd()))"
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "CUDA_VISIBLE_DEVICES": "", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def sweep(root: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Exit code and output of a sweep."""
    process = start_sweep(root, *arguments, **environment)
    output, _ = process.communicate(timeout=120)
    return process.returncode, output


def wait_until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
