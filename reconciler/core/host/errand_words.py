"""Which command does what a request asks for, and what its end is for whoever asked. Pure."""

import json
from typing import Any

from reconciler.model.errand import Errand, ErrandEnd
from reconciler.model.request import Asked, ReplyOutcome, Request

ERRANDS = frozenset((Asked.PREFLIGHT, Asked.PLAN, Asked.ROLLBACK, Asked.UNDEPLOY))
"""What asks registries, or takes down and brings up: too long for the loop."""
_LOOK_S = 120.0
_LOOKS = frozenset((Asked.PREFLIGHT, Asked.PLAN))
_USAGE, _BUSY = 2, 75
_WORDS = 2000
_BEGINS = ("error: ", "busy: ")
"""How the last words of a command that did not succeed begin."""


def find_missing(request: Request) -> str:
    """What the request lacks, '' if nothing."""
    if request.action is Asked.ROLLBACK and not request.version:
        return "a rollback names the version that it leads to"
    if request.action not in _LOOKS and not request.reason.strip():
        return f"{request.action} needs a reason"
    return ""


def make_errand(request: Request, actor: str) -> Errand:
    """The command; whatever a person wrote stays one word, and is never taken for an option."""
    app = str(request.app)
    if request.action in _LOOKS:
        more = ("--no-fetch",) if request.action is Asked.PLAN else ()
        return Errand(words=(str(request.action), "--json", *more, "--", app), actor=actor, limit_s=_LOOK_S)
    to = (f"--to={request.version}",) if request.action is Asked.ROLLBACK else ()
    return Errand(words=(str(request.action), f"--reason={request.reason}", *to, "--yes", "--", app), actor=actor)


def tell_end(action: Asked, end: ErrandEnd) -> tuple[ReplyOutcome, str, dict[str, Any] | None]:
    """What came of it: in short, in words, and for what only looks the document that the command printed."""
    if action in _LOOKS and (found := _read(end.output)) is not None:
        return ReplyOutcome.DONE, _sum_up(action, found), found
    if end.code == 0:
        return ReplyOutcome.DONE, end.output.strip()[-_WORDS:], None
    said = "" if action in _LOOKS else end.output.strip()
    words = "; ".join(filter(None, (said, _last_error(end.errors))))[-_WORDS:]
    text = words or f"it ended with {end.code} and no word"
    return {_USAGE: ReplyOutcome.REFUSED, _BUSY: ReplyOutcome.BUSY}.get(end.code, ReplyOutcome.FAILED), text, None


def _last_error(errors: str) -> str:
    """The error without the log above it, which the journal has."""
    lines = errors.strip().splitlines()
    begins = [number for number, line in enumerate(lines) if line.startswith(_BEGINS)]
    return "\n".join(lines[begins[-1] if begins else -1 :]).removeprefix(_BEGINS[0])


def _read(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    first = found[0] if isinstance(found, list) and found else found
    return first if isinstance(first, dict) else None


def _sum_up(action: Asked, found: dict[str, Any]) -> str:
    if action is Asked.PLAN:
        return f"{found.get('result') or found.get('action')}: {found.get('reason')}"
    problems = found.get("problems") or []
    return f"no way back: {'; '.join(map(str, problems))}" if problems else f"leads to {found.get('rollback_to')}"
