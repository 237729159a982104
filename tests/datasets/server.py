"""A web server on this machine that can also behave badly."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Page:
    """One address: what it serves and how it misbehaves.

    Args:
        content: the bytes.
        cuts: for each of the first requests, after how many bytes of the body the connection breaks off.
        failures: (status, headers) answers that come before anything else.
        ranges: whether parts can be asked for.
        requests: the Range header of each request, "" where there was none.
    """

    content: bytes = b""
    cuts: list[int] = field(default_factory=list)
    failures: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    ranges: bool = True
    requests: list[str] = field(default_factory=list)


class Server:
    """Serves `pages` (path → Page); 404 for all else."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        pages = self.pages

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                _answer(self, pages)

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def add(self, path: str, content: bytes, **options: Any) -> str:
        """Serve `content` at `path`; returns the address."""
        self.pages[path] = Page(content, **options)
        return self.url(path)

    def url(self, path: str) -> str:
        """The address of a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{path}"

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _answer(handler: BaseHTTPRequestHandler, pages: dict[str, Page]) -> None:
    page = pages.get(handler.path)
    if page is None:
        handler.send_error(404)
        return
    asked = handler.headers.get("Range", "")
    page.requests.append(asked)
    if page.failures:
        status, headers = page.failures.pop(0)
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": "0"}.items():
            handler.send_header(name, value)
        handler.end_headers()
        return
    start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and page.ranges else 0
    size = len(page.content)
    if start >= size > 0:
        handler.send_response(416)
        handler.send_header("Content-Range", f"bytes */{size}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    body = page.content[start:]
    handler.send_response(206 if start else 200)
    handler.send_header("Content-Length", str(len(body)))
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
    handler.end_headers()
    if page.cuts:
        body = body[: page.cuts.pop(0)]
    handler.wfile.write(body)
    handler.close_connection = True
