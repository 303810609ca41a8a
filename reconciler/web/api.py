"""`/api/v1`: what the pages show and do, for programs. Effects: reads state; leaves requests.

Every answer of an error is `application/problem+json`. Cookies count for nothing here.
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from typing_extensions import override

from reconciler.model.alert import Alert
from reconciler.model.history import HistoryLine
from reconciler.model.host import Usage
from reconciler.model.published import AppStatus, StatusReport
from reconciler.model.request import REQUEST_ID, Asked, Reply, ReplyOutcome
from reconciler.model.request import Request as Wish
from reconciler.model.sweep import Sweep
from reconciler.model.testrun import Run, RunResult
from reconciler.web import downloads, views
from reconciler.web.access import Caller
from reconciler.web.deployment import Deployment, deployment
from reconciler.web.wishes import MAY

T = TypeVar("T")


class TaggedRoute(APIRoute):
    """An answer carries a tag of its content, and whoever has that content already gets none."""

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As any route does, and then the tag."""
        handle = super().get_route_handler()

        async def tagged(request: Request) -> Response:
            return with_etag(request, await handle(request))

        return tagged


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str


_ERRORS: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "An error: what is wrong, for people.",
        "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
    }
}
_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The log.", "content": {"text/plain; charset=utf-8": {"schema": {"type": "string"}}}}
}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
router = APIRouter(prefix="/api/v1", route_class=TaggedRoute, responses=_ERRORS)
_STREAMS = 32
_LOOK_S = 1.0
_KEEP_ALIVE_S = 15.0
_WAIT_S = 60.0


def caller(request: Request) -> Caller:
    """Who asks; 401 without a token where there are tokens."""
    found = deployment(request).access.find_caller(request.headers.get("authorization", ""))
    if found is None:
        raise HTTPException(401, "a bearer token is needed", headers={"WWW-Authenticate": "Bearer"})
    return found


CallerOf = Annotated[Caller, Depends(caller)]
Here = Annotated[Deployment, Depends(deployment)]
Limit = Annotated[int, Query(ge=1, le=10_000, description="at most so many")]


class OpenAlert(BaseModel):
    """An alert with its name."""

    name: str
    alert: Alert


class Ask(BaseModel):
    """What is asked of the daemon."""

    action: Asked
    app: str | None = Field(None, max_length=63)
    ref: str | None = Field(None, max_length=200)
    comment: str = Field("", max_length=4096)
    version: str = Field("", max_length=200)
    reason: str = Field("", max_length=1000)
    until: str = Field("", max_length=40)


class Accepted(BaseModel):
    """A request that lies there; `reply` once the daemon has judged it, `run` once the test that it asks for began."""

    id: str
    reply: Reply | None = None
    run: Run | None = None


@router.get("/apps")
def list_apps(here: Here, _: CallerOf, q: str = "", state: str = "") -> Sequence[AppStatus]:
    """Every app as the last pass left it. `q`: part of a name; `state`: exactly this status."""
    return views.choose(_status(here).apps, q, state)


@router.get("/status")
def read_status(here: Here, _: CallerOf) -> StatusReport:
    """The last pass as a whole."""
    return _status(here)


@router.get("/disks")
def list_disks(here: Here, _: CallerOf) -> Sequence[Usage]:
    """How full the host's file systems are, in bytes, at this moment."""
    return here.disks()


@router.get("/apps/{app}")
def read_app(app: str, here: Here, _: CallerOf) -> AppStatus:
    """One app."""
    return _app(here, app)


@router.get("/apps/{app}/history", response_model_by_alias=True)
def read_app_history(app: str, here: Here, _: CallerOf, limit: Limit = 100) -> Sequence[HistoryLine]:
    """How its last operations ended, the newest first."""
    _app(here, app)
    return here.reader.history(app, limit=limit)


@router.get("/history", response_model_by_alias=True)
def read_history(here: Here, _: CallerOf, limit: Limit = 100) -> Sequence[HistoryLine]:
    """The same of all apps."""
    return here.reader.history(limit=limit)


@router.get("/alerts")
def list_alerts(here: Here, _: CallerOf, seen: bool = False, limit: Limit = 1000) -> Sequence[OpenAlert]:
    """Open alerts, or those that were acknowledged or resolved; the newest first."""
    return [OpenAlert(name=name, alert=alert) for name, alert in here.reader.alerts(seen=seen)[:limit]]


@router.get("/runs")
def list_runs(here: Here, _: CallerOf, limit: Limit = 50) -> Sequence[Run]:
    """Reports of test runs, the newest first."""
    return here.reader.runs()[:limit]


@router.get("/runs/{run}")
def read_run(run: str, here: Here, _: CallerOf) -> Run:
    """One report."""
    return _found(here.reader.run(run), f"no run {run}")


@router.get("/runs/{run}/logs/{stage}", response_class=Response, responses=_TEXT)
def read_log(run: str, stage: str, here: Here, _: CallerOf) -> Response:
    """The end of a stage's log, at most 1 MiB."""
    text = _found(here.reader.log(run, stage), f"run {run} has no log of {stage}")
    return Response(text, media_type="text/plain; charset=utf-8")


@router.get("/runs/{run}/artefacts")
def list_artefacts(run: str, here: Here, _: CallerOf) -> Mapping[str, int]:
    """Files that the run's checks have left, by path, with their size in bytes; at most 500."""
    _found(here.reader.run(run), f"no run {run}")
    return here.reader.artefacts(run)


