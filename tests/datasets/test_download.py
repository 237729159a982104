"""Downloading from a server on this machine, well and badly behaved."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from datasets.facts import Download
from datasets.manage import download as module
from datasets.manage.download import RETRIES, check_space, fetch, verify

from .server import Server

PIECE = 1 << 16
CONTENT = bytes(range(256)) * 1500
MD5 = hashlib.md5(CONTENT).hexdigest()
HTML = b"<!DOCTYPE html><title>Virus scan warning</title>"


def one(*urls: str, **options: Any) -> Download:
    return Download(file="file.bin", urls=urls, **{"md5": MD5, **options})


def partial(target: Path) -> list[str]:
    return [entry.name for entry in target.parent.iterdir() if entry != target]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "got" / "file.bin"


def test_good(server: Server, target: Path) -> None:
    sha = hashlib.sha256(CONTENT).hexdigest()
    blob = hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()
    fetch(one(server.add("/a", CONTENT), sha256=sha, git_blob=blob), target)
    assert target.read_bytes() == CONTENT and partial(target) == []


def test_resumed_where_it_broke_off(server: Server, target: Path, pauses: list[float]) -> None:
    url = server.add("/a", CONTENT, cuts=[2 * PIECE, PIECE])
    fetch(one(url), target)
    assert target.read_bytes() == CONTENT
    assert server.pages["/a"].requests == ["", f"bytes={2 * PIECE}-", f"bytes={3 * PIECE}-"]
    # each attempt got further, so the pause stays short
    assert pauses == [1.0, 1.0]


def test_resumed_by_another_call(server: Server, target: Path, pauses: list[float]) -> None:
    """A process that was killed leaves a part; the next goes on from there."""
    url = server.add("/a", CONTENT, cuts=[PIECE] + [0] * RETRIES)
    with pytest.raises(OSError, match="could not be downloaded"):
        fetch(one(url), target)
    assert not target.exists() and len(partial(target)) == 1
    fetch(one(url), target)
    assert target.read_bytes() == CONTENT
    assert server.pages["/a"].requests[-1] == f"bytes={PIECE}-"


def test_server_without_ranges_starts_again(server: Server, target: Path, pauses: list[float]) -> None:
    fetch(one(server.add("/a", CONTENT, cuts=[30_000], ranges=False)), target)
    assert target.read_bytes() == CONTENT


def test_whole_part_is_only_verified(server: Server, target: Path) -> None:
    url = server.add("/a", CONTENT)
    part = target.with_name(f"file.bin.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part")
    part.parent.mkdir()
    part.write_bytes(CONTENT)
    fetch(one(url), target)
    assert target.read_bytes() == CONTENT and server.pages["/a"].requests == [f"bytes={len(CONTENT)}-"]


@pytest.mark.parametrize("old", [b"other" * 10, CONTENT + b"more"])
def test_part_that_does_not_fit_is_thrown_away(server: Server, target: Path, pauses: list[float], old: bytes) -> None:
    url = server.add("/a", CONTENT)
    part = target.with_name(f"file.bin.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part")
    part.parent.mkdir()
    part.write_bytes(old)
    fetch(one(url), target)
    assert target.read_bytes() == CONTENT


def test_retries_with_growing_pauses(server: Server, target: Path, pauses: list[float]) -> None:
    url = server.add("/a", CONTENT, failures=[(503, {}), (500, {}), (429, {"Retry-After": "7"}), (502, {})])
    fetch(one(url), target)
    assert pauses == [1.0, 2.0, 7.0, 8.0]


def test_retries_end(server: Server, target: Path, pauses: list[float]) -> None:
    with pytest.raises(OSError, match=rf"503 Service Unavailable, {RETRIES} times in a row"):
        fetch(one(server.add("/a", CONTENT, failures=[(503, {})] * 20)), target)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_no_server(target: Path, pauses: list[float]) -> None:
    with pytest.raises(OSError, match="the connection failed"):
        fetch(one("http://127.0.0.1:9/a"), target)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_final_answers_are_not_asked_again(server: Server, target: Path, pauses: list[float], status: int) -> None:
    url = server.add("/a", CONTENT, failures=[(status, {})] * 5)
    with pytest.raises(OSError, match=rf"the server answered {status}"):
        fetch(one(url), target)
    assert len(server.pages["/a"].requests) == 1 and pauses == []


def test_second_source(server: Server, target: Path, capsys: pytest.CaptureFixture) -> None:
    fetch(
        one(server.url("/gone"), server.add("/page", HTML), server.add("/bad", CONTENT[1:]), server.add("/a", CONTENT)),
        target,
    )
    assert target.read_bytes() == CONTENT and partial(target) == []
    said = capsys.readouterr().out
    assert "404" in said and "is a web page (HTML)" in said and "has the wrong checksum: md5 is" in said


def test_all_sources_fail(server: Server, target: Path) -> None:
    download = one(server.url("/gone"), server.add("/bad", b"x"), login="Ask the authors")
    with pytest.raises(OSError, match=r"/gone \(the server answered 404.*/bad \(.*wrong checksum.*Ask the authors\.$"):
        fetch(download, target)
    assert not target.exists() and partial(target) == []


def test_web_page_without_known_checksum(server: Server, target: Path) -> None:
    with pytest.raises(OSError, match="is a web page"):
        fetch(one(server.add("/page", HTML), md5=""), target)


def drive(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[str]:
    asked: list[str] = []

    def download(*, id: str, output: str, **options: Any) -> str | None:
        asked.append(id)
        if isinstance(answer, Exception):
            raise answer
        Path(output).write_bytes(answer)
        return output

    monkeypatch.setattr("gdown.download", download)
    return asked


def test_google_drive(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = drive(monkeypatch, CONTENT)
    fetch(one("gdrive:abc"), target)
    assert asked == ["abc"] and target.read_bytes() == CONTENT


@pytest.mark.parametrize("answer", [RuntimeError("too many users\nhave viewed"), HTML])
def test_google_drive_refuses(server: Server, target: Path, monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    drive(monkeypatch, answer)
    fetch(one("gdrive:abc", server.add("/a", CONTENT)), target)
    assert target.read_bytes() == CONTENT


def test_json_with_a_final_newline_is_the_same(tmp_path: Path) -> None:
    file = tmp_path / "split.json"
    download = Download(file="split.json", sha256=hashlib.sha256(b"{}").hexdigest())
    for content in (b"{}", b"{}\n"):
        file.write_bytes(content)
        verify(file, download)
    file.write_bytes(b"{} ")
    with pytest.raises(ValueError, match="wrong checksum: sha256"):
        verify(file, download)


def small_disk(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(free, 0, free))


def test_disk_too_small(server: Server, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_disk(monkeypatch, 1000)
    with pytest.raises(OSError, match=r"0.0 GB free and 0.0 GB are needed: make room, or set DATA or --root"):
        fetch(one(server.add("/a", CONTENT)), target)
    assert not target.exists()
    with pytest.raises(OSError, match=rf"The disk of {tmp_path} has 0.0 GB free and 5.0 GB"):
        check_space(tmp_path / "not" / "yet", 5_000_000_000)
    check_space(tmp_path, 1000)


def test_pauses_are_real_otherwise() -> None:
    assert module.sleep is __import__("time").sleep


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_full_disk_names_the_file(server: Server, target: Path, pauses: list[float]) -> None:
    """It is no fault of the source: no other is tried, and what is there stays to be gone on from."""
    url = server.add("/a", CONTENT)
    part = target.with_name(f"file.bin.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part")
    target.parent.mkdir()
    part.symlink_to("/dev/full")
    with pytest.raises(OSError, match=rf"^cannot write {part}: No space left on device; make room and run this again"):
        fetch(one(url, server.add("/b", CONTENT)), target)
    assert "/b" not in server.pages or (server.pages["/b"].requests == [] and pauses == [])
    part.unlink()
    fetch(one(url), target)
    assert target.read_bytes() == CONTENT and partial(target) == []
