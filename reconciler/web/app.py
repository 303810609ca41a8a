"""The web application, put together, and the server that runs it. Effects: one listening socket."""

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from starlette.exceptions import HTTPException

from reconciler import __version__
from reconciler.model.errors import StateError, UsageError
from reconciler.model.host import Usage
from reconciler.model.settings import WebSettings
from reconciler.web import api, pages, webhook
from reconciler.web.access import Access, Caller, read_tokens
from reconciler.web.deployment import Deployment
from reconciler.web.guard import Guard
from reconciler.web.reading import StateReader
from reconciler.web.webhook import Deliveries, Hook
from reconciler.web.wishes import Wishes

DEFAULT = "127.0.0.1:8765"
_BACKLOG = 128
_SOCKET_MODE = 0o660
_CLIENTS = 256


def build(
    state: Path,
    config: Path,
    settings: WebSettings,
    credentials: str = "",
    disks: Callable[[], Sequence[Usage]] = tuple,
) -> FastAPI:
    """Make the application. `credentials`: a folder of systemd's that has the tokens, '' if there is none.

    `config`: beside which the specs lie. `disks`: how full the host's file systems are.

    Raises:
        SpecError: the file of tokens cannot be used.
    """
    app = FastAPI(
        title="ci-warm",
        version=__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # those pages load scripts of others
        redoc_url=None,
    )
    app.state.deployment = Deployment(
        reader=StateReader(state),
        access=Access(_find_tokens(settings, credentials), settings.hosts),
        wishes=Wishes(state),
        disks=disks,
        hook=Hook(settings.hook, config, Deliveries(time.monotonic)) if settings.hook is not None else None,
    )
    app.include_router(api.router)
    app.include_router(pages.router)
    app.include_router(pages.private)
    app.include_router(webhook.router)
    app.add_api_route("/healthz", lambda: PlainTextResponse("ok\n"), include_in_schema=False)
    app.add_exception_handler(HTTPException, _tell)
    app.add_exception_handler(StateError, _tell_state)
    app.add_exception_handler(RequestValidationError, _tell_invalid)
    return app


def _find_tokens(settings: WebSettings, credentials: str) -> Mapping[str, Caller] | None:
    given = Path(credentials) / "tokens"
    if credentials and given.exists():
        return read_tokens(given, kept_by_systemd=True)
    return read_tokens(Path(settings.tokens)) if settings.tokens else None


def _answer(request: Request, status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    title = {400: "Bad request", 401: "Who are you?", 403: "Not allowed", 404: "Not found"}.get(
        status, "Cannot do that"
    )
    if request.url.path.startswith(("/api/", "/hooks/")):
        return api.problem(status, title, detail, headers)
    return pages.show_error(request, status, title, detail)


async def _tell(request: Request, exc: Exception) -> Response:
    if not isinstance(exc, HTTPException):
        raise exc
    return _answer(request, exc.status_code, str(exc.detail), dict(exc.headers or {}))


async def _tell_state(request: Request, exc: Exception) -> Response:
    """What lies there cannot be read at this moment, which is no fault of whoever asks."""
    return _answer(request, 503, str(exc), {"Retry-After": "10"})


async def _tell_invalid(request: Request, exc: Exception) -> Response:
    problems = exc.errors() if isinstance(exc, RequestValidationError) else []
    # The input itself is not repeated: it may be anything.
    told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problems)
    return _answer(request, 422, told[:500])


def serve(state: Path, config: Path, settings: WebSettings, disks: Callable[[], Sequence[Usage]]) -> None:
    """Serve until asked to stop. `disks`: how full the host's file systems are.

    Raises:
        SpecError: the file of tokens cannot be used.
        UsageError: the address is taken, or not ours to use.
    """
    application = build(state, config, settings, os.environ.get("CREDENTIALS_DIRECTORY", ""), disks)
    access: Access = application.state.deployment.access
    listener = listen(settings.listen)
    options = uvicorn.Config(
        Guard(application, access, {webhook.PATH: webhook.MAX_BODY} if settings.hook is not None else {}),
        log_level="warning",
        server_header=False,
        # Behind a proxy the scheme is told by a header that we read ourselves; addresses are not used.
        proxy_headers=False,
        limit_concurrency=_CLIENTS,
        timeout_keep_alive=5,
        h11_max_incomplete_event_size=16 << 10,
        timeout_graceful_shutdown=3,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
    )
    try:
        uvicorn.Server(options).run(sockets=[listener])
    finally:
        listener.close()


def listen(where: str) -> socket.socket:
    """Open the socket. '' is the unit's runtime directory, else a loopback port.

    Raises:
        UsageError: it cannot be had.
    """
    runtime = os.environ.get("RUNTIME_DIRECTORY", "")
    where = where or (f"unix:{runtime.split(':')[0]}/web.sock" if runtime else DEFAULT)
    try:
        return _open_unix(Path(where.removeprefix("unix:"))) if where.startswith("unix:") else _open_port(where)
    except OSError as exc:
        raise UsageError(f"web.listen {where}: {exc.strerror or exc}") from exc


def _open_unix(path: Path) -> socket.socket:
    if path.is_socket():
        path.unlink()  # of a process that was killed; two of one unit cannot run
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    path.chmod(_SOCKET_MODE)
    made.listen(_BACKLOG)
    return made


def _open_port(where: str) -> socket.socket:
    host, _, port = where.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    # Named as TCP: else asyncio leaves Nagle on, and an answer waits 40 ms for the acknowledgement of its first part.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((host.strip("[]"), int(port)))
    made.listen(_BACKLOG)
    return made
