"""Requests of people and programs without privileges, judged. Effects: starts test runs.

A request is never an order: what is not declared, not a canonical or not understood is logged and dropped.
"""

from collections.abc import Sequence

import structlog

from reconciler.core.testrun import trigger
from reconciler.model.app import AppSpec, Kind
from reconciler.model.ids import is_ref
from reconciler.model.request import Request
from reconciler.model.testrun import RunMode
from reconciler.ports.run_starter import RunStarter

log = structlog.get_logger("ci-warm")


def grant(requests: Sequence[Request], specs: Sequence[AppSpec], starter: RunStarter) -> list[str]:
    """Do what is asked where it may be; gives the recipes to fetch before the next look, by URL."""
    urls: list[str] = []
    for request in requests:
        named = [spec for spec in specs if request.app in (None, spec.name)]
        granted = bool(named)
        if request.action == "reconcile":
            urls += [spec.recipe.url for spec in named]
        else:
            granted = _start(request, named, starter)
        log.info("request", action=request.action, app=request.app, by=request.by, granted=granted)
    return urls


def _start(request: Request, named: Sequence[AppSpec], starter: RunStarter) -> bool:
    """Say whether it is a request that we understand, for one canonical, and there was room for it."""
    canonicals = [spec for spec in named if spec.kind is Kind.CANONICAL]
    mode = trigger.parse(request.comment) if request.action == "test" else RunMode.COLD
    if request.app is None or not canonicals or mode is None or (request.ref is not None and not is_ref(request.ref)):
        return False
    if request.action == "seed":
        return starter.seed(canonicals[0].app)
    return starter.test(canonicals[0].app, str(mode), request.ref)
