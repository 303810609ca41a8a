"""Requests of people and programs without privileges, judged.

Effects: starts test runs and errands; what `operate` does.

A request is never an order: what is not declared, not a canonical or not understood is logged, told to whoever asked,
and dropped.
"""

import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reconciler import logs
from reconciler.core.host import errand_words
from reconciler.engine.context import Context
from reconciler.engine.host import run_requests
from reconciler.engine.host.desired import Desired
from reconciler.engine.operate import approve, retry, suspend
from reconciler.model.app import AppSpec
from reconciler.model.errand import ErrandEnd
from reconciler.model.errors import LockBusy, ReconcilerError
from reconciler.model.request import Asked, Reply, ReplyOutcome, Request
from reconciler.ports.errands import Errands
from reconciler.ports.run_starter import RunStarter
from reconciler.state.asked_tests import AskedTests
from reconciler.state.requests import Replies, Taken
from reconciler.state.unproven import UnprovenRequests

log = logs.Log()

_CHANGES = (Asked.APPROVE, Asked.RETRY, Asked.SUSPEND, Asked.RESUME)
_FRESH_S = 300.0
"""A decision that lay there for longer may be regretted, or was kept back."""
_NOT_HERE = (ReplyOutcome.REFUSED, "no app of that name is declared here")


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What the daemon has to do next. `fetch`: recipes, by URL; `changed`: an app is to be looked at again."""

    fetch: Sequence[str]
    changed: bool


@dataclass(frozen=True, kw_only=True)
class Helpers:
    """What works beside the loop, and where replies go."""

    starter: RunStarter
    errands: Errands
    replies: Replies
    asked: AskedTests
    unproven: UnprovenRequests


def answer(taken: Sequence[Taken], state: Desired, helpers: Helpers) -> Answered:
    """Do what is asked where it may be done, and tell whoever waits for it what came of it.

    What takes long is begun, and answered when it ends.
    """
    fetch: list[str] = []
    changed = False
    for one in taken:
        request = one.request
        named = [spec for spec in state.specs if request.app in (None, spec.name)]
        try:
            granted = _grant(one, named, state, helpers) if named else _NOT_HERE
        except OSError as exc:
            # The others were taken out of their folder, too, and must not be lost for this one.
            granted = (ReplyOutcome.REFUSED, f"{exc.filename}: {exc.strerror}")
        about = {"action": request.action, "app": request.app, "by": request.by}
        if granted is None:
            log.info("request_begun", **about)
            continue
        outcome, text = granted
        log.info("request", **about, outcome=outcome, text=text)
        if request.action is Asked.RECONCILE:
            fetch += [spec.recipe.url for spec in named]
        changed = changed or (outcome is ReplyOutcome.DONE and request.action in _CHANGES)
        _reply(request, state, helpers, (outcome, text, None))
    return Answered(fetch=fetch, changed=changed)


def _reply(
    request: Request, state: Desired, helpers: Helpers, said: tuple[ReplyOutcome, str, dict[str, Any] | None]
) -> None:
    if not request.id:
        return
    outcome, text, document = said
    about = {"id": request.id, "action": request.action, "app": request.app, "at": state.ports.clock.now()}
    try:
        helpers.replies.put(Reply.model_validate({**about, "outcome": outcome, "text": text, "document": document}))
    except OSError as exc:
        log.warning("reply_lost", request=request.id, error=str(exc))


def _grant(taken: Taken, named: Sequence[AppSpec], state: Desired, helpers: Helpers) -> run_requests.Answer | None:
    """None: it is begun."""
    request = taken.request
    if request.action is Asked.RECONCILE:
        return ReplyOutcome.DONE, "the next pass looks at it, at the newest tags"
    if request.app is None:
        return ReplyOutcome.REFUSED, f"{request.action} needs an app"
    user = _name_user(taken.uid)
    if request.action in run_requests.ACTIONS:
        is_known = taken.uid == os.geteuid() or user == state.settings.web.user
        # Where the forge's token writes is not for the whole group to say.
        heard = request if is_known else request.model_copy(update={"forge": None})
        if request.member:
            return _ask_forge(heard, state, helpers)
        return run_requests.grant(heard, named[0], helpers.starter, helpers.asked, state.ports.clock.now())
    if user != state.settings.web.user:
        # The whole group may ask for a look or a test; what a human decides comes through the process that checks who.
        return ReplyOutcome.REFUSED, f"{request.action} is not for {user}; use the command, or the page"
    if taken.age_s > _FRESH_S:
        return (
            ReplyOutcome.REFUSED,
            f"{request.action} was asked for {taken.age_s:.0f} s ago; ask again if you still want it",
        )
    actor = f"{request.by or 'a request'} through {user}"
    if request.action in errand_words.ERRANDS:
        return _send(request, state, helpers, actor)
    try:
        context = Context(ports=state.ports, settings=state.settings, spec=named[0], actor=actor)
        return ReplyOutcome.DONE, _operate(request, context)
    except LockBusy as exc:
        return ReplyOutcome.BUSY, str(exc)
    except ReconcilerError as exc:
        return ReplyOutcome.REFUSED, str(exc)


def _ask_forge(request: Request, state: Desired, helpers: Helpers) -> run_requests.Answer | None:
    """Keep it until the forge has said whether who asks is in a team."""
    hook = state.settings.web.hook
    if hook is None or not hook.teams or state.settings.forge is None:
        return ReplyOutcome.REFUSED, f"{request.member} is not in web.hook.users, and no teams are named"
    if not request.id or not helpers.unproven.put(request):
        return ReplyOutcome.BUSY, "too many wait for the forge already"
    return None


def _name_user(uid: int | None) -> str:
    if uid is None:
        return "a file with several names"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _operate(request: Request, context: Context) -> str:
    """The same use case as the command of that name."""
    app = context.app
    if request.action is Asked.APPROVE:
        done = approve.approve(context, request.version, request.reason)
        return "; ".join([f"{app} {request.version} is approved, once", *done.doubts])
    if request.action is Asked.RETRY:
        return f"{app}: {retry.retry(context)} quarantined releases forgotten; the next pass tries again"
    if request.action is Asked.SUSPEND:
        until = suspend.parse_until(request.until, context.ports.clock.now()) if request.until else None
        suspend.suspend(context, request.reason, until)
        return f"{app} is suspended {f'until {until:%Y-%m-%d %H:%M} UTC' if until else 'until resumed'}"
    return f"{app}: {'resumed' if suspend.resume(context) else 'was not suspended'}"


def _send(request: Request, state: Desired, helpers: Helpers, actor: str) -> run_requests.Answer | None:
    """Have a process do it, and reply when that ends."""
    if missing := errand_words.find_missing(request):
        return ReplyOutcome.REFUSED, missing

    def done(end: ErrandEnd) -> None:
        said = errand_words.tell_end(request.action, end)
        log.info("request", action=request.action, app=request.app, by=request.by, outcome=said[0], text=said[1])
        _reply(request, state, helpers, said)

    begun = helpers.errands.begin(errand_words.make_errand(request, actor), done)
    return None if begun else (ReplyOutcome.BUSY, "too many are under way already")
