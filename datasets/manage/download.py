"""Downloading: several sources in order, resumed where it broke off, checked before it is used."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from pathlib import Path
from typing import BinaryIO

import requests
from tqdm import tqdm

from ..facts import Download
from .unpack import refuse_html

RETRIES = 5
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
TIMEOUT_SECONDS = (15, 60)  # to connect, between two pieces
_BLOCK = 1 << 20  # bytes read at once from the disk
_PIECE = 1 << 16  # bytes read at once from the network: what is lost when a connection breaks
# answers that another attempt will not change
_FINAL_STATUS = frozenset((400, 401, 403, 404, 405, 410, 451))

sleep = time.sleep


class SourceFailed(Exception):
    """One source did not give the file; the next one is tried."""


class _Refused(Exception):
    """The server answered with an error status."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__(f"the server answered {response.status_code} {response.reason}")
        self.status = response.status_code
        wait = response.headers.get("Retry-After", "")
        self.pause = float(wait) if wait.isdecimal() else None


def fetch(download: Download, target: Path) -> None:
    """Bring a file to `target`, checked; it appears there whole or not at all.

    Args:
        download: what to fetch and from where.
        target: the file to write.

    Raises:
        OSError: no source gave it. Names each source and why, and the way by hand where there is one.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    for url in download.urls:
        part = target.with_name(f"{target.name}.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part")
        print(f"{download.file}: from {url}", flush=True)
        try:
            _fetch_checked(url, part, download)
        except SourceFailed as error:
            failures.append(f"{url} ({error})")
            print(f"{download.file}: {error}", flush=True)
            continue
        os.replace(part, target)
        return
    tried = f" Tried: {'; '.join(failures)}." if failures else ""
    by_hand = f" {download.login}." if download.login else ""
    raise OSError(f"{download.file} could not be downloaded.{tried}{by_hand}")


def _fetch_checked(url: str, part: Path, download: Download) -> None:
    resumed = part.exists()
    for _ in range(2):
        if url.startswith("gdrive:"):
            _fetch_drive(url.partition(":")[2], part)
        else:
            _fetch_http(url, part)
        try:
            refuse_html(part)
            verify(part, download)
            return
        except ValueError as error:
            part.unlink()
            # what was left of an earlier attempt may be at fault: once more from the start
            if not resumed:
                raise SourceFailed(str(error)) from None
            resumed = False
            failure = str(error)
    raise SourceFailed(failure)


def _fetch_drive(identifier: str, part: Path) -> None:
    import gdown

    try:
        done = gdown.download(id=identifier, output=str(part), quiet=True, resume=True)
    except Exception as error:
        # gdown raises many kinds, for quota, permission, network: all mean "try the next source"
        raise SourceFailed(f"Google Drive: {' '.join(str(error).split())[:200]}") from None
    if not done or not part.exists():
        raise SourceFailed("Google Drive gave no file")


def _fetch_http(url: str, part: Path) -> None:
    """Append to `part` until it is whole. Attempts are counted anew after every one that got further."""
    furthest, attempt = 0, 0
    while True:
        pause: float | None = None
        try:
            _fetch_piece(url, part)
            return
        except _Refused as error:
            reason = str(error)
            if error.status in _FINAL_STATUS:
                raise SourceFailed(reason) from None
            pause = error.pause
        except requests.exceptions.SSLError as error:
            raise SourceFailed(f"its certificate is not valid ({error})") from None
        except requests.RequestException as error:
            reason = f"the connection failed ({type(error).__name__})"
        size = part.stat().st_size if part.exists() else 0
        attempt = 1 if size > furthest else attempt + 1
        furthest = max(furthest, size)
        if attempt > RETRIES:
            raise SourceFailed(f"{reason}, {RETRIES} times in a row")
        sleep(min(pause if pause is not None else FIRST_PAUSE_SECONDS * 2 ** (attempt - 1), LONGEST_PAUSE_SECONDS))


def _fetch_piece(url: str, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    # "identity": a range counts bytes of the file, not of a compressed transfer
    headers = {"Accept-Encoding": "identity", "User-Agent": "maple-prompt-learning"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as response:
        if response.status_code == 416:
            total = response.headers.get("Content-Range", "").rpartition("/")[2]
            if total == str(have):
                return
            part.unlink()
            raise requests.ConnectionError("the partial file does not fit the server's; starting again")
        if response.status_code >= 400:
            raise _Refused(response)
        if have and not (
            response.status_code == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        ):
            have = 0  # the server sends the whole file
        length = int(response.headers.get("Content-Length", 0))
        check_space(part.parent, length)
        name = part.name.rsplit(".", 2)[0]
        with (
            open(part, "ab" if have else "wb") as stream,
            tqdm(total=have + length or None, initial=have, desc=name, unit="B", unit_scale=True, disable=None) as bar,
        ):
            for block in response.iter_content(_PIECE):
                _append(stream, block)
                bar.update(len(block))


def _append(stream: BinaryIO, block: bytes) -> None:
    try:
        stream.write(block)
        stream.flush()
    except OSError as error:
        # only what the disk does: the connection's errors are caught elsewhere
        raise OSError(
            f"cannot write {stream.name}: {error.strerror or error}; make room and run this again: it goes on from "
            "what is there"
        ) from error


def verify(file: Path, download: Download) -> None:
    """Compare a file with every checksum that is known; ValueError if one differs."""
    expected = {"md5": download.md5, "sha256": download.sha256, "git blob id": download.git_blob}
    if not any(expected.values()):
        return
    size = file.stat().st_size
    if download.file.endswith(".json"):
        # published JSON has no final newline; copies that went through an editor have
        size = len(file.read_bytes().rstrip(b"\n"))
    hashes = {"md5": hashlib.md5(usedforsecurity=False), "sha256": hashlib.sha256(), "git blob id": git_blob_hash(size)}
    hashes = {kind: hashes[kind] for kind, value in expected.items() if value}
    with (
        open(file, "rb") as stream,
        tqdm(total=size, desc=f"checksum {download.file}", unit="B", unit_scale=True, leave=False, disable=None) as bar,
    ):
        while block := stream.read(min(_BLOCK, size - stream.tell())):
            for value in hashes.values():
                value.update(block)
            bar.update(len(block))
    for kind, value in hashes.items():
        if value.hexdigest() != expected[kind]:
            raise ValueError(
                f"{download.file} has the wrong checksum: {kind} is {value.hexdigest()}, expected {expected[kind]}"
            )


def git_blob_hash(size: int) -> hashlib._Hash:
    """The hash by which git names a file of `size` bytes, ready for the file's content."""
    return hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)


def check_space(folder: Path, needed: int) -> None:
    """Raise OSError unless the disk of `folder` has `needed` bytes free."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            f"The disk of {folder} has {free / 1e9:.1f} GB free and {needed / 1e9:.1f} GB are needed: "
            "make room, or set DATA or --root to a folder on a larger disk"
        )
