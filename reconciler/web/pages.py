"""The pages for people: they work without scripts, and follow changes with one.

Effects: reads state; leaves requests.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pydantic import ValidationError

from reconciler.core import pace
from reconciler.model.published import AppStatus
from reconciler.model.request import Asked
from reconciler.model.request import Request as Wish
from reconciler.web import api, downloads, views
from reconciler.web.access import Session
from reconciler.web.deployment import Deployment, deployment
from reconciler.web.wishes import MAY, is_request

COOKIE = "ci_warm_session"
_REPLY_S = 5.0
_SHOWN = 200
_STATIC = {"style.css": "text/css", "live.js": "text/javascript", "icon.svg": "image/svg+xml"}
_TEMPLATES = Environment(
    loader=PackageLoader("reconciler.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    auto_reload=False,  # they come with the package
)
_TEMPLATES.filters["when"] = lambda at: f"{at.astimezone(UTC):%Y-%m-%d %H:%M}" if at is not None else "-"
_TEMPLATES.filters["day"] = lambda at: f"{at.astimezone(UTC):%Y-%m-%d}"
_TEMPLATES.filters["ticked"] = views.mark_code
_TEMPLATES.globals["cures"] = json.loads(
    (resources.files("reconciler.web") / "static" / "cures.json").read_text("utf-8")
)
_TEMPLATES.filters["size"] = pace.describe_size
_FIELDS, _FIELD = 20, 1000


def find_session(request: Request) -> Session | None:
    """Of the browser that asks."""
    return deployment(request).access.find_session(request.cookies.get(COOKIE, ""))


def need_session(request: Request) -> None:
    """Where there are tokens nobody learns even what there is without one."""
    if deployment(request).access.tokens is not None and find_session(request) is None:
        raise HTTPException(401, "log in")


router = APIRouter(include_in_schema=False)
private = APIRouter(include_in_schema=False, dependencies=[Depends(need_session)])


def show(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A page, if the browser may see it; else the way in."""
    here, session = deployment(request), find_session(request)
    if here.access.tokens is not None and session is None:
        template, status, values = "login.html", 401, {"failed": False, "title": "Log in"}
    common = {
        "session": session,
        "may": MAY[session.caller.role] if session is not None else frozenset(),
        "read_only": here.access.tokens is None,
        "path": request.url.path,
    }
    page = _TEMPLATES.get_template(template).render(common | values)
    return api.with_etag(request, HTMLResponse(page, status))


@private.get("/")
def overview(request: Request, q: str = "", state: str = "") -> Response:
    """Every app and canonical, what needs a human first."""
    here = deployment(request)
    disks = [views.make_disk(disk) for disk in here.disks()]
    stamp = here.reader.overview_stamp()  # before anything is read: what comes in between makes it another one
    content = here.rendered.find((q, state, *disks), stamp, lambda: _render_overview(here, q, state, disks))
    return show(request, "overview.html", title="Apps", content=content)


def _render_overview(here: Deployment, q: str, state: str, disks: Sequence[str]) -> Markup:
    """What is the same for everybody who may look; the head of the page, which is not, is left out."""
    status = here.reader.status()
    apps = status.apps if status is not None else ()
    rows = views.make_rows(views.choose(apps, q, state), [alert for _, alert in here.reader.alerts()])
    sweeps = here.reader.sweeps()
    values = {
        "status_report": status,
        "live": [row for row in rows if row.app.kind == "live"],
        "canonicals": [row for row in rows if row.app.kind != "live"],
        "counts": views.count_statuses(apps),
        "disks": disks,
        "last_sweep": sweeps[0] if sweeps else None,
        "q": q,
        "state": state,
    }
    return Markup(_TEMPLATES.get_template("apps.html").render(values))  # noqa: S704 - the template escapes


@private.get("/apps/{name}")
def app(request: Request, name: str, said: str = "") -> Response:
    """One app: how it does, what holds it, how its operations ended. `said`: the id of a reply to show."""
    here = deployment(request)
    found = _find_app(here, name)
    lines = here.reader.history(name, limit=_SHOWN)
    reply = here.wishes.read(said) if said else None
    reply = reply if reply is None or reply.app == name else None
    document = reply.document if reply is not None else None
    return show(
        request,
        "app.html",
        title=name,
        app=found,
        tone=views.tone_of(found),
        offered=views.is_offered(found),
        lines=lines,
        marks=views.make_timeline(list(reversed(lines))),
        width=views.TIMELINE_WIDTH,
        height=views.TIMELINE_HEIGHT,
        alerts=[(key, alert) for key, alert in here.reader.alerts() if alert.app == name],
        runs=[run for run in here.reader.runs() if run.app == name][:10],
        tone_of_result=views.tone_of_result,
        reply=reply,
        under_way=said if reply is None and is_request(said) else "",
        card=views.make_card(name, document) if reply and document and reply.action is Asked.PREFLIGHT else None,
        comparison=document if reply and reply.action is Asked.PLAN else None,
    )


@private.get("/alerts")
def alerts(request: Request) -> Response:
    """What stands, and what was."""
    here = deployment(request)
    seen = here.reader.alerts(seen=True)[:_SHOWN]
    return show(request, "alerts.html", title="Alerts", open=here.reader.alerts(), seen=seen, apps=_name_apps(here))


@private.get("/runs")
def runs(request: Request) -> Response:
    """Test runs."""
    return show(request, "runs.html", title="Runs", runs=deployment(request).reader.runs()[:_SHOWN])


