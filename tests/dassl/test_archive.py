"""Archives that try to leave their folder write nothing at all."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from dassl.data.datasets import DatasetBase
from dassl.utils import extract_archive


def member(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", data: bytes = b"data"
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = len(data) if kind == tarfile.REGTYPE else 0
    return info, data


Member = tuple[tarfile.TarInfo, bytes]


def make_tar(path: Path, *members: Member, mode: Any = "w:gz") -> Path:
    with tarfile.open(path, mode) as file:
        for info, data in members:
            file.addfile(info, io.BytesIO(data))
    return path


def make_zip(path: Path, *members: tuple[str, bytes, int]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, data, mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            file.writestr(info, data)
    return path


def everything(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*")}


GOOD = member("good.txt")
BAD_TARS = {
    "parent": [member("../evil.txt")],
    "hidden parent": [member("a/../../evil.txt")],
    "absolute": [member("/tmp/evil-of-the-test.txt")],
    "backslashes": [member("..\\evil.txt")],
    "drive": [member("C:/evil.txt")],
    "symlink out": [member("link", tarfile.SYMTYPE, "../outside")],
    "absolute symlink": [member("link", tarfile.SYMTYPE, "/etc")],
    "symlink in a folder out": [member("a/link", tarfile.SYMTYPE, "../../outside")],
    "through a symlink": [member("link", tarfile.SYMTYPE, "a"), member("link/evil.txt")],
    "symlink over a symlink": [member("d/l", tarfile.SYMTYPE, ".."), member("m", tarfile.SYMTYPE, "d/l/../x")],
    "hard link out": [member("link", tarfile.LNKTYPE, "../outside/secret")],
    "absolute hard link": [member("link", tarfile.LNKTYPE, "/etc/passwd")],
    "device": [member("null", tarfile.CHRTYPE)],
    "pipe": [member("pipe", tarfile.FIFOTYPE)],
}


@pytest.mark.parametrize("case", BAD_TARS)
def test_bad_tar_writes_nothing(case: str, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    archive = make_tar(tmp_path / "a.tar.gz", GOOD, *BAD_TARS[case])
    before = everything(tmp_path)
    with pytest.raises(ValueError, match=r"archive .*a\.tar\.gz (holds|writes) .*refused"):
        extract_archive(archive, tmp_path / "target")
    assert everything(tmp_path) == before
    assert not Path("/tmp/evil-of-the-test.txt").exists()


BAD_ZIPS = {
    "parent": ("../evil.txt", b"data", 0o100644),
    "absolute": ("/tmp/evil-of-the-test.txt", b"data", 0o100644),
    "backslashes": ("a\\..\\..\\evil.txt", b"data", 0o100644),
    "symlink": ("link", b"../outside", 0o120777),
    "device": ("null", b"", 0o020666),
}


@pytest.mark.parametrize("case", BAD_ZIPS)
def test_bad_zip_writes_nothing(case: str, tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", ("good.txt", b"data", 0o100644), BAD_ZIPS[case])
    before = everything(tmp_path)
    with pytest.raises(ValueError, match=r"archive .*a\.zip holds .*refused"):
        extract_archive(archive, tmp_path / "target")
    assert everything(tmp_path) == before


def test_link_that_lies_in_the_folder_already(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "sub").symlink_to(tmp_path / "outside")
    for archive in (make_tar(tmp_path / "a.tar", member("sub/x")), make_zip(tmp_path / "a.zip", ("sub/x", b"", 0))):
        with pytest.raises(ValueError, match="through the link 'sub'; refused"):
            extract_archive(archive, tmp_path / "target")
    assert not list((tmp_path / "outside").iterdir())


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_good_tar(mode: str, tmp_path: Path) -> None:
    archive = make_tar(
        tmp_path / "a.tar.gz",
        member("d", tarfile.DIRTYPE),
        member("d/x.txt", data=b"x"),
        member("e/y.txt", data=b"y"),
        member("d/soft", tarfile.SYMTYPE, "../e/y.txt"),
        member("hard", tarfile.LNKTYPE, "d/x.txt"),
        mode=mode,
    )
    extract_archive(archive, tmp_path / "t")
    extract_archive(archive, tmp_path / "t")  # again, over what is there
    assert (tmp_path / "t/d/x.txt").read_bytes() == b"x" == (tmp_path / "t/hard").read_bytes()
    assert (tmp_path / "t/d/soft").read_bytes() == b"y"
    assert everything(tmp_path / "t") == {"d", "d/x.txt", "d/soft", "e", "e/y.txt", "hard"}


def test_good_zip(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", ("d/", b"", 0o040755), ("d/x.txt", b"x", 0o100644), ("y.txt", b"y", 0))
    extract_archive(archive, tmp_path / "t")
    assert (tmp_path / "t/d/x.txt").read_bytes() == b"x" and (tmp_path / "t/y.txt").read_bytes() == b"y"


def test_not_archives(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"archive not found: .*gone\.zip"):
        extract_archive(tmp_path / "gone.zip", tmp_path)
    (tmp_path / "page.zip").write_text("<html>quota exceeded</html>")
    with pytest.raises(ValueError, match="neither a zip nor a tar file"):
        extract_archive(tmp_path / "page.zip", tmp_path)
    whole = make_tar(tmp_path / "a.tar.gz", member("x", data=bytes(range(256)) * 400)).read_bytes()
    (tmp_path / "half.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"half\.tar\.gz is damaged or cannot be unpacked"):
        extract_archive(tmp_path / "half.tar.gz", tmp_path / "t")


def test_download_and_unpack(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "source.zip", ("x.txt", b"x", 0o100644))
    DatasetBase().download_data(source.as_uri(), str(tmp_path / "data" / "a.zip"), from_gdrive=False)
    assert everything(tmp_path / "data") == {"a.zip", "x.txt"}
    with pytest.raises(RuntimeError, match="could not download"):
        DatasetBase().download_data((tmp_path / "no").as_uri(), str(tmp_path / "data" / "b.zip"), from_gdrive=False)
    with pytest.raises(RuntimeError, match="expected an address"):
        DatasetBase().download_data("nonsense", str(tmp_path / "data" / "b.zip"), from_gdrive=False)
    assert everything(tmp_path / "data") == {"a.zip", "x.txt"}
