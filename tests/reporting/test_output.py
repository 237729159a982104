"""Files are whole or not there, and what cannot be written is said in one line that names it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import parse_test_res
from reporting.cli import main
from reporting.output import whole_file, write_whole
from tests.reporting.trees import base2new_run

ROOT = Path(__file__).parents[2]
# a process whose files may not grow beyond 1000 bytes: to it, that is a full disk
LIMITED = (
    "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); from reporting.cli import main; "
    "import reporting.plots; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); sys.exit(main(sys.argv[1:]))"
)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for seed in range(1, 15):
        base2new_run(tmp_path / "runs", "MaPLe", "Digits", "train_base", 80.0, seed)
    return tmp_path / "runs"


def reporting(*how: str | Path, **more) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *map(str, how)], cwd=ROOT, stderr=subprocess.PIPE, text=True, **more)


@pytest.mark.parametrize(("flag", "name"), [("--output", "t.json"), ("--html", "t.html"), ("--plot", "t.png")])
@pytest.mark.parametrize("earlier", ["", "an earlier report"])
def test_a_full_disk_names_the_file_and_leaves_nothing_behind(
    runs: Path, tmp_path: Path, flag: str, name: str, earlier: str
) -> None:
    target = tmp_path / "out" / name
    if earlier:
        write_whole(target, earlier)
    done = reporting("-c", LIMITED, "base2new", runs, flag, target, stdout=subprocess.DEVNULL)
    kept = "the earlier file is kept" if earlier else "nothing was written"
    assert (done.returncode, done.stderr) == (2, f"reporting: cannot write {target}: File too large; {kept}\n")
    assert [(path.name, path.read_text()) for path in target.parent.iterdir()] == [(name, earlier)] * bool(earlier)


@pytest.mark.parametrize("name", ["t.md", "t.png", "t.html"])
def test_targets_that_cannot_be_written(runs: Path, tmp_path: Path, capsys, name: str) -> None:
    flag = {".md": "--output", ".png": "--plot", ".html": "--html"}[Path(name).suffix]
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder" / name).mkdir(parents=True)
    for target, why in ((tmp_path / "file" / name, "Not a directory"), (tmp_path / "folder" / name, "Is a directory")):
        assert main(["base2new", str(runs), flag, str(target)]) == 2
        said = capsys.readouterr()
        assert said.err == f"reporting: cannot write {target}: {why}; nothing was written\n"
        assert "80.00" in said.out  # the table itself was printed
    assert [path.name for path in tmp_path.glob("folder/*")] == [name]


def test_what_is_no_file_is_written_to_and_a_link_is_followed(tmp_path: Path) -> None:
    if os.access("/dev/full", os.W_OK):
        with pytest.raises(OSError, match=r"^cannot write /dev/full: No space left on device; nothing was written$"):
            write_whole(Path("/dev/full"), "x" * 10_000)
        assert stat.S_ISCHR(os.stat("/dev/full").st_mode)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_whole(tmp_path / "link", "a report")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "a report"


def test_an_error_of_another_kind_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / "t.md") as temporary:
        temporary.write_text("half")
        assert temporary.parent == tmp_path and temporary.suffix == ".md"
        _ = 1 / 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("program", [["-m", "reporting", "base2new"], ["parse_test_res.py"]])
def test_standard_output_that_is_full_or_closed(runs: Path, program: list[str]) -> None:
    folder = runs if "reporting" in program else runs / "train_base/digits/shots_16/MaPLe/cfg"
    name = "reporting" if "reporting" in program else "parse_test_res"
    with open("/dev/full", "w") as full:
        done = reporting(*program, folder, stdout=full)
    said = f"{name}: cannot write to standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (2, said)
    reader, writer = os.pipe()
    os.close(reader)
    done = reporting(*program, folder, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_folder_whose_name_is_no_text(tmp_path: Path, capsys) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/gr\xfcn\nblau"))
    base2new_run(folder, "MaPLe", "Digits", "train_base", 80.0)
    base2new_run(folder, "MaPLe", "Digits", "train_base", 80.0, seed=2).write_text("{")
    files = [tmp_path / name for name in ("t.md", "t.tex", "t.json", "t.html")]
    words = [word for path in files[:3] for word in ("--output", str(path))]
    assert main(["base2new", str(folder), *words, "--html", str(files[3])]) == 0
    assert "gr\\udcfcn blau" in capsys.readouterr().out
    assert all("gr\\udcfcn" in path.read_text(encoding="utf-8") for path in files)
    commented = files[1].read_text(encoding="utf-8").split(r"\end{table}")[1]
    assert all(line.startswith("%") for line in commented.splitlines() if line)
    assert 'href="gr%FCn%0Ablau/train_base' in files[3].read_text(encoding="utf-8")
    assert parse_test_res.main([str(tmp_path / "none\nsuch")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
