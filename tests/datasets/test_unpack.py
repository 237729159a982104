"""Archives from elsewhere: unpacked whole, or refused with nothing written outside."""

from __future__ import annotations

import io
import os
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from datasets.manage.unpack import locate, looks_like_html, move_into, unpack

from .archives import tar_of, zip_of

FILES = {"top/a/1.txt": b"one", "top/b/2.txt": b"two"}


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz", "zip"])
def test_every_kind_under_any_name(tmp_path: Path, mode: str) -> None:
    """A plain tar named .tar.gz, as ImageNetV2's may be, is no trouble."""
    archive = tmp_path / "archive.tar.gz"
    archive.write_bytes(zip_of(FILES) if mode == "zip" else tar_of(FILES, mode))
    unpack(archive, tmp_path / "out")
    assert content(tmp_path / "out") == FILES


def test_tars_inside_a_tar(tmp_path: Path) -> None:
    inner = {f"n0{i}.tar": tar_of({f"n0{i}_1.JPEG": b"x", f"n0{i}_2.JPEG": b"y"}, "w") for i in (1, 2)}
    (tmp_path / "train.tar").write_bytes(tar_of(inner, "w"))
    unpack(tmp_path / "train.tar", tmp_path / "out", nested_tars=True)
    assert sorted(content(tmp_path / "out")) == ["n01/n01_1.JPEG", "n01/n01_2.JPEG", "n02/n02_1.JPEG", "n02/n02_2.JPEG"]


def refused(tmp_path: Path, archive: bytes, message: str, *, nested: bool = False) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "evil.bin").write_bytes(archive)
    before = sorted(path for path in tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=message):
        unpack(tmp_path / "evil.bin", tmp_path / "work" / "out", nested_tars=nested)
    outside = [path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "work" / "out")]
    assert sorted(outside) == before


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "..\\evil.txt", "C:\\evil.txt"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_that_lead_outside(tmp_path: Path, name: str, kind: str) -> None:
    archive = zip_of({name: b"x"}) if kind == "zip" else tar_of({name: b"x"}, "w:gz")
    refused(tmp_path, archive, "would be written outside the target folder")


def test_names_that_lead_outside_in_a_nested_tar(tmp_path: Path) -> None:
    refused(
        tmp_path, tar_of({"a.tar": tar_of({"../../e.txt": b"x"}, "w")}, "w"), "would be written outside", nested=True
    )


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_tars(tmp_path: Path, kind: bytes) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("link")
        member.type, member.linkname = kind, "../../outside"
        archive.addfile(member)
    refused(tmp_path, buffer.getvalue(), "evil.bin: refused")


def test_links_in_zips(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        member = zipfile.ZipInfo("link")
        member.external_attr = 0o120777 << 16
        archive.writestr(member, "../../outside")
    refused(tmp_path, buffer.getvalue(), "is a link or a device")


@pytest.mark.parametrize(
    "archive",
    [tar_of(FILES, "w:gz")[:60], zip_of(FILES)[:-30], b"\x00" * 2000, b"hello", b""],
    ids=["cut tar", "cut zip", "zeros", "text", "empty"],
)
def test_damaged(tmp_path: Path, archive: bytes) -> None:
    (tmp_path / "archive").write_bytes(archive)
    with pytest.raises(ValueError, match="is damaged or no archive"):
        unpack(tmp_path / "archive", tmp_path / "out")


def test_changed_byte_in_a_zip(tmp_path: Path) -> None:
    archive = bytearray(zip_of({"a.txt": b"x" * 50}))
    archive[archive.index(b"xxxx")] ^= 1
    (tmp_path / "archive").write_bytes(archive)
    with pytest.raises(ValueError, match="is damaged"):
        unpack(tmp_path / "archive", tmp_path / "out")


@pytest.mark.parametrize("start", [b"<!DOCTYPE html>", b"\r\n <html lang='en'>", b"\xef\xbb\xbf<HTML>"])
def test_web_page(tmp_path: Path, start: bytes) -> None:
    (tmp_path / "archive.zip").write_bytes(start + b"<title>Google Drive - Virus scan warning</title>")
    assert looks_like_html(tmp_path / "archive.zip")
    with pytest.raises(ValueError, match=r"archive.zip is a web page \(HTML\)"):
        unpack(tmp_path / "archive.zip", tmp_path / "out")


def test_locate(tmp_path: Path) -> None:
    for folder in ("x/deep/images", "x/images/in", "y/data/images", "z/z/z", "__MACOSX/only"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "1.jpg").write_bytes(b"")
    assert locate(tmp_path, "images") == tmp_path / "x/images"
    assert locate(tmp_path, "data/images") == tmp_path / "y/data/images"
    assert locate(tmp_path, "z") == tmp_path / "z/z/z"
    assert locate(tmp_path, "only") is None


def test_move_into_merges(tmp_path: Path) -> None:
    for name, text in {"new/a/1": "new", "new/a/2": "new", "old/a/1": "old", "old/a/3": "old"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    move_into(tmp_path / "new", tmp_path / "old")
    assert content(tmp_path / "old") == {"a/1": b"new", "a/2": b"new", "a/3": b"old"}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_full_disk_names_the_archive(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(zip_of({"a.txt": b"x" * 50}))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.txt").symlink_to("/dev/full")
    sentence = f"{tmp_path}/archive could not be unpacked into {tmp_path}: No space left on device; make room there"
    with pytest.raises(OSError, match=re.escape(sentence)):
        unpack(tmp_path / "archive", tmp_path / "out")
