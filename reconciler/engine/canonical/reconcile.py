"""A canonical in a pass: idle and whole, or brought nearer to it. Effects: a restore, a request for a seeding run.

Level-triggered: what is cold is asked for again in every pass, but for a mark that lives 15 minutes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from reconciler.core.canonical import status
from reconciler.core.release.facts import AppFacts
from reconciler.engine.canonical import data
from reconciler.engine.context import Context
from reconciler.engine.release.facts import collect_facts
from reconciler.model.action import Outcome
from reconciler.model.canonical import Canonical
from reconciler.model.hold import HoldReason
from reconciler.model.observed import World
from reconciler.model.result import Result, ResultKind, held
from reconciler.model.status import Assessment


@dataclass(frozen=True, kw_only=True)
class PlannedCanonical:
    """A canonical looked at and judged, nothing done yet."""

    facts: AppFacts
    judged: status.CanonicalAssessment
    canonical: Canonical | None

    @property
    def assessment(self) -> Assessment:
        """As other apps have it."""
        return Assessment(status=self.judged.status, reason=self.judged.reason)

    @property
    def is_quiet(self) -> bool:
        """Say whether acting on it changes neither the engine nor data."""
        return self.judged.act not in (status.Act.RECOVER, status.Act.RESTORE)


def plan_canonical(
    context: Context, world: World, fetch_problem: str | None, *, remember: bool = True
) -> PlannedCanonical:
    """Look at a canonical. With `remember` the caller holds its lock, and what was interrupted is decided.

    Raises:
        StateError, ObserveError: it cannot be judged.
    """
    facts = collect_facts(context, world, fetch_problem, remember=remember)
    # Deciding a promotion writes records, so only the process that holds the lock may do it.
    if remember:
        data.finish_promotion(context)
    canonicals = context.ports.canonicals
    canonical = canonicals.canonical(context.app)
    manifest = context.ports.node.snapshots.observe(context.app)
    here = [name for name in (canonical.volumes if canonical else ()) if name in world.volumes]
    judged = status.judge(
        status.CanonicalFacts(
            canonical=canonical,
            use=canonicals.use(context.app),
            services=bool(facts.stack.services),
            stack=context.stack,
            snapshot=manifest.id if manifest else None,
            volumes=tuple(here),
            released=facts.candidate is not None,
            problem=facts.recipe_problem or "",
        )
    )
    return PlannedCanonical(facts=facts, judged=judged, canonical=canonical)


def act(context: Context, planned: PlannedCanonical) -> Outcome:
    """Do the one next thing.

    Raises:
        StateError, ObserveError, ActError: it cannot be helped now.
    """
    return _ACTS[planned.judged.act](context, planned)


def _report_only(context: Context, planned: PlannedCanonical) -> Outcome:
    result, _ = status.outlook(planned.judged)
    return Outcome(app=context.app, result=result, evidence=(planned.judged.reason,))


def _report_no_release(context: Context, planned: PlannedCanonical) -> Outcome:
    reason = planned.judged.reason
    return Outcome(app=context.app, result=Result(kind=ResultKind.NO_RELEASE), ok=False, evidence=(reason,))


def _report_unreadable(context: Context, planned: PlannedCanonical) -> Outcome:
    canonical = planned.canonical
    result = Result(kind=ResultKind.RECIPE, about=canonical.version if canonical else "")
    return Outcome(app=context.app, result=result, ok=False, evidence=(planned.judged.reason,))


def _report_move(context: Context, planned: PlannedCanonical) -> Outcome:
    canonical, reason = planned.canonical, planned.judged.reason
    version = canonical.version if canonical else ""
    return Outcome(app=context.app, result=held(HoldReason.STACK_CHANGED, version), ok=False, evidence=(reason,))


def _recover(context: Context, planned: PlannedCanonical) -> Outcome:
    """A run died with it: its lock is ours, so no process uses it."""
    reason = planned.judged.reason
    left = data.recover(context)
    canonical = context.ports.canonicals.canonical(context.app)  # a promotion may have been finished
    # A dead run may have left its own pins on the canonical's name.
    data.keep_images(context, canonical)
    if left:
        return Outcome(
            app=context.app,
            result=Result(kind=ResultKind.RESTORE_FAILED),
            ok=False,
            changed=True,
            evidence=(reason, *left),
        )
    version = canonical.version if canonical else "nothing"
    return Outcome(
        app=context.app, result=Result(kind=ResultKind.RESTORED, about=version), changed=True, evidence=(reason,)
    )


def _restore(context: Context, planned: PlannedCanonical) -> Outcome:
    canonical, reason = planned.canonical, planned.judged.reason
    if canonical is None:
        raise AssertionError("nothing to restore")
    data.mark_in_use(context, "restore")  # until it went well no run may take what is there for its data
    failure = data.undeploy(context, canonical) or data.restore(context, canonical)
    if failure is not None:
        evidence = (reason, f"{failure.step}: {failure.reason}", *failure.evidence)
        return Outcome(
            app=context.app, result=Result(kind=ResultKind.RESTORE_FAILED), ok=False, changed=True, evidence=evidence
        )
    return Outcome(
        app=context.app,
        result=Result(kind=ResultKind.RESTORED, about=canonical.version),
        changed=True,
        evidence=(reason,),
    )


def _seed(context: Context, planned: PlannedCanonical) -> Outcome:
    """Ask for a seeding run, unless that was done a moment ago; a mark that cannot be kept asks again."""
    reason = planned.judged.reason
    canonicals, now = context.ports.canonicals, context.ports.clock.now()
    candidate = planned.facts.candidate
    key = status.key(context.spec, candidate.text if candidate else "")
    life = timedelta(seconds=context.settings.runs.inflight)
    mark = canonicals.in_flight(context.app)
    if status.is_in_flight(mark, key, life, now):
        asked = f"inflight: asked for at {mark.at:%Y-%m-%d %H:%M:%S} UTC" if mark else ""
        return Outcome(
            app=context.app, result=Result(kind=ResultKind.SEEDING, about="inflight"), evidence=(reason, asked)
        )
    # Asked first, marked second: a crash between asks once more, the other order would wait 15 minutes for
    # nothing.
    context.ports.requests.ask(context.app)
    canonicals.put_in_flight(context.app, status.next_mark(mark, key, now))
    return Outcome(app=context.app, result=Result(kind=ResultKind.SEEDING), evidence=(reason,))


_ACTS: dict[status.Act, Callable[[Context, PlannedCanonical], Outcome]] = {
    status.Act.NOTHING: _report_only,
    status.Act.UNREADABLE: _report_unreadable,
    status.Act.IN_USE: _report_only,
    status.Act.NO_RELEASE: _report_no_release,
    status.Act.MOVED: _report_move,
    status.Act.RECOVER: _recover,
    status.Act.RESTORE: _restore,
    status.Act.SEED: _seed,
}
