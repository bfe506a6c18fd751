"""The server of one live page: this machine only, one secret address, reading only.

It listens on 127.0.0.1. Every request must carry the token of this server in its path, a Host header that names this machine (a name
that some other site points here is refused: DNS rebinding), and come from no page but its own. Nothing can be changed through it. Readers
that are slow, or too many, cost a thread each, up to `MOST_CONNECTIONS`; the fit never waits for one.
"""

from __future__ import annotations

import json
import os
import secrets
import socketserver
import threading
import time
from hmac import compare_digest
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from rcgnn.errors import InputError
from rcgnn.live.feed import Feed, Seen

ADDRESS = "127.0.0.1"
INTERVAL = 0.2
"""Seconds between two messages to one reader at least; what happens in between comes together."""
QUIET = 10.0
"""Seconds without news after which a comment keeps the connection alive."""
STUCK = 20.0
"""Seconds after which a reader that takes nothing is let go."""
MOST_READERS = 32
MOST_CONNECTIONS = 64
"""At a time; one more is closed unanswered."""
GRACE = 3.0
"""Seconds that open pages have, at the end, to fetch the finished report."""
OWN_SITE = ("same-origin", "none")
"""What a browser says of the page that asks: this one, or nobody (the address was typed)."""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Sent with every answer. What a page may load stands in the page; no header lets another site read anything."""


class LiveServer:
    """Serves a feed until it is closed.

    Args:
        feed: what is told.
        page: the page for as long as the run goes on.
        port: 0 takes a free one.

    Raises:
        InputError: the port is taken, or may not be used.

    Example:
        >>> with LiveServer(Feed(), "<p>page</p>") as server:
        ...     server.url.startswith("http://127.0.0.1:")
        True
    """

    def __init__(self, feed: Feed, page: str, port: int = 0) -> None:
        self.token = secrets.token_urlsafe(24)
        try:
            self._http = _Http(feed, page, self.token, port)
        except OSError as error:
            raise InputError(f"--port {port}: cannot be used ({error.strerror or error}); choose another, or leave it out.") from error
        self.port = self._http.server_address[1]
        self.url = f"http://{ADDRESS}:{self.port}/{self.token}/"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, name="rcgnn live", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._http.closing = True
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def hand_over(self) -> None:
        """Wait until the open pages have the finished report, at most `GRACE` seconds; at once where there is none."""
        until = time.monotonic() + GRACE
        while self._http.owed() and time.monotonic() < until:
            time.sleep(0.02)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = os.name != "nt"  # there it would share the port with another program
    request_queue_size = 64

    def __init__(self, feed: Feed, page: str, token: str, port: int) -> None:
        self.feed, self.page, self.token = feed, page.encode("utf-8"), token
        self.closing = False
        self.lock = threading.Lock()
        self.readers = 0
        self.fetched = 0
        self.told = 0
        self.free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__((ADDRESS, port), _Handler)

    def server_bind(self) -> None:
        """Without the look-up of the machine's name that the standard server does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = ADDRESS, int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for the request while there are not too many."""
        if self.free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The request, then its place is free."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that goes away is nobody's error."""

    def owed(self) -> int:
        """Open pages that have not heard of the end, or have not fetched the report since."""
        with self.lock:
            return self.readers + max(self.told - self.fetched, 0)


class _Handler(BaseHTTPRequestHandler):
    server: _Http
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "rcgnn", ""
    timeout = STUCK

    def do_GET(self) -> None:
        refused = self._refused()
        if refused is not None:
            self._answer(*refused)
            return
        path = self.path.partition("?")[0].removeprefix(f"/{self.server.token}/")
        if path == "":
            self._page()
        elif path == "events":
            self._events()
        else:
            self._answer(HTTPStatus.NOT_FOUND, "There is no such page.")

    def _other(self) -> None:
        self._answer(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET.", {"Allow": "GET"})

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _other  # noqa: N815

    def _refused(self) -> tuple[HTTPStatus, str] | None:
        """Why this request gets nothing; None where it is in order."""
        ours = {f"{name}:{self.server.server_port}" for name in (ADDRESS, "localhost")}
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or hosts[0].lower() not in ours:
            return HTTPStatus.FORBIDDEN, "The Host header does not name this server."
        if any(origin not in {f"http://{host}" for host in ours} for origin in self.headers.get_all("Origin", [])):
            return HTTPStatus.FORBIDDEN, "Other sites may not ask."
        if self.headers.get("Sec-Fetch-Site", "none") not in OWN_SITE and not self._opened():
            return HTTPStatus.FORBIDDEN, "Other sites may not ask."
        given = self.path.partition("?")[0].split("/")
        if len(given) < 3 or not compare_digest(given[1].encode("utf-8", "replace"), self.server.token.encode()):
            return HTTPStatus.FORBIDDEN, "The address lacks the token that rcgnn printed."
        return None

    def _opened(self) -> bool:
        """Somebody followed a link to the page; a page of another site cannot read what is opened so, nor frame it."""
        return (self.headers.get("Sec-Fetch-Mode"), self.headers.get("Sec-Fetch-Dest")) == ("navigate", "document")

    def _answer(self, status: HTTPStatus, text: str, more: dict[str, str] | None = None) -> None:
        self._send(status, "text/plain; charset=utf-8", f"{text}\n".encode(), more or {})

    def _send(self, status: HTTPStatus, kind: str, body: bytes, more: dict[str, str]) -> None:
        self._head(status, kind, {"Content-Length": str(len(body)), **more})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: HTTPStatus, kind: str, more: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Connection": "close", **HEADERS, **more}.items():
            self.send_header(name, value)
        self.end_headers()

    def _page(self) -> None:
        done = self.server.feed.page
        self._send(HTTPStatus.OK, "text/html; charset=utf-8", self.server.page if done is None else done.encode("utf-8"), {})
        if done is not None:
            with self.server.lock:
                self.server.fetched += 1

    def _events(self) -> None:
        with self.server.lock:
            free = self.server.readers < MOST_READERS
            self.server.readers += free
        if not free:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "Too many readers.")
            return
        try:
            self._head(HTTPStatus.OK, "text/event-stream", {})
            self._tell(Seen.parse(self.headers.get("Last-Event-ID")))
        except OSError:
            self.close_connection = True  # the reader has gone
        finally:
            with self.server.lock:
                self.server.readers -= 1

    def _tell(self, seen: Seen) -> None:
        """News until the run ends, or the reader does."""
        spoken = time.monotonic()
        while not self.server.closing:
            news, seen = self.server.feed.news(seen, wait=1.0)
            if news is None:
                if time.monotonic() - spoken > QUIET:
                    self.wfile.write(b": still here\n\n")
                    spoken = time.monotonic()
                continue
            text = json.dumps(news, ensure_ascii=False, allow_nan=False)
            self.wfile.write(f"id: {seen.mark()}\ndata: {text}\n\n".encode())
            spoken = time.monotonic()
            if news["state"] != "running":
                with self.server.lock:
                    self.server.told += news["state"] == "done"
                return
            time.sleep(INTERVAL)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the signature of http.server
        """Silent; only the command line prints."""
