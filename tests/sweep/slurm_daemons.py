"""A SLURM cluster of this one machine, for a test: daemons with a configuration of their own in a temporary folder."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("munged", "munge", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def missing() -> str:
    """Why no cluster can be started here; "" when one can."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=_PATH) is None]
    return f"not installed: {' '.join(absent)} (Debian: slurm-wlm, munge)" if absent else ""


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _config(folder: Path, munge_socket: Path) -> str:
    host = socket.gethostname().split(".")[0]
    cores = os.cpu_count() or 1
    controller, node = _free_ports(2)
    lines = {
        "ClusterName": "test",
        "SlurmctldHost": f"{host}(127.0.0.1)",
        "SlurmctldPort": controller,
        "SlurmdPort": node,
        "SlurmUser": getpass.getuser(),
        "SlurmdUser": getpass.getuser(),
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={munge_socket},cred_expire=5",  # a requeued job waits for its old credential to expire
        "CryptoType": "crypto/munge",
        "StateSaveLocation": folder / "state",
        "SlurmdSpoolDir": folder / "spool",
        "SlurmctldPidFile": folder / "slurmctld.pid",
        "SlurmdPidFile": folder / "slurmd.pid",
        "SlurmctldLogFile": folder / "slurmctld.log",
        "SlurmdLogFile": folder / "slurmd.log",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_Core",
        "JobAcctGatherType": "jobacct_gather/none",
        "AccountingStorageType": "accounting_storage/none",
        "MpiDefault": "none",
        "ReturnToService": 2,
        "KillWait": 20,
        "JobRequeue": 1,
        "SchedulerParameters": "sched_interval=2,batch_sched_delay=0",
    }
    text = "".join(f"{key}={value}\n" for key, value in lines.items())
    # two small jobs at a time, whatever the machine has
    text += f"NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN\n"
    return text + f"PartitionName=small Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:2\n"


def _wait(ready: list[str], environment: dict[str, str], answer: str, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while True:
        done = subprocess.run(ready, env=environment, capture_output=True, text=True)
        if done.returncode == 0 and answer in done.stdout:
            return
        if time.monotonic() > end:
            raise RuntimeError(f"{' '.join(ready)}: {done.stdout}{done.stderr}")
        time.sleep(0.2)


def _empty_queue(environment: dict[str, str], seconds: float = 40.0) -> None:
    """Cancel all jobs and wait for their end: daemons that stop earlier leave processes behind."""
    subprocess.run(["scancel", f"--user={getpass.getuser()}"], env=environment, capture_output=True)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        queue = subprocess.run(["squeue", "--noheader"], env=environment, capture_output=True, text=True)
        if not queue.stdout.strip():
            return
        time.sleep(0.2)


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Start munged, slurmctld and slurmd; stop them at the end.

    Args:
        folder: an empty folder for configuration, state and logs.

    Yields:
        Environment variables with which SLURM's programs find the cluster.
    """
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir()
    # munged wants all parents of its socket to be closed to others' writing, and the socket's path to be short
    closed = "/run" if os.geteuid() == 0 else os.environ.get("XDG_RUNTIME_DIR") or str(Path.home())
    munge = Path(tempfile.mkdtemp(prefix="munge-", dir=closed))
    munge.chmod(0o755)
    key = folder / "munge" / "key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    config = folder / "slurm.conf"
    config.write_text(_config(folder, munge / "socket"), encoding="utf-8")
    environment = {"SLURM_CONF": str(config), "PATH": _PATH}
    whole = {**os.environ, **environment}
    names = ("key-file", "pid-file", "log-file", "seed-file")
    files = [f"--{name}={folder / 'munge' / name.removesuffix('-file')}" for name in names]
    commands = [
        ["munged", "--foreground", "--force", f"--socket={munge / 'socket'}", *files],
        ["slurmctld", "-D"],
        ["slurmd", "-D"],
    ]
    processes: list[subprocess.Popen[bytes]] = []
    try:
        with (folder / "daemons.log").open("wb") as log:
            for command in commands:
                program = shutil.which(command[0], path=_PATH) or command[0]
                processes.append(subprocess.Popen([program, *command[1:]], env=whole, stdout=log, stderr=log))
                if command[0] == "munged":
                    _wait(["munge", "--no-input", f"--socket={munge / 'socket'}"], whole, "MUNGE")
        _wait(["sinfo", "--noheader", "--format=%t"], whole, "idle")
        yield environment
    finally:
        if len(processes) == len(commands):
            _empty_queue(whole)
        for process in reversed(processes):
            process.terminate()
        for process in reversed(processes):
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(munge)
