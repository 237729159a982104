""".ci/run installs what the slow tests need, and does not pass without it unless it is told to."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sweep.slurm_daemons import PROGRAMS

ROOT = Path(__file__).parents[1]
APT = f"""#!/bin/sh
echo "apt-get $*"
[ "$1" = update ] && exit 1
for name in {" ".join(PROGRAMS)}; do cp "$0" "$(dirname "$0")/$name"; done
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """.ci/run, scripts that say that they were called, and a PATH with little on it."""
    for name in (".ci/run", "tests/__init__.py", "tests/sweep/__init__.py", "tests/sweep/slurm_daemons.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "scripts").mkdir()
    for name in ("test", "quickstart"):
        (tmp_path / "scripts" / f"{name}.sh").write_text(f'echo "{name} SLOW=${{SLOW:-}}"\n')
    (tmp_path / "bin").mkdir()
    for name in ("bash", "sh", "cp", "dirname", "env"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    (tmp_path / "bin" / "id").write_text("#!/bin/sh\necho 0\n")
    (tmp_path / "bin" / "id").chmod(0o755)
    return tmp_path


def run(project: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(project / "bin"), "PYTHON": sys.executable, **environment}
    return subprocess.run(["bash", ".ci/run"], cwd=project, env=environment, capture_output=True, text=True)


def test_what_is_missing_is_installed_first(project: Path) -> None:
    program = project / "bin" / "apt-get"
    program.write_text(APT)
    program.chmod(0o755)
    done = run(project)
    assert done.returncode == 0, done.stderr
    install = "apt-get install -y -q --no-install-recommends slurm-wlm munge"
    assert done.stdout.splitlines() == ["apt-get update -q", install, "test SLOW=1", "quickstart SLOW="]
    assert run(project).stdout.splitlines() == ["test SLOW=1", "quickstart SLOW="]


def test_without_them_it_fails_unless_it_is_told(project: Path) -> None:
    done = run(project)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("error: the tests on SLURM cannot run here: not installed: ")
    assert run(project, SKIP_SLURM="1").stdout.splitlines() == ["test SLOW=1", "quickstart SLOW="]
    assert run(project, PYTHON=str(project / "none")).returncode != 0  # nobody could be asked
