"""`/metrics`, `/healthz`, `/readyz` on a unix socket or a loopback port. Effects: one listening socket, threads.

Reads only; nothing can be changed from here. Plain WSGI from the standard library: three read-only pages.
"""

import contextlib
import json
import os
import socket
import socketserver
import stat
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from reconciler.model.errors import UsageError
from reconciler.model.host import Check, Component

_TIMEOUT_S = 10
_ERROR_CHARS = 200
_CLIENTS = 8


def examine(checks: Mapping[str, Check]) -> tuple[Component, ...]:
    """Ask every part; what raises is not ready, with the exception's type name as `error_class`."""
    found = []
    for name, check in checks.items():
        try:
            found.append(Component(name=name, status=check()))
        except Exception as exc:  # noqa: BLE001 - any failure of a check is its answer
            text = str(exc)[:_ERROR_CHARS]
            found.append(Component(name=name, status="error", error=text, error_class=type(exc).__name__))
    return tuple(found)


class Pages:
    """The WSGI application. `alive`: says whether passes still come to their end."""

    def __init__(self, metrics: Callable[[], bytes], checks: Mapping[str, Check], alive: Callable[[], bool]) -> None:
        self._metrics = metrics
        self._checks = checks
        self._alive = alive

    def __call__(self, environ: Mapping[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        code, kind, body = self._page(str(environ.get("REQUEST_METHOD", "")), str(environ.get("PATH_INFO", "")))
        start(code, [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")])
        return [body]

    def _page(self, method: str, path: str) -> tuple[str, str, bytes]:
        if method not in ("GET", "HEAD"):
            return "405 Method Not Allowed", "text/plain", b"read only\n"
        if path == "/metrics":
            return "200 OK", "text/plain; version=0.0.4; charset=utf-8", self._metrics()
        if path == "/healthz":
            # Not whether the thread answers, which it does even when passes hang, but whether passes come to
            # their end.
            alive = self._alive()
            return ("200 OK", "text/plain", b"ok\n") if alive else ("503 Service Unavailable", "text/plain", b"stuck\n")
        if path == "/readyz":
            found = examine(self._checks)
            ready = all(not component.error_class for component in found)
            body = {
                "status": "ready" if ready else "not ready",
                "components": {
                    c.name: {"status": c.status, "error": c.error, "error_class": c.error_class} for c in found
                },
            }
            code = "200 OK" if ready else "503 Service Unavailable"
            return code, "application/json", json.dumps(body, indent=1).encode() + b"\n"
        return "404 Not Found", "text/plain", b"/metrics, /healthz or /readyz\n"


class _Handler(WSGIRequestHandler):
    timeout = _TIMEOUT_S

    def address_string(self) -> str:
        return "local"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing: a scraper asks every few seconds."""


class _TcpServer(socketserver.ThreadingMixIn, WSGIServer):
    """A few clients at a time, each for a few seconds: no client may use up the daemon's descriptors."""

    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        self._room = threading.BoundedSemaphore(_CLIENTS)
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        # Refused at once instead of queued: a queue is what an attacker would fill.
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        # The handler's timeout counts per read; a client that sends a byte at a time would keep its place for
        # ever.
        late = threading.Timer(_TIMEOUT_S, self.shutdown_request, [request])
        late.daemon = True
        late.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            late.cancel()
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none of our business."""


class _Tcp6Server(_TcpServer):
    address_family = socket.AF_INET6


class _UnixServer(_TcpServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)
        # The base class would take the socket's path apart as host and port.
        self.server_name, self.server_port = "localhost", 0
        self.setup_environ()

    def get_request(self) -> Any:
        request, _ = super().get_request()
        return request, ("local", 0)


@contextlib.contextmanager
def serve(listen: str, pages: Pages, gid: int | None) -> Any:
    """Answer on `unix:PATH` or `HOST:PORT` in a thread, until the block ends. '' and 'off': nowhere.

    Raises:
        UsageError: the address cannot be taken.
    """
    if listen in ("", "off"):
        yield
        return
    try:
        server = _server(listen, gid)
    except (OSError, OverflowError) as exc:
        raise UsageError(f"monitor.listen {listen}: {getattr(exc, 'strerror', None) or exc}") from exc
    server.set_app(pages)
    thread = threading.Thread(target=server.serve_forever, name="monitor", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(_TIMEOUT_S)


def _server(listen: str, gid: int | None) -> WSGIServer:
    if not listen.startswith("unix:"):
        name, _, port = listen.rpartition(":")
        family = _Tcp6Server if "[" in name else _TcpServer
        return family((name.strip("[]"), int(port)), _Handler)
    path = Path(listen.removeprefix("unix:"))
    # Only a socket on which no process answers is taken over: anything else at that path is not ours.
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode) and not _answers(path):
        path.unlink()
    made = _UnixServer(str(path), _Handler)
    # Between bind and here the umask of 0077 keeps others out.
    path.chmod(0o660)
    if gid is not None:
        os.chown(path, -1, gid)
    return made


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        return probe.connect_ex(str(path)) == 0
