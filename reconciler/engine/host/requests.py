"""Requests of people and programs without privileges, judged. Effects: starts test runs; what `operate` does.

A request is never an order: what is not declared, not a canonical or not understood is logged, told to whoever asked,
and dropped.
"""

import pwd
from collections.abc import Sequence
from dataclasses import dataclass

from reconciler import logs
from reconciler.core.testrun import trigger
from reconciler.engine.context import Context
from reconciler.engine.host.desired import Desired
from reconciler.engine.operate import approve, retry, suspend
from reconciler.model.app import AppSpec, Kind
from reconciler.model.errors import LockBusy, ReconcilerError
from reconciler.model.ids import is_ref
from reconciler.model.request import Asked, Reply, ReplyOutcome, Request
from reconciler.model.testrun import RunMode
from reconciler.ports.run_starter import RunStarter
from reconciler.state.requests import Replies, Taken

log = logs.Log()

Answer = tuple[ReplyOutcome, str]
_CHANGES = (Asked.APPROVE, Asked.RETRY, Asked.SUSPEND, Asked.RESUME)
_FRESH_S = 300.0
"""A decision that lay there for longer may be regretted, or was kept back."""
_NOT_HERE = (ReplyOutcome.REFUSED, "no app of that name is declared here")


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What the daemon has to do next. `fetch`: recipes, by URL; `changed`: an app is to be looked at again."""

    fetch: Sequence[str]
    changed: bool


def answer(taken: Sequence[Taken], state: Desired, starter: RunStarter, replies: Replies) -> Answered:
    """Do what is asked where it may be done, and tell whoever waits for it what came of it."""
    fetch: list[str] = []
    changed = False
    for one in taken:
        request = one.request
        named = [spec for spec in state.specs if request.app in (None, spec.name)]
        try:
            outcome, text = _grant(one, named, state, starter) if named else _NOT_HERE
        except OSError as exc:
            # The others were taken out of their folder, too, and must not be lost for this one.
            outcome, text = ReplyOutcome.REFUSED, f"{exc.filename}: {exc.strerror}"
        log.info("request", action=request.action, app=request.app, by=request.by, outcome=outcome, text=text)
        if request.action is Asked.RECONCILE:
            fetch += [spec.recipe.url for spec in named]
        changed = changed or (outcome is ReplyOutcome.DONE and request.action in _CHANGES)
        if request.id:
            about = {"id": request.id, "action": request.action, "app": request.app}
            try:
                replies.put(Reply(**about, outcome=outcome, text=text, at=state.ports.clock.now()))
            except OSError as exc:
                log.warning("reply_lost", request=request.id, error=str(exc))
    return Answered(fetch=fetch, changed=changed)


def _grant(taken: Taken, named: Sequence[AppSpec], state: Desired, starter: RunStarter) -> Answer:
    request = taken.request
    if request.action is Asked.RECONCILE:
        return ReplyOutcome.DONE, "the next pass looks at it, at the newest tags"
    if request.app is None:
        return ReplyOutcome.REFUSED, f"{request.action} needs an app"
    if request.action in (Asked.SEED, Asked.TEST):
        return _start(request, named[0], starter)
    user = _name_user(taken.uid)
    if user != state.settings.web.user:
        # The whole group may ask for a look or a test; what a human decides comes through the process that checks who.
        return ReplyOutcome.REFUSED, f"{request.action} is not for {user}; use the command, or the page"
    if taken.age_s > _FRESH_S:
        return (
            ReplyOutcome.REFUSED,
            f"{request.action} was asked for {taken.age_s:.0f} s ago; ask again if you still want it",
        )
    actor = f"{request.by or 'a request'} through {user}"
    try:
        context = Context(ports=state.ports, settings=state.settings, spec=named[0], actor=actor)
        return ReplyOutcome.DONE, _operate(request, context)
    except LockBusy as exc:
        return ReplyOutcome.BUSY, str(exc)
    except ReconcilerError as exc:
        return ReplyOutcome.REFUSED, str(exc)


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


def _start(request: Request, spec: AppSpec, starter: RunStarter) -> Answer:
    if spec.kind is not Kind.CANONICAL:
        return ReplyOutcome.REFUSED, f"{spec.name} is no canonical, so there is nothing to test"
    if request.ref is not None and not is_ref(request.ref):
        return ReplyOutcome.REFUSED, f"{request.ref!r} is no name of a branch, tag or commit"
    mode = trigger.parse(request.comment) if request.action is Asked.TEST else RunMode.COLD
    if mode is None:
        return ReplyOutcome.REFUSED, "the comment asks for no test: !testme, or !testme --quick"
    seeds = request.action is Asked.SEED
    if not (starter.seed(spec.app) if seeds else starter.test(spec.app, str(mode), request.ref)):
        return ReplyOutcome.BUSY, "too many tests wait already"
    return ReplyOutcome.DONE, f"a {mode} run of {spec.name} is begun as soon as there is room"
