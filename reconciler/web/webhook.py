"""`POST /hooks/forge`: a comment on a pull request asks for a test, or takes it back.

Effects: reads specs and a secret; leaves requests.

The hook only means "test that head": what is tested comes from git, and the daemon judges the request. Every refusal
says why, in its answer and in the log.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import structlog
from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel

from reconciler.core.testrun import hook, trigger
from reconciler.model.base import Json
from reconciler.model.errors import ReconcilerError, StateError
from reconciler.model.request import Asked
from reconciler.model.request import Request as Wish
from reconciler.model.settings import HookSettings
from reconciler.model.testrun import RunMode
from reconciler.state import specs
from reconciler.web.deployment import Deployment, deployment

PATH = "/hooks/forge"
MAX_BODY = 1 << 20
_REMEMBERED = 10_000
_SHORT = 200
_OURS = 500
_DAYS_S = 7 * 86400.0
_NAMES = ("forgejo", "gitea", "github")

router = APIRouter(include_in_schema=False)
log = structlog.get_logger("ci-warm")


class Heard(BaseModel):
    """What came of a delivery. `id`: of the request, '' if nothing was asked for."""

    id: str = ""
    detail: str


class Deliveries:
    """The last deliveries by what was signed, so that one that was recorded and sent again does nothing."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._seen: OrderedDict[str, float] = OrderedDict()
        self._now = now

    def is_new(self, name: str) -> bool:
        """Say whether this one was not heard before, and remember it."""
        now = self._now()
        while self._seen and (len(self._seen) >= _REMEMBERED or next(iter(self._seen.values())) < now - _DAYS_S):
            self._seen.popitem(last=False)
        if name in self._seen:
            return False
        self._seen[name] = now
        return True

    def forget(self, name: str) -> None:
        """It came to nothing for a reason of ours: the forge may send it again."""
        self._seen.pop(name, None)


class Hook:
    """What this host lets a forge ask for. `config`: beside which the specs lie."""

    def __init__(self, settings: HookSettings, config: Path, deliveries: Deliveries) -> None:
        self.settings = settings
        self.deliveries = deliveries
        self._config = config

    def secret(self) -> bytes:
        """Read at each delivery: it may be renewed while we run; b'' if it cannot be."""
        try:
            return Path(self.settings.secret).read_bytes().strip()
        except OSError as exc:
            log.warning("hook_secret", path=self.settings.secret, error=str(exc.strerror))
            return b""

    def find_canonical(self, said: hook.Said) -> str | None:
        """The canonical that a comment is about; SpecError if the settings cannot be read.

        A spec that is wrong, or is not for us to read, concerns its own app alone.
        """
        settings = specs.read_settings(self._config)
        found, _ = specs.read_usable(specs.folders(self._config), settings, {})
        return hook.find_canonical(said.urls, found.values())


@router.post(PATH, status_code=202)
async def hear(request: Request) -> Heard:
    """One delivery of a forge."""
    here = deployment(request)
    if here.hook is None:
        raise _refuse(404, "no hook is set up: web.hook")
    body = await request.body()
    # Before anything of it is read: what is not signed is not the forge's.
    if not hook.is_signed(body, here.hook.secret(), _find_header(request, "signature", "x-hub-signature-256")):
        raise _refuse(401, "the signature is not of this body by the secret of web.hook")
    event = _find_header(request, "event")
    if event not in hook.EVENTS:
        return Heard(detail=f"only {' and '.join(hook.EVENTS)} are listened to")
    # By its body, which is signed, and not by the id in a header, which is not.
    delivery = hashlib.sha256(body).hexdigest()
    if not here.hook.deliveries.is_new(delivery):
        raise _refuse(409, "this delivery was heard before")
    try:
        said = hook.read(event, json.loads(body))
    except (ValueError, RecursionError) as exc:
        raise _refuse(422, f"this is no {event}: {exc}") from exc
    if said is None:
        return Heard(detail="it is no new comment on a pull request, and no push to one")
    try:
        return _ask(here, here.hook, said)
    except (HTTPException, StateError) as exc:
        if isinstance(exc, StateError) or exc.status_code >= _OURS:
            here.hook.deliveries.forget(delivery)
        raise


