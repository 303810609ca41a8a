"""Watch Swarm until it finished with what we asked for, or will not. Effects: prunes services the release dropped.

Beside watching, it hastens what Swarm is slow with and wakes what Swarm forgot.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from reconciler.core.change import jobs
from reconciler.core.change import settle as rules
from reconciler.engine.change.looks import POLL_S, Looks
from reconciler.engine.change.steps.wake import Waker
from reconciler.engine.context import Before, Done, StepContext, StepResult
from reconciler.model.errors import ActError
from reconciler.model.health import HealthSpec
from reconciler.model.journal import Step
from reconciler.model.observed import StackObs
from reconciler.model.release import Bundle
from reconciler.model.settling import Failed, Moving, Settled, Settling


def expect(at: StepContext, bundle: Bundle, health: HealthSpec) -> rules.Expected:
    """What settling must find, from the bundle and the spec's patience."""
    limits = at.limits
    return rules.Expected(
        bundle=bundle.id,
        services=bundle.images,
        min_healthy_s=health.min_healthy,
        progress_s=health.progress,
        deadline_s=health.deadline,
        pending_s=limits.pending,
        new_s=limits.new,
        max_restarts=tolerated_restarts(health, len(bundle.images)),
        roles=jobs.roles_of(health, bundle.images),
    )


def tolerated_restarts(health: HealthSpec, services: int) -> int:
    """Failed tasks that are no verdict yet: a service among others may crash until the one it needs is up."""
    if health.max_restarts is not None:
        return health.max_restarts
    return 0 if services == 1 else 2


def settle(at: StepContext, bundle: Bundle, health: HealthSpec, before: Before) -> StepResult:
    """Poll until settled or failed; an engine that does not answer is waited for, never judged."""
    wanted = expect(at, bundle, health)
    # What stood before may keep a network or volume of another shape, which Swarm leaves as it is: no fault of the
    # change, and a way back must not fail for it.
    if at.step is Step.SETTLE and not before.marks:
        wanted = replace(wanted, doc=bundle.doc, stack=at.stack)
    verdict = watch(at, wanted, before, Looks(at, wanted.deadline_s), stop=lambda _: False)
    match verdict:
        case Settled():
            # Only once the release has settled: the way back wants these services again.
            _prune_orphans(at, bundle)
            stack = at.ports.engine.observe_stack(at.stack)
            return Done(updates={"settled_services": {s.name: s.spec_fingerprint for s in stack.services}})
        case Failed(reason=reason, evidence=evidence, fault=fault):
            return at.fail_by(fault, reason, *evidence)
        case Moving():
            raise AssertionError("watching ends with a verdict")
        case never:
            assert_never(never)


def watch(
    at: StepContext, wanted: rules.Expected, before: Before, looks: Looks, stop: Callable[[StackObs], bool]
) -> Settling:
    """Feed looks to the settle rules until they are final, or `stop` says that the look is enough.

    Raises:
        ObserveError: the engine has not answered, or no node took tasks, until the deadline: the journal stays.
    """
    clock = at.ports.clock
    waker = Waker(at)
    state = rules.Progress(began=looks.answered_s, moved_at=looks.answered_s)
    shown = ""
    while True:
        stack = looks.take()
        if stack is None:
            clock.wait(POLL_S * 5)
            continue
        state, verdict = rules.step(state, wanted, before.marks, frozenset(before.old_tasks), stack, looks.answered_s)
        if not isinstance(verdict, Moving) or stop(stack):
            return verdict
        # Swarm's agent takes about 3 s to act on what is already decided; doing it now is what makes an
        # update quick.
        at.ports.engine.hasten(stack)
        waker.see(stack)
        if verdict.waiting_for != shown:
            shown = verdict.waiting_for
            at.tell(f"waiting for {shown}")
        clock.wait(POLL_S)


def _prune_orphans(at: StepContext, bundle: Bundle) -> None:
    """Remove services that the release no longer has; Swarm leaves them running."""
    stack = at.ports.engine.observe_stack(at.stack)
    orphans = [service.name for service in stack.services if service.name not in bundle.images]
    if orphans:
        try:
            at.ports.engine.remove_services(at.stack, orphans)
        except ActError as exc:
            # The next pass sees them as drift and tries again.
            at.tell(f"prune-orphans: not removed: {exc}")
            return
        for name in orphans:
            at.tell(f"prune-orphans: removed {name!r}")
