"""An operator takes a live app down and keeps it down. Effects: `memory.json`, the stack's services, history."""

from collections.abc import Callable
from dataclasses import dataclass

from reconciler.engine.change import unjournaled
from reconciler.engine.context import Context
from reconciler.engine.operate import app_lock
from reconciler.engine.release.needs import find_ending_data
from reconciler.model.app import Kind
from reconciler.model.errors import UsageError
from reconciler.model.history import HistoryLine
from reconciler.model.memory import PauseScope, Suspension
from reconciler.model.release import KnownGood


@dataclass(frozen=True, kw_only=True)
class Undeployed:
    """`version`: of known-good, whose data stays. `problem`: what is not down yet; None: nothing can write any more."""

    version: str
    problem: str | None


def undeploy(
    context: Context, reason: str, confirm: Callable[[str], bool], *, wait_s: float = 0.0
) -> Undeployed | None:
    """Take the services down, and hold the app down until it is resumed; None: `confirm` said no. Idempotent.

    Raises:
        UsageError: no reason, a canonical, nothing known-good, a change under way, or data that would end with the
            app; nothing is recorded.
        LockBusy: the app is being worked on.
    """
    if not reason.strip():
        raise UsageError("taking an app down needs a reason")
    if context.spec.kind is Kind.CANONICAL:
        raise UsageError(f"{context.app} is a canonical; ci-warm canonical undeploy {context.app} takes it down")
    ports, app = context.ports, context.app
    with app_lock.hold(context, "undeploy", wait_s):
        known = _require_known_good(context)
        bundle = ports.store.bundle(app, known.release.bundle)
        ending = find_ending_data(context, bundle)
        if ending:
            raise UsageError(
                f"taking {app} down would end data of it: {'; '.join(ending)}; copy it, or give it up in the spec"
                " (snapshot.exclude)"
            )
        if not confirm(f"Take {app} {known.release.version} down, until ci-warm resume {app}?"):
            return None
        began, now = ports.clock.monotonic(), ports.clock.now()
        # On record before anything stops: a crash in between leaves an app that is held, and not one that is healed.
        pause = Suspension(reason=reason, actor=context.actor, at=now, scope=PauseScope.DOWN)
        ports.store.put_memory(ports.store.memory(app).model_copy(update={"suspension": pause}))
        failure = unjournaled.undeploy(context, bundle)
        problem = "; ".join((failure.reason, *failure.evidence)) if failure is not None else None
        ports.history.append(
            HistoryLine(
                ts=ports.clock.now(),
                op_id=f"{now:%Y%m%dT%H%M%SZ}-{app}-undeploy",
                app=app,
                action="undeploy",
                from_version=known.release.version,
                result=f"{'undeploy-failed' if problem else 'undeployed'}:{known.release.version}",
                elapsed_seconds=round(ports.clock.monotonic() - began, 3),
                actor=context.actor,
                message=problem or reason,
            )
        )
    return Undeployed(version=known.release.version, problem=problem)


def _require_known_good(context: Context) -> KnownGood:
    store, app = context.ports.store, context.app
    if store.journal(app) is not None:
        raise UsageError(f"{app} has a change under way; ci-warm reconcile {app} finishes it first")
    known = store.known_good(app)
    if known is None:
        raise UsageError(f"{app} has no known-good release, so ci-warm does not know what it would take down")
    return known
