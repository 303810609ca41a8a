"""One app's pass, live or canonical: lock, observe, assess, plan, gate, act, report. The only place that asks which.

Effects: through the ports, in that order. What to do is decided in `core`. What acts, and what is about canonicals, is
imported where it is used: who only asks what is due starts sooner without it.
"""

import traceback
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from reconciler import logs
from reconciler.core.live import plan
from reconciler.engine.context import Context
from reconciler.engine.live import plan as live_plan
from reconciler.engine.live.plan import PlannedApp
from reconciler.model.app import Kind
from reconciler.model.errors import ActError, IngressAwayError, Interrupted, LockBusy, ObserveError, StateError
from reconciler.model.observed import World

if TYPE_CHECKING:
    from reconciler.engine.canonical.reconcile import PlannedCanonical
    from reconciler.engine.live import report

R = TypeVar("R")
log = logs.Log()


def plan_app(
    context: Context, world: World, fetch_problem: str | None = None, *, remember: bool = True
) -> "PlannedApp | PlannedCanonical":
    """Look at an app and plan for it, nothing done yet. With `remember` the caller holds its lock.

    Raises:
        StateError, ObserveError: it cannot be judged.
    """
    if context.spec.kind is Kind.CANONICAL:
        from reconciler.engine.canonical import reconcile as canonical_reconcile

        return canonical_reconcile.plan_canonical(context, world, fetch_problem, remember=remember)
    return live_plan.plan_app(context, world, fetch_problem, remember=remember)


class Due(Enum):
    """What an app needs that has something to do. A RELEASE is taken in turn; CARE must not wait for that."""

    CARE = "care"
    RELEASE = "release"


def check(context: Context, world: World, *, fetch_problem: str | None = None) -> "report.Report | Due":
    """Report on an app that needs nothing or is held; else say what is due, which is for `reconcile`.

    Changes no app, only first-seen tags and alerts, and of a canonical its own records (a promotion that a crash left
    is decided), so that several apps can be checked side by side.
    """

    def look() -> "report.Report | Due":
        planned = plan_app(context, world, fetch_problem)
        return _act(context, planned, None) if planned.is_quiet else _what_is_due(planned)

    return _run_locked(context, look)


def _what_is_due(planned: "PlannedApp | PlannedCanonical") -> Due:
    return Due.RELEASE if isinstance(planned, PlannedApp) and plan.is_gated(planned.plan.action) else Due.CARE


def reconcile(context: Context, *, fetch_problem: str | None = None, train: str | None = None) -> "report.Report":
    """Do the one next safe thing for an app. `train`: the app whose rollback stops upgrades in this pass.

    Raises:
        Interrupted: asked to stop; a journal may stay for the next start.
    """
    # The look is taken under the lock: what was seen before it may be another process's half-done work.
    return _run_locked(
        context, lambda: _act(context, plan_app(context, context.ports.engine.look(), fetch_problem), train)
    )


def _act(context: Context, planned: "PlannedApp | PlannedCanonical", train: str | None) -> "report.Report":
    from reconciler.engine.live import report

    if not isinstance(planned, PlannedApp):
        from reconciler.engine.canonical import reconcile as canonical_reconcile

        outcome = canonical_reconcile.act(context, planned)
        return report.finish_canonical(context, planned.facts, planned.assessment, outcome, planned.canonical)
    from reconciler.engine.live import reconcile as live_reconcile

    outcome = live_reconcile.act(context, planned, train)
    return report.finish(context, planned, outcome)


def _run_locked(context: Context, work: Callable[[], R]) -> "R | report.Report":
    """Work under the app's lock; what could not be done or known becomes the app's report."""
    from reconciler.engine.live import report

    try:
        held = context.ports.locks.acquire(context.app, f"ci-warm {context.actor}")
    except LockBusy as exc:
        return report.report_busy(context, str(exc))
    try:
        return work()
    except StateError as exc:
        return report.report_unreadable(context, exc)
    except IngressAwayError as exc:
        return report.report_ingress_away(context, exc)
    except ObserveError as exc:
        return report.report_unknown(context, exc)
    except (ActError, OSError) as exc:
        return report.report_broken(context, exc)
    # Not this app's matter: the whole process was asked to stop.
    except Interrupted:
        raise
    except Exception as exc:  # noqa: BLE001 - a mistake that one app brings out must not cost the others their pass
        log.error("app_failed", app=context.app, error=str(exc), traceback=traceback.format_exc())
        return report.report_broken(context, exc)
    finally:
        held.release()
