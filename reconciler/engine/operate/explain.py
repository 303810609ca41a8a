"""Why an app is as it is and why it does not move on. Effects: reads only."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from reconciler.engine.context import Context
from reconciler.engine.host.one_app import plan_app
from reconciler.engine.live.plan import PlannedApp
from reconciler.model.history import HistoryLine
from reconciler.model.hold import Hold, HoldReason
from reconciler.model.observed import World

if TYPE_CHECKING:
    from reconciler.engine.canonical.reconcile import PlannedCanonical

_NOT_GATE = (HoldReason.STATE, HoldReason.TRAIN_STOPPED)
_LAST = 3


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """`clear`: hold reasons that were looked at and do not apply. `last`: how the last operations ended."""

    app: str
    kind: str
    status: str
    reason: str
    known_good: str | None
    since: datetime | None
    fallback: str | None
    candidate: str | None
    next: str
    probe: str | None
    holds: tuple[Hold, ...]
    approved: tuple[str, ...]
    clear: tuple[str, ...]
    evidence: tuple[str, ...]
    alerts: tuple[str, ...]
    last: tuple[str, ...]


def explain(context: Context, world: World, fetch_problem: str | None) -> Explanation:
    """Look at one app and say everything about it that has a bearing on what comes next.

    Raises:
        StateError, ObserveError: it cannot be judged.
    """
    ports = context.ports
    # Without the lock, so nothing may be written: a pass may be at work on the app right now.
    planned = plan_app(context, world, fetch_problem, remember=False)
    facts, known = planned.facts, planned.facts.known
    live = planned if isinstance(planned, PlannedApp) else None
    canonical = None if isinstance(planned, PlannedApp) else planned.canonical
    problem = (facts.recipe_problem,) if facts.recipe_problem else ()
    return Explanation(
        app=context.app,
        kind=context.spec.kind,
        status=planned.assessment.status,
        reason=planned.assessment.reason,
        known_good=known.release.version if known else canonical.version if canonical else None,
        since=known.at if known else canonical.ts if canonical else None,
        fallback=known.fallback.release.version if known and known.fallback else None,
        candidate=facts.candidate.text if facts.candidate else None,
        next=_next_of_live(planned) if isinstance(planned, PlannedApp) else _next_of_canonical(planned),
        probe=facts.answer.detail if facts.answer else None,
        holds=live.plan.holds if live else (),
        approved=tuple(a.version for a in facts.memory.approvals if a.used_at is None),
        clear=_list_clear(live) if live else (),
        evidence=(*planned.assessment.evidence, *facts.evidence, *problem),
        alerts=tuple(path.name for path, _ in ports.alerts.open(context.app)),
        last=tuple(_describe_end(line) for line in ports.history.lines() if line.app == context.app)[-_LAST:],
    )


def _next_of_live(planned: PlannedApp) -> str:
    return type(planned.plan.action).__name__.lower()


def _next_of_canonical(planned: "PlannedCanonical") -> str:
    from reconciler.core.canonical import status as canonical_status

    _, steps = canonical_status.outlook(planned.judged)
    newest, canonical = planned.facts.candidate, planned.canonical
    if steps or newest is None or canonical is None or newest.text == canonical.version:
        return ", ".join(steps) or "nothing"
    return f"nothing in a pass; the sweep tests {newest.text}, or ci-warm cold {canonical.app}"


def _describe_end(line: HistoryLine) -> str:
    """How something ended; of a run also its name, for `runs show`."""
    run = line.op_id.removeprefix("run-") if line.op_id.startswith("run-") else ""
    return f"{line.result} ({run})" if run else line.result


def _list_clear(planned: PlannedApp) -> tuple[str, ...]:
    if planned.upgrade is None:
        return ()
    held = {hold.reason for hold in planned.plan.holds}
    return tuple(reason for reason in HoldReason if reason not in held and reason not in _NOT_GATE)