def _ask(here: Deployment, forge: Hook, said: hook.Said) -> Heard:
    if said.comment is None:
        return _stop(here, forge, said, "a push")
    if trigger.is_near_miss(said.comment):
        known = f"only `{trigger.WORD}`, `{trigger.WORD} --quick` and `{trigger.WORD} {trigger.STOP}` are known"
        _tell(here, forge, said, known)
        raise _refuse(422, known, said.user)
    mode, stops = trigger.parse(said.comment), trigger.is_stop(said.comment)
    if mode is None and not stops:
        return Heard(detail="the comment asks for nothing")
    if not _may_ask(forge, said):
        raise _refuse(403, f"{said.user} may not ask for tests: web.hook.users", said.user)
    if mode is None:
        return _stop(here, forge, said, said.user)
    app = _find_app(forge, said)
    # The rest of a long comment is of no use, and may be anything.
    comment = trigger.WORD if mode is RunMode.COLD else f"{trigger.WORD} --quick"
    by = f"{said.user} (forge)"[:_SHORT]
    about: Json = {"ref": said.ref, "head": said.head, "forge": said.place, "member": _must_be_member(forge, said)}
    asked = here.wishes.leave(Wish(**about, action=Asked.TEST, app=app, comment=comment, by=by))
    log.info("hook", app=app, ref=said.ref, mode=str(mode), by=said.user, request=asked)
    return Heard(id=asked, detail=f"a {mode} test of {app} at {said.ref} is asked for")


def _stop(here: Deployment, forge: Hook, said: hook.Said, why: str) -> Heard:
    """Whoever may push may make a test of what was there before pointless."""
    app = _find_app(forge, said)
    # A push says what it brought: forges deliver late and in no order, and a test of that head is still wanted.
    head, member = (said.head, "") if said.comment is None else ("", _must_be_member(forge, said))
    about: Json = {"ref": said.ref, "head": head, "member": member}
    asked = here.wishes.leave(Wish(**about, action=Asked.STOP, app=app, by=f"{why} (forge)"[:_SHORT]))
    log.info("hook_stop", app=app, ref=said.ref, by=why, request=asked)
    return Heard(id=asked, detail=f"tests of {app} at {said.ref} are to be stopped")


def _tell(here: Deployment, forge: Hook, said: hook.Said, text: str) -> None:
    """Answer whoever may ask where they asked; others learn it from the forge's list of deliveries alone."""
    if _may_ask(forge, said) and said.place is not None:
        app = _find_app(forge, said)
        about: Json = {"ref": said.ref, "forge": said.place, "member": _must_be_member(forge, said)}
        here.wishes.leave(Wish(**about, action=Asked.TELL, app=app, reason=text, by=said.user))


def _may_ask(forge: Hook, said: hook.Said) -> bool:
    """Whoever is in a team may, and that is for the daemon to ask: this process has no token of the forge."""
    return said.user in forge.settings.users or bool(forge.settings.teams)


def _must_be_member(forge: Hook, said: hook.Said) -> str:
    """The login that has to be found in a team; '': it may ask by its name."""
    return "" if said.user in forge.settings.users else said.user


def _find_app(forge: Hook, said: hook.Said) -> str:
    try:
        app = forge.find_canonical(said)
    except ReconcilerError as exc:
        raise _refuse(503, f"the specs cannot be read: {exc}", said.user) from exc
    if app is None:
        raise _refuse(404, "no canonical here has its recipe in that repository", said.user)
    return app


def _find_header(request: Request, *names: str) -> str:
    """A header by the name that one of the forges gives it."""
    tried = [f"x-{forge}-{name}" for name in names if not name.startswith("x-") for forge in _NAMES]
    tried += [name for name in names if name.startswith("x-")]
    return next((request.headers[name] for name in tried if name in request.headers), "")


def _refuse(status: int, detail: str, user: str = "") -> HTTPException:
    log.warning("hook_refused", status=status, detail=detail, by=user)
    return HTTPException(status, detail)
