"""Requests about tests: begun, put on record for whoever waits, taken back. Effects: test runs, `asked/`."""

from datetime import datetime

from reconciler.core.testrun import trigger
from reconciler.model.app import AppSpec, Kind
from reconciler.model.asked_test import AskedTest
from reconciler.model.ids import is_ref
from reconciler.model.request import Asked, ReplyOutcome, Request
from reconciler.model.testrun import RunMode
from reconciler.ports.run_starter import RunStarter
from reconciler.state.asked_tests import AskedTests

Answer = tuple[ReplyOutcome, str]
"""How it ended, in short and in words."""
ACTIONS = frozenset((Asked.SEED, Asked.TEST, Asked.STOP, Asked.TELL))
_TOO_MANY = "too many tests wait already"


def grant(request: Request, spec: AppSpec, starter: RunStarter, asked: AskedTests, now: datetime) -> Answer:
    """Do it, if it may be done; OSError if it cannot be put on record."""
    if spec.kind is not Kind.CANONICAL:
        return ReplyOutcome.REFUSED, f"{spec.name} is no canonical, so there is nothing to test"
    if request.ref is not None and not is_ref(request.ref):
        return ReplyOutcome.REFUSED, f"{request.ref!r} is no name of a branch, tag or commit"
    if request.action is Asked.SEED:
        if not starter.seed(spec.app):
            return ReplyOutcome.BUSY, _TOO_MANY
        return ReplyOutcome.DONE, f"a cold run of {spec.name} is begun as soon as there is room"
    if request.action is Asked.STOP:
        return ReplyOutcome.DONE, _stop(request, spec, starter, asked)
    if request.action is Asked.TELL:
        if request.forge is None or asked.is_full():
            return ReplyOutcome.REFUSED, "there is nobody to tell it, or too many are to be told"
        _put(request, RunMode.COLD, asked, now, why=request.reason)
        return ReplyOutcome.DONE, "the forge is told"
    return _test(request, spec, starter, asked, now)


def _test(request: Request, spec: AppSpec, starter: RunStarter, asked: AskedTests, now: datetime) -> Answer:
    mode = trigger.parse(request.comment)
    if mode is None:
        return ReplyOutcome.REFUSED, "the comment asks for no test: !testme, or !testme --quick"
    if asked.is_full():
        return ReplyOutcome.BUSY, _TOO_MANY
    _put(request, mode, asked, now)  # before it begins: a daemon that dies in between begins it again
    if not starter.test(spec.app, str(mode), request.ref, request.id, request.head):
        _put(request, mode, asked, now, why=_TOO_MANY)
        return ReplyOutcome.BUSY, _TOO_MANY
    return ReplyOutcome.DONE, f"a {mode} run of {spec.name} is begun as soon as there is room"


def _put(request: Request, mode: RunMode, asked: AskedTests, now: datetime, why: str = "") -> None:
    """Put it on record, if anybody waits for it: nobody learns what came of one without an id."""
    if request.id and request.app is not None:
        about = {"id": request.id, "app": request.app, "mode": mode, "ref": request.ref, "by": request.by}
        more = {"at": now, "forge": request.forge, "head": request.head, "why": why}
        asked.put(AskedTest.model_validate({**about, **more}))


def _stop(request: Request, spec: AppSpec, starter: RunStarter, asked: AskedTests) -> str:
    # On record first: a run that ends because of this must not be begun again.
    for one in asked.list():
        # A test of the very head that a push brought is wanted still: the forge told of the push late.
        is_spared = bool(request.head) and one.head == request.head
        if (one.app, one.ref) == (spec.name, request.ref) and not one.why and not is_spared:
            asked.put(one.model_copy(update={"stopped": True}))
    count = starter.stop_test(spec.app, request.ref, request.head)
    return f"{count} tests of {spec.name} at {request.ref or 'the latest release'} are stopped"
