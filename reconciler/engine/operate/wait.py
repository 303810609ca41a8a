"""Wait until an app is as somebody wants it. Effects: reads, pauses."""

from dataclasses import dataclass

from reconciler.core.release import versions
from reconciler.engine.context import Context
from reconciler.engine.live.plan import PlannedApp, plan_app
from reconciler.model.action import Nothing
from reconciler.model.app import Kind
from reconciler.model.errors import UsageError
from reconciler.model.result import ResultKind

HEALTHY, CONVERGED = "healthy", "converged"
_POLL_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Waited:
    """`reached`: whether it came to that. `over`: it never will by itself."""

    reached: bool
    status: str
    reason: str
    version: str
    took_s: float
    over: bool = False


def wait(context: Context, wanted: str, timeout_s: float) -> Waited:
    """Look again and again, for `timeout_s` seconds at most; `wanted`: healthy, converged or a version.

    Raises:
        UsageError: it is none of these, or a canonical, which does not run.
        ObserveError, StateError: the app cannot be judged.
        Interrupted: asked to stop.
    """
    if wanted not in (HEALTHY, CONVERGED) and versions.parse(wanted) is None:
        raise UsageError(f"--for {wanted!r}: there are healthy, converged, and versions like 11.0.0+27.0.0")
    if context.spec.kind is Kind.CANONICAL:
        raise UsageError(f"{context.app} is a canonical, which is down when idle")
    clock = context.ports.clock
    began = clock.monotonic()
    while True:
        planned = plan_app(context, context.ports.engine.look(), remember=False)
        reached, took = _is_reached(planned, wanted), clock.monotonic() - began
        over = not reached and _is_over(planned, wanted)
        if reached or over or took >= timeout_s:
            return Waited(
                reached=reached,
                status=planned.assessment.status,
                reason=planned.assessment.reason,
                version=planned.facts.origin or "",
                took_s=round(took, 3),
                over=over,
            )
        clock.wait(min(_POLL_S, max(0.0, timeout_s - took)))


def _is_reached(planned: PlannedApp, wanted: str) -> bool:
    facts, action = planned.facts, planned.plan.action
    answers = facts.journal is None and facts.answer is not None and facts.answer.ok
    if wanted == HEALTHY:
        return answers
    if wanted == CONVERGED:
        converged = isinstance(action, Nothing) and action.result.kind is ResultKind.NOOP_HEALTHY
        return answers and converged and not planned.plan.holds
    return answers and facts.origin == wanted == facts.running


def _is_over(planned: PlannedApp, wanted: str) -> bool:
    """A release that failed here is not tried again by itself."""
    return planned.facts.journal is None and any(one.version == wanted for one in planned.facts.memory.quarantine)
