"""The local pool, on the miniature project: order, failures, signals, kills, and runs of others."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
from pathlib import Path

import pytest

from sweep.local import check_gpus, describe, make_slots, visible_gpus
from sweep.process import Process
from sweep.state import is_locked

from .world import assert_each_once, ledger, plan_for, start_sweep, sweep, wait_until

MOMENTS = random.Random(11)
GRID = ["base2new", "--config", "quickstart", "--datasets", "digits", "mnist5k", "--seeds", "1", "2"]
ARGUMENTS = [*GRID, "--methods", "ZeroshotCLIP", "MaPLe", "--jobs", "3"]


def whole_plan(root: Path) -> object:
    return plan_for(root, methods=["ZeroshotCLIP", "MaPLe"], datasets=["digits", "mnist5k"], seeds=[1, 2])


def test_runs_all_once_in_order_of_need(root: Path) -> None:
    code, output = sweep(root, *ARGUMENTS)
    assert code == 0, output
    plan = whole_plan(root)
    assert len(plan.runs) == 2 * 2 + 2 * 2 * 2
    assert_each_once(root, plan)
    assert "12 runs: 12 complete" in output
    assert "table: python -m reporting base2new output/base2new" in output
    code, output = sweep(root, *ARGUMENTS)
    assert code == 0
    assert_each_once(root, plan)  # nothing is run again
    assert "about" not in output


def test_failure_does_not_stop_the_others(root: Path) -> None:
    code, output = sweep(root, *ARGUMENTS, "FAKE.FAIL", "mnist5k")
    assert code == 1, output
    failed = {line.split("failed: ")[1] for line in output.splitlines() if line.startswith("failed: ")}
    # the zero-shot method trains nothing, but its run on the base classes is not a mere test
    assert failed == {
        "base2new_train ZeroshotCLIP mnist5k, seed 1",
        "base2new_train MaPLe mnist5k, seed 1",
        "base2new_train MaPLe mnist5k, seed 2",
    }
    assert "error: the loss is nan" in output
    assert f"repeat: cd {root}" in output
    assert "not run, because the run whose model they test failed:\n  base2new_test MaPLe mnist5k, seed 1" in output
    assert "7 complete, 3 failed, 2 not run" in output
    code, output = sweep(root, *ARGUMENTS, "FAKE.FAIL", "none")
    assert "base2new_train MaPLe digits, seed 1: FAILED" in output  # other settings: train.py refuses


def test_repeat_command_repeats(root: Path) -> None:
    _, output = sweep(root, *GRID, "--methods", "MaPLe", "FAKE.FAIL", "mnist5k")
    command = next(line.split("repeat: ")[1] for line in output.splitlines() if "repeat: " in line)
    assert os.system(f"({command}) >/dev/null 2>&1") >> 8 == 2
    assert os.system(f"({command.replace('FAKE.FAIL mnist5k', '')}) >/dev/null 2>&1") == 0


def test_killed_run_goes_on_once(root: Path) -> None:
    code, output = sweep(root, *ARGUMENTS, "FAKE.KILL", "digits")
    assert code == 0, output
    assert "MaPLe digits, seed 1: stopped, can be gone on with" in output
    assert_each_once(root, whole_plan(root))
    code, output = sweep(root, *ARGUMENTS, "--output", "other", "--retries", "0", "FAKE.KILL", "digits")
    assert code == 1
    assert "was stopped again" in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_stops_cleanly_and_goes_on(root: Path, number: int) -> None:
    process = start_sweep(root, *ARGUMENTS, "FAKE.STEPS", "20")
    wait_until(lambda: len(ledger(root)) > 3)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number, output
    assert "stopped; the same command goes on" in output
    assert not any(is_locked(path.parent) for path in root.rglob(".lock"))
    assert sweep(root, *ARGUMENTS, "FAKE.STEPS", "20")[0] == 0
    assert_each_once(root, whole_plan(root))


def test_second_signal_ends_at_once(root: Path) -> None:
    process = start_sweep(root, *ARGUMENTS, "FAKE.SECONDS", "600")
    wait_until(lambda: list(root.rglob("resume.pt")))
    process.send_signal(signal.SIGINT)
    wait_until(lambda: "stopping" in (process.stdout.readline() if process.stdout else ""))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGINT
    assert not any(is_locked(path.parent) for path in root.rglob(".lock"))


def kill_and_go_on(root: Path, times: int, longest: float) -> None:
    """Kill the sweep itself at random moments, then let it end; nothing may be done twice or lost."""
    options = ("FAKE.STEPS", "10")
    for _ in range(times):
        process = start_sweep(root, *ARGUMENTS, *options)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(MOMENTS.uniform(0.1, longest))
        process.kill()
        process.communicate(timeout=60)
    code, output = sweep(root, *ARGUMENTS, *options)
    assert code == 0, output
    assert_each_once(root, whole_plan(root))


def test_killed_sweep_goes_on(root: Path) -> None:
    kill_and_go_on(root, 4, 1.5)


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(15))
def test_killed_sweep_goes_on_from_anywhere(root: Path, moment: int) -> None:
    kill_and_go_on(root, 1 + moment % 5, 3.0)


def test_two_sweeps_share_the_work(root: Path) -> None:
    first, second = (start_sweep(root, *ARGUMENTS, "FAKE.STEPS", "5") for _ in range(2))
    outputs = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert_each_once(root, whole_plan(root))


def test_waits_for_a_run_that_is_at_work(root: Path) -> None:
    """A run that survived its sweep holds its folder: the next sweep waits for it and takes its result."""
    plan = plan_for(root, options=("FAKE.STEPS", "40"))
    train, _ = plan.runs.values()
    survivor = Process(train, root, {})
    wait_until(lambda: is_locked(root / train.folder))
    arguments = ["base2new", "--config", "quickstart", "--datasets", "digits", "--methods", "MaPLe", "--seeds", "1"]
    code, output = sweep(root, *arguments, "FAKE.STEPS", "40")
    assert code == 0, output
    wait_until(survivor.poll)
    assert "running elsewhere" in output
    assert "another process is at work on it; waiting for that one" in output
    assert_each_once(root, plan)


def test_a_run_that_answers_another_question_is_refused_in_its_own_words(root: Path) -> None:
    arguments = ["base2new", "--config", "quickstart", "--datasets", "digits", "--methods", "MaPLe", "--seeds", "1"]
    assert sweep(root, *arguments, "FAKE.STEPS", "1")[0] == 0
    before = ledger(root)
    for log in (root / "output" / ".sweep").rglob("*.log"):
        log.write_text(log.read_text() + "accuracy of old: 89.7%\n")
    code, output = sweep(root, *arguments, "FAKE.STEPS", "2")
    assert code == 1 and ledger(root) == before
    assert "complete, to compare" in output and "FAILED" in output
    assert "    error: holds a complete run that answers another question" in output
    assert "accuracy of old" not in output  # what the process before it said is no news
    code, output = sweep(root, *arguments, "--force", "FAKE.STEPS", "2")
    assert code == 0 and "kept 2 earlier run folders as *.old-<time>, e.g. " in output


def test_force_sets_aside_and_can_be_gone_on_with(root: Path) -> None:
    assert sweep(root, *ARGUMENTS)[0] == 0
    before = len(ledger(root))
    code, output = sweep(root, *ARGUMENTS, "--force")
    assert code == 0
    assert "kept 12 earlier run folders" in output
    assert len(ledger(root)) == 2 * before
    assert len(list(root.rglob("seed1.old-*"))) == 8
    assert sweep(root, *ARGUMENTS, "--force", "--dry-run")[0] == 0
    assert len(ledger(root)) == 2 * before


def test_force_refuses_a_folder_at_work(root: Path) -> None:
    plan = plan_for(root, options=("FAKE.SECONDS", "600"))
    process = Process(next(iter(plan.runs.values())), root, {})
    wait_until(lambda: is_locked(root / process.run.folder))
    code, output = sweep(
        root, "base2new", "--config", "quickstart", "--datasets", "digits", "--methods", "MaPLe", "--force"
    )
    process.kill()
    wait_until(process.poll)
    assert code == 2
    assert "a process is at work in" in output


def test_verdict_is_left_beside_the_log(root: Path) -> None:
    sweep(root, *ARGUMENTS, "--output", "results/a")
    verdicts = sorted((root / "results/a/.sweep").rglob("*.json"))
    assert len(verdicts) == 12
    assert {json.loads(path.read_text())["verdict"] for path in verdicts} == {"done"}
    assert all(path.with_suffix(".log").read_text().startswith("$ ") for path in verdicts)


def test_slots_share_gpus_and_cores() -> None:
    assert make_slots([], 1, 2, {}, n_cores=8) == [{"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "4"}] * 2
    two = make_slots(["0", "3"], 2, 1, {}, n_cores=6)
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in two] == ["0", "3", "0", "3"]
    assert {slot["OMP_NUM_THREADS"] for slot in two} == {"1"}
    assert make_slots([], 1, 1, {"OMP_NUM_THREADS": "3"}) == [{"CUDA_VISIBLE_DEVICES": ""}]
    assert describe(two) == "GPU 0 3, 2 at a time on each"
    assert describe(make_slots([], 1, 1, {})) == "the CPU, 1 at a time (--jobs N for more)"


def test_visible_gpus_follow_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "2, 5"}) == ["2", "5"]
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": ""}) == visible_gpus({"CUDA_VISIBLE_DEVICES": "-1"}) == []
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_gpus({}) == []
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 0\necho 1\n")
    program.chmod(0o755)
    assert visible_gpus({}) == ["0", "1"]


def test_gpus_that_are_asked_for_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="no GPU 3; nvidia-smi finds and CUDA_VISIBLE_DEVICES names none"):
        check_gpus(["3"], {})
    check_gpus(["3"], {"CUDA_VISIBLE_DEVICES": "2,3"})  # the variable knows what nvidia-smi, which is missing, does not
    program = tmp_path / "nvidia-smi"
    program.write_text(
        '#!/bin/sh\n[ "$1" = -L ] || exit 1\n'
        "echo 'GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f)'\n"
        "echo '  MIG 3g.20gb Device 0: (UUID: MIG-cb6a0d0a-5ee0-5c0c-9e0c-1c2b3a4d5e6f)'\n"
        "echo 'GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-2bf1e2f2-0000-1111-2222-333344445555)'\n"
    )
    program.chmod(0o755)
    check_gpus(["0", "1", "GPU-5c89852c", "MIG-cb6a0d0a-5ee0-5c0c-9e0c-1c2b3a4d5e6f"], {})
    check_gpus([], {})
    for name in ("2", "GPU-5c8985ff", "none", "G", ""):
        with pytest.raises(ValueError, match=rf"^--gpus {name}: this machine has no GPU {name}; it has 0 1\. "):
            check_gpus(["0", name], {})


def test_runs_get_their_slot(root: Path) -> None:
    plan = plan_for(root)
    (root / "train.py").write_text("import os; print('GPU', os.environ['CUDA_VISIBLE_DEVICES'])", encoding="utf-8")
    process = Process(next(iter(plan.runs.values())), root, {"CUDA_VISIBLE_DEVICES": "7"})
    wait_until(process.poll)
    assert process.said() == "GPU 7\n"
