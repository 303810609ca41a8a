"""Watch Swarm until it finished with what we asked for, or will not. Effects: prunes services the release dropped.

Beside watching, it hastens what Swarm is slow with and wakes what Swarm forgot.
"""

from collections.abc import Callable

from reconciler.core.change import settle
from reconciler.engine.change.steps.wake import Waker
from reconciler.engine.context import Done, StepResult, Work, failed
from reconciler.model.app import HealthSpec
from reconciler.model.errors import ActError, ObserveError
from reconciler.model.observed import StackObs
from reconciler.model.release import Bundle
from reconciler.model.settling import Failed, Fault, Moving, Settled, Settling

POLL_S = 0.1


def want(work: Work, bundle: Bundle) -> settle.Expected:
    """What settling must find, from the bundle and the spec's patience."""
    _, health = work.probing(bundle)
    limits = work.context.settings.limits
    return settle.Expected(
        bundle=bundle.id,
        services=bundle.images,
        min_healthy_s=health.min_healthy,
        progress_s=health.progress,
        deadline_s=health.deadline,
        pending_s=limits.pending,
        new_s=limits.new,
        max_restarts=tolerated_restarts(health, len(bundle.images)),
        main=health.service if health.service in bundle.images else "",
    )


def tolerated_restarts(health: HealthSpec, services: int) -> int:
    """Failed tasks that are no verdict yet: a service among others may crash until the one it needs is up."""
    if health.max_restarts is not None:
        return health.max_restarts
    return 0 if services == 1 else 2


def act(work: Work, *, prior: bool) -> StepResult:
    """Poll until settled or failed; an engine that does not answer is waited for, never judged."""
    bundle = work.bundle(prior=prior)
    verdict = watch(work, want(work, bundle), stop=lambda _: False)
    match verdict:
        case Settled():
            _prune_orphans(work, bundle)
            stack = work.ports.engine.observe_stack(work.stack)
            return Done(updates={"settled_services": {s.name: s.spec_fingerprint for s in stack.services}})
        case Failed(reason=reason, evidence=evidence, fault=fault):
            return failed(work.journal.step, reason, *evidence, host=fault is Fault.HOST)
        case _:
            raise AssertionError(verdict)


def watch(work: Work, wanted: settle.Expected, stop: Callable[[StackObs], bool]) -> Settling:
    """Feed looks to the settle rules until they are final, or `stop` says that the look is enough.

    Raises:
        ObserveError: the engine has not answered until the deadline: unknown, so the journal stays.
    """
    clock, journal = work.ports.clock, work.journal
    waker = Waker(work)
    state = settle.Progress(began=clock.monotonic(), moved_at=clock.monotonic())
    shown = ""
    while True:
        try:
            stack = work.ports.engine.observe_stack(work.stack)
        except ObserveError:
            if clock.monotonic() - state.began > wanted.deadline_s:
                raise
            clock.wait(POLL_S * 5)
            continue
        state, verdict = settle.step(
            state, wanted, journal.marks, frozenset(journal.old_tasks), stack, clock.monotonic()
        )
        if not isinstance(verdict, Moving) or stop(stack):
            return verdict
        work.ports.engine.hasten(stack)
        waker.see(stack)
        if verdict.waiting_for != shown:
            shown = verdict.waiting_for
            work.ports.progress(work.journal.app, f"waiting for {shown}")
        clock.wait(POLL_S)


def _prune_orphans(work: Work, bundle: Bundle) -> None:
    """Remove services that the release no longer has; Swarm leaves them running."""
    stack = work.ports.engine.observe_stack(work.stack)
    orphans = [service.name for service in stack.services if service.name not in bundle.images]
    if orphans:
        try:
            work.ports.engine.remove_services(work.stack, orphans)
        except ActError as exc:
            # The next pass sees them as drift and tries again.
            work.ports.progress(work.journal.app, f"prune-orphans: not removed: {exc}")
            return
        for name in orphans:
            work.ports.progress(work.journal.app, f"prune-orphans: removed {name!r}")
