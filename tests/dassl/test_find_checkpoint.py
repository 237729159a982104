"""Which checkpoint a folder or a file stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from dassl.utils.checkpoint import find_checkpoint


def layout(root: Path, *files: str, pointer: str | None = None) -> Path:
    """A run's folder with the model "net" and these files in its folder."""
    folder = root / "run" / "net"
    folder.mkdir(parents=True)
    for name in files:
        (folder / name).write_bytes(b"x")
    if pointer is not None:
        (folder / "checkpoint").write_text(pointer)
    return root / "run"


def test_a_lone_file_without_a_pointer(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    run = layout(tmp_path, "model.pth.tar-5")
    assert find_checkpoint(run, "net") == run / "net" / "model.pth.tar-5"
    assert capsys.readouterr().out == ""


def test_the_highest_number_without_a_pointer(tmp_path: Path) -> None:
    run = layout(tmp_path, "model.pth.tar-9", "model.pth.tar-10", "model.pth.tar-50.bak", "model.pth.tar-x")
    assert find_checkpoint(run, "net").name == "model.pth.tar-10"
    assert find_checkpoint(run, "net", 9).name == "model.pth.tar-9"
    assert find_checkpoint(run, "net", 7) == run / "net" / "model.pth.tar-7"  # loading it says that it is not there


def test_the_best_then_the_one_last_written(tmp_path: Path) -> None:
    run = layout(tmp_path, "model.pth.tar-5", "model.pth.tar-9", "model-best.pth.tar", pointer="model.pth.tar-5\n")
    assert find_checkpoint(run, "net").name == "model-best.pth.tar"
    assert find_checkpoint(run, "net", 9).name == "model.pth.tar-9"
    (run / "net" / "model-best.pth.tar").unlink()
    assert find_checkpoint(run, "net").name == "model.pth.tar-5"


@pytest.mark.parametrize("pointer", ["model.pth.tar-7\n", "", "../../secret\n", "\udcff".encode("utf-8", "replace")])
def test_a_pointer_to_nothing(tmp_path: Path, capsys: pytest.CaptureFixture, pointer: str | bytes) -> None:
    run = layout(tmp_path, "model.pth.tar-2", "model.pth.tar-4")
    (tmp_path / "secret").write_bytes(b"x")
    (run / "net" / "checkpoint").write_bytes(pointer if isinstance(pointer, bytes) else pointer.encode())
    assert find_checkpoint(run, "net").name == "model.pth.tar-4"
    assert "which is not there: taking model.pth.tar-4, the newest that is" in capsys.readouterr().out


def test_the_inner_folder_and_the_file_itself(tmp_path: Path) -> None:
    run = layout(tmp_path, "model.pth.tar-5", "model.pth.tar-6")
    assert find_checkpoint(run / "net", "net") == run / "net" / "model.pth.tar-6"
    assert find_checkpoint(run / "net", "net", 5) == run / "net" / "model.pth.tar-5"
    for epoch in (None, 5):
        assert find_checkpoint(run / "net" / "model.pth.tar-5", "net", epoch) == run / "net" / "model.pth.tar-5"
    with pytest.raises(ValueError, match="is one checkpoint, not that of epoch 6: to choose by epoch, give its folder"):
        find_checkpoint(run / "net" / "model.pth.tar-5", "net", 6)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is neither a folder nor a file .*nowhere$"):
        find_checkpoint(tmp_path / "nowhere", "net")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"empty has no folder net \(and no checkpoint of its own\)"):
        find_checkpoint(tmp_path / "empty", "net")
    run = layout(tmp_path, "model.pth.tar-5")
    with pytest.raises(FileNotFoundError, match=r"has no folder other \(it has net: another method's\?\)"):
        find_checkpoint(run, "other")
    (run / "net" / "model.pth.tar-5").rename(run / "net" / "weights.bin")
    with pytest.raises(FileNotFoundError, match=r"no model\.pth\.tar-<epoch>, .*--load-epoch .*has weights\.bin\)"):
        find_checkpoint(run, "net")
