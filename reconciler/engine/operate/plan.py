"""What the next pass would do with an app, for people and programs. Effects: reads only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.core.live import difference, plan_mark
from reconciler.core.live.difference import Change, Side
from reconciler.engine.context import Context
from reconciler.engine.host.one_app import plan_app
from reconciler.engine.live.plan import PlannedApp
from reconciler.engine.live.preflight import find_room_problem
from reconciler.model.action import Deploy, Nothing, Plan, RollBack, Upgrade
from reconciler.model.errors import StateError
from reconciler.model.hold import Hold, HoldReason
from reconciler.model.observed import World
from reconciler.model.result import Result, ResultKind, held

if TYPE_CHECKING:
    from reconciler.engine.canonical.reconcile import PlannedCanonical


@dataclass(frozen=True, kw_only=True)
class PlanRow:
    """`result`: of an action that does nothing. `disk_bytes`: room that a snapshot and a way back want.

    `diff`: between the release on record and the one that would be taken; `notes`: by version, of what is stepped
    over. `mark`: what the plan rests on.
    """

    app: str
    status: str
    reason: str
    action: str
    result: Result | None
    origin: str | None
    target: str | None
    changes: bool
    holds: tuple[Hold, ...] = ()
    images: tuple[str, ...] = ()
    disk_bytes: int = 0
    steps: tuple[str, ...] = ()
    diff: tuple[Change, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    mark: Mapping[str, str] = field(default_factory=dict)

    @property
    def unreadable(self) -> bool:
        """Whether a record of the app is not to be trusted, or its recipe gives no release."""
        if self.result is None:
            return False
        return self.result.hold is HoldReason.STATE or self.result.kind in (ResultKind.RECIPE, ResultKind.NO_RELEASE)


def plan(context: Context, world: World, fetch_problem: str | None) -> PlanRow:
    """Say what the next pass would do; a record that is not to be trusted is a row of its own.

    Raises:
        ObserveError: the engine could not be asked.
    """
    try:
        planned = plan_app(context, world, fetch_problem, remember=False)
    except StateError as exc:
        return PlanRow(
            app=context.app,
            status="unknown",
            reason=str(exc),
            action="nothing",
            result=held(HoldReason.STATE),
            origin=None,
            target=None,
            changes=False,
        )
    if isinstance(planned, PlannedApp):
        return _row_of_live(context, planned)
    return _row_of_canonical(context, planned)


def _row_of_live(context: Context, planned: PlannedApp) -> PlanRow:
    action, rendered = planned.plan.action, planned.upgrade.rendered if planned.upgrade else None
    room = None
    if rendered is not None and context.spec.stateful:
        room, _ = find_room_problem(context, list(rendered.volumes.values()))
    nothing = isinstance(action, Nothing)
    evidence = action.evidence if isinstance(action, Nothing) else ()
    return PlanRow(
        app=context.app,
        status=planned.assessment.status,
        reason="; ".join((planned.assessment.reason, *evidence)),
        action=type(action).__name__.lower(),
        result=action.result if isinstance(action, Nothing) else None,
        origin=planned.facts.origin,
        target=action.target if isinstance(action, Deploy | Upgrade | RollBack) else None,
        changes=(not nothing or bool(planned.plan.steps)) and not planned.plan.holds,
        holds=planned.plan.holds,
        images=tuple(sorted(set(rendered.images.values()))) if rendered else (),
        disk_bytes=int(room.used * context.settings.limits.reserve) if room else 0,
        steps=planned.plan.steps,
        diff=_compare(context, planned),
        notes=planned.upgrade.notes if planned.upgrade else {},
        mark=plan_mark.mark(context.settings, planned.facts, planned.plan, planned.upgrade),
    )


def _compare(context: Context, planned: PlannedApp) -> tuple[Change, ...]:
    """What the action changes of the release on record; nothing if it takes none, or the record cannot be read."""
    known, action = planned.facts.known, planned.plan.action
    rendered = planned.upgrade.rendered if planned.upgrade is not None else None
    try:
        before = _side(context, known.release.bundle) if known is not None else Side(doc={}, images={})
        if isinstance(action, RollBack) and known is not None and known.fallback is not None:
            return difference.compare(before, _side(context, known.fallback.release.bundle))
    except StateError:
        return ()  # which is a hold or an alert of its own
    return difference.compare(before, Side(doc=rendered.doc, images=rendered.images)) if rendered is not None else ()


def _side(context: Context, bundle: str) -> Side:
    found = context.ports.store.bundle(context.app, bundle)
    return Side(doc=found.doc, images=found.asked)


def _row_of_canonical(context: Context, planned: "PlannedCanonical") -> PlanRow:
    from reconciler.core.canonical import status as canonical_status

    result, steps = canonical_status.outlook(planned.judged)
    return PlanRow(
        app=context.app,
        status=planned.assessment.status,
        reason=planned.assessment.reason,
        action="nothing",
        result=result,
        origin=planned.canonical.version if planned.canonical else None,
        target=None,
        changes=bool(steps),
        steps=steps,
        mark=plan_mark.mark(context.settings, planned.facts, Plan(action=Nothing(result=result), steps=steps), None),
    )