@router.get("/runs/{run}/artefacts/{path:path}", response_class=Response, responses=_FILE)
def read_artefact(run: str, path: str, here: Here, _: CallerOf) -> Response:
    """One of them."""
    return downloads.make_download(_found(here.reader.artefact(run, path), f"run {run} has no artefact {path}"), path)


@router.get("/sweeps")
def list_sweeps(here: Here, _: CallerOf, limit: Limit = 31) -> Sequence[Sweep]:
    """The nights, the newest first."""
    return here.reader.sweeps()[:limit]


@router.get("/sweeps/{date}")
def read_sweep(date: str, here: Here, _: CallerOf) -> Sweep:
    """One night."""
    return _found(here.reader.sweep(date), f"no sweep of {date}")


@router.post("/requests", status_code=202)
async def ask(body: Ask, here: Here, by: CallerOf, wait: Annotated[float, Query(ge=0, le=_WAIT_S)] = 0.0) -> Accepted:
    """Ask the daemon for something; it judges it. `wait`: seconds that the answer may take for its reply."""
    if here.access.tokens is None:
        raise HTTPException(403, "this page is read-only: web.tokens is not set")
    if body.action not in MAY[by.role]:
        raise HTTPException(403, f"the token {by.name} may not {body.action}")
    name = here.wishes.leave(Wish(**body.model_dump(), by=by.name))
    return Accepted(id=name, reply=await here.wishes.wait(name, wait) if wait else None)


@router.get("/requests/{name}")
async def read_reply(
    name: Annotated[str, Field(pattern=f"^{REQUEST_ID}$")],
    here: Here,
    _: CallerOf,
    wait: Annotated[float, Query(ge=0, le=_WAIT_S)] = 0.0,
    run: Annotated[bool, Query(description="wait for the test that was asked for to end, too")] = False,
) -> Accepted:
    """What came of a request; `reply` is null while the daemon has not judged it.

    `run`: of a test, its report so far; null while it waits for a place.
    """
    began = time.monotonic()
    reply = await here.wishes.wait(name, wait)
    found = _find_run(here, name)
    while run and reply is not None and reply.outcome is ReplyOutcome.DONE and (found is None or _goes_on(found)):
        if time.monotonic() - began >= wait or reply.action is not Asked.TEST:
            break
        await asyncio.sleep(_LOOK_S)
        found = _find_run(here, name)
    return Accepted(id=name, reply=reply, run=found)


@router.get("/changes", response_class=StreamingResponse)
async def follow(request: Request, here: Here, _: CallerOf) -> StreamingResponse:
    """Server-sent events: `changed` whenever something that is shown here has."""
    return stream(request, here)


def stream(request: Request, here: Deployment) -> StreamingResponse:
    """The same for a page; 503 if too many follow already."""
    if here.streams >= _STREAMS:
        raise HTTPException(503, "too many follow already", headers={"Retry-After": "30"})
    here.streams += 1  # given back when the stream ends
    return StreamingResponse(_follow(request, here), media_type="text/event-stream")


async def _follow(request: Request, here: Deployment) -> AsyncIterator[str]:
    try:
        before, quiet = here.reader.stamp(), 0.0  # before a word is said: what changes from now on is told
        yield "retry: 5000\n\n"
        while not await request.is_disconnected():
            await asyncio.sleep(_LOOK_S)
            now, quiet = here.reader.stamp(), quiet + _LOOK_S
            if now != before:
                before, quiet = now, 0.0
                yield "event: changed\ndata: \n\n"
            elif quiet >= _KEEP_ALIVE_S:
                quiet = 0.0
                yield ": still here\n\n"  # a proxy ends what is silent
    finally:
        here.streams -= 1


def with_etag(request: Request, response: Response) -> Response:
    """The answer with a tag of its content, or 304 for whoever has that already."""
    body = getattr(response, "body", None)
    if request.method not in ("GET", "HEAD") or response.status_code != 200 or not isinstance(body, bytes):
        return response
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    if tag in [one.strip() for one in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers={"etag": tag, "cache-control": "no-cache"})
    response.headers["etag"] = tag
    response.headers["cache-control"] = "no-cache"
    return response


def is_same(one: str, other: str) -> bool:
    """Compare two secrets; how long it takes tells nothing of them."""
    return hmac.compare_digest(one.encode(), other.encode(errors="surrogateescape"))


def problem(status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An error as RFC 9457 has it."""
    content = Problem(type="about:blank", title=title, status=status, detail=detail).model_dump()
    return JSONResponse(content, status, headers, media_type="application/problem+json")


def _find_run(here: Deployment, request: str) -> Run | None:
    return next((run for run in here.reader.runs() if request in run.requests), None)


def _goes_on(run: Run) -> bool:
    return run.result is RunResult.RUNNING


def _status(here: Deployment) -> StatusReport:
    found = here.reader.status()
    if found is None:
        raise HTTPException(503, "no pass has published anything yet", headers={"Retry-After": "60"})
    return found


def _app(here: Deployment, name: str) -> AppStatus:
    return _found(next((app for app in _status(here).apps if app.app == name), None), f"no app {name}")


def _found(value: T | None, otherwise: str) -> T:
    if value is None:
        raise HTTPException(404, otherwise)
    return value
