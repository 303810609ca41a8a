"""Requests of who is in a team of the forge: let through or refused as the forge says. Effects: the forge, requests.

Beside the daemon's loop, as a forge may take long to answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler import logs
from reconciler.model.errors import ObserveError
from reconciler.model.request import Reply, ReplyOutcome, Request
from reconciler.ports.clock import Clock
from reconciler.ports.forge import Forge
from reconciler.state.requests import Replies, RequestSender
from reconciler.state.unproven import UnprovenRequests

log = logs.Log()
_GIVEN_UP_S = 3600.0
"""A test that was asked for so long ago is not what anybody waits for any more."""


@dataclass(frozen=True, kw_only=True)
class Doors:
    """Where requests wait, where they go on, and where who asked is told."""

    unproven: UnprovenRequests
    sender: RequestSender
    replies: Replies


def prove(doors: Doors, forge: Forge | None, teams: Sequence[str], clock: Clock) -> None:
    """Ask for each that waits; OSError if one cannot be left or told."""
    for request, age_s in doors.unproven.list():
        why = f"{request.member} is in none of the teams that may ask: {', '.join(teams) or 'none is named'}"
        try:
            # In the order of the settings; the first that has the login is enough.
            if forge is not None and any(forge.is_member(team, request.member) for team in teams):
                # Left first: a crash in between leaves it once more, under the same id.
                doors.sender.leave(request.model_copy(update={"member": ""}))
                doors.unproven.drop(request)
                continue
        except ObserveError as exc:
            log.warning("forge", request=request.id, error=str(exc))
            if age_s < _GIVEN_UP_S:
                continue
            why = f"the forge did not say whether {request.member} is in a team that may ask"
        log.info("request", action=request.action, app=request.app, by=request.by, outcome="refused", text=why)
        doors.replies.put(_refusal(request, why, clock))
        doors.unproven.drop(request)


def _refusal(request: Request, why: str, clock: Clock) -> Reply:
    about = {"id": request.id, "action": request.action, "app": request.app, "at": clock.now()}
    return Reply.model_validate({**about, "outcome": ReplyOutcome.REFUSED, "text": why, "document": None})