@private.get("/runs/{name}")
def run(request: Request, name: str) -> Response:
    """One run, stage by stage."""
    here = deployment(request)
    found = here.reader.run(name)
    if found is None:
        raise HTTPException(404, f"no run {name}")
    more: dict[str, Any] = {
        "logs": here.reader.logs(name),
        "artefacts": here.reader.artefacts(name),
        "apps": _name_apps(here),
    }
    return show(request, "run.html", title=name, run=found, **more)


@private.get("/runs/{name}/artefacts/{path:path}")
def artefact(request: Request, name: str, path: str) -> Response:
    """A file that a run's checks left."""
    found = deployment(request).reader.artefact(name, path)
    if found is None:
        raise HTTPException(404, f"run {name} has no artefact {path}")
    return downloads.make_download(found, path)


@private.get("/runs/{name}/logs/{stage}")
def log(request: Request, name: str, stage: str) -> Response:
    """The end of a stage's log."""
    text = deployment(request).reader.log(name, stage)
    if text is None:
        raise HTTPException(404, f"run {name} has no log of {stage}")
    return show(request, "log.html", title=f"{name}: {stage}", name=name, stage=stage, text=text)


@private.get("/sweeps")
def sweeps(request: Request) -> Response:
    """The nights as a calendar."""
    found = deployment(request).reader.sweeps()
    nights = views.make_calendar(found, datetime.now(UTC))
    return show(request, "sweeps.html", title="Sweeps", nights=nights, sweeps=found[:31])


@router.post("/apps/{name}/{action}")
async def decide(request: Request, name: str, action: Asked) -> Response:
    """What a form of an app's page asks for."""
    here, form = deployment(request), await _read_form(request)
    session = _check_word(request, form)
    if action not in MAY[session.caller.role]:
        raise HTTPException(403, f"{session.caller.name} may not {action}")
    _find_app(here, name)
    said = {key: form.get(key, "")[:_FIELD] for key in ("reason", "version", "until")}
    try:
        wish = Wish(action=action, app=name, by=f"{session.caller.name} (page)", **said)
    except ValidationError as exc:
        raise HTTPException(422, "; ".join(f"{one['loc'][0]}: {one['msg']}" for one in exc.errors())) from exc
    asked = here.wishes.leave(wish)
    await here.wishes.wait(asked, _REPLY_S)
    return RedirectResponse(f"/apps/{name}?said={asked}", 303)


@router.get("/login")
def ask_for_token(request: Request) -> Response:
    """The way in."""
    page = {"failed": False, "title": "Log in", "session": None, "may": frozenset(), "read_only": False, "path": "/"}
    del request
    return HTMLResponse(_TEMPLATES.get_template("login.html").render(page))


@router.post("/login")
async def log_in(request: Request) -> Response:
    """Begin a session with a token."""
    form = await _read_form(request)
    name = deployment(request).access.log_in(form.get("token", ""))
    if name is None:
        page = {"failed": True, "title": "Log in", "session": None, "may": frozenset(), "read_only": False, "path": "/"}
        return HTMLResponse(_TEMPLATES.get_template("login.html").render(page), 401)
    answer = RedirectResponse("/", 303)
    secure = request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
    answer.set_cookie(COOKIE, name, httponly=True, samesite="strict", secure=secure, path="/")
    return answer


@router.post("/logout")
async def log_out(request: Request) -> Response:
    """End it."""
    _check_word(request, await _read_form(request))
    deployment(request).access.log_out(request.cookies.get(COOKIE, ""))
    answer = RedirectResponse("/", 303)
    answer.delete_cookie(COOKIE)
    return answer


@private.get("/changes")
async def changes(request: Request) -> StreamingResponse:
    """For the script of the pages."""
    return api.stream(request, deployment(request))


@router.get("/static/{name}")
def static(name: str) -> Response:
    """Style, script and icon, which come with the package."""
    kind = _STATIC.get(name)
    if kind is None:
        raise HTTPException(404, "no such file")
    body = (resources.files("reconciler.web") / "static" / name).read_bytes()
    return Response(body, media_type=kind, headers={"cache-control": "max-age=3600"})


def show_error(request: Request, status: int, title: str, detail: str) -> Response:
    """An error as a page."""
    return show(request, "error.html", status, title=title, detail=detail)


async def _read_form(request: Request) -> dict[str, str]:
    """The fields of a form; small, for the guard has bounded it."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415, "a form is needed")
    try:
        return dict(parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=_FIELDS))
    except ValueError as exc:
        raise HTTPException(422, "this is no form") from exc


def _check_word(request: Request, form: Mapping[str, str]) -> Session:
    """A form of another page does not know the session's word."""
    session = find_session(request)
    if session is None:
        raise HTTPException(401, "log in first")
    if not api.is_same(session.word, form.get("word", "")):
        raise HTTPException(403, "this form is not of your session; load the page again")
    return session


def _name_apps(here: Deployment) -> frozenset[str]:
    """Those that have a page."""
    status = here.reader.status()
    return frozenset(app.app for app in status.apps) if status is not None else frozenset()


def _find_app(here: Deployment, name: str) -> AppStatus:
    status = here.reader.status()
    found = next((app for app in status.apps if app.app == name), None) if status is not None else None
    if found is None:
        raise HTTPException(404, f"no app {name}")
    return found
