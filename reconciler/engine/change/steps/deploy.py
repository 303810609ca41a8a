"""Hand a release to the engine. Effects: the engine."""

from collections.abc import Callable

from reconciler.core.change import faults
from reconciler.core.release import networks, published
from reconciler.core.release.render import LABEL_BUNDLE
from reconciler.engine.context import Before, Done, StepContext, StepResult
from reconciler.model.errors import ActError
from reconciler.model.journal import Failure, ServiceMark
from reconciler.model.observed import StackObs
from reconciler.model.release import Bundle

_POLL_S = 0.1
_PORTS_S = 10.0


def deploy(at: StepContext, bundle: Bundle, note: Callable[[Before], None], *, stays: bool) -> StepResult:
    """Deploy a release by its pinned images, which needs no network. `stays`: where its volumes are.

    What stands before is noted for settling, `note` having it before the effect: a resumed settle must know it. Before
    a resumed run the same release may stand already; then its own tasks are not old.
    """
    ports = at.ports
    stack = _await_rest(at)
    # Where services stand, Swarm replaces their tasks itself and the ports stay theirs.
    if not stack.services:
        _await_ports(at, published.host_ports(bundle.doc))
        problem = _remove_changed_networks(at, bundle, stack)
        if problem is not None:
            return problem
    else:
        for what in networks.find_changed(bundle.doc, at.stack, stack.networks).values():
            at.tell(f"left as it is, for services use it: {what}")
    before = _look_before(stack, bundle)
    # The order is what makes a crash in the deploy safe: noted, then done (ADR 0003).
    note(before)
    ports.effect("deploy:marked")
    try:
        said = ports.engine.deploy(bundle, ports.workdir, stays=stays)
    except ActError as exc:
        return at.fail(str(exc), host=exc.host_fault)
    # 0 proves nothing, which is why settling follows; but a failure here is one, and it says more than
    # settling could.
    if said.code != 0:
        return at.fail(f"the deploy command failed ({said.code})", said.output, host=faults.is_hosts(said.output))
    return Done(updates={"marks": before.marks, "old_tasks": before.old_tasks, "sent": True})


def _remove_changed_networks(at: StepContext, bundle: Bundle, stack: StackObs) -> Failure | None:
    """Remove networks whose definition changed, now that nothing runs: the deploy makes them anew."""
    changed = networks.find_changed(bundle.doc, at.stack, stack.networks)
    if not changed:
        return None
    for what in changed.values():
        at.tell(f"made anew: {what}")
    try:
        at.ports.engine.remove_networks(at.stack, sorted(changed))
    except ActError as exc:
        return at.fail(f"a network cannot be made anew: {exc}", *changed.values(), host=True)
    at.ports.effect("deploy:networks-removed")
    return None


def _look_before(stack: StackObs, bundle: Bundle) -> Before:
    marks = {
        service.name: ServiceMark(
            version_index=service.version_index, update_started_at=service.update.started_at if service.update else ""
        )
        for service in stack.services
    }
    # A resumed deploy finds its own services: their running tasks are the candidate's and may count for it.
    ours = {service.id for service in stack.services if service.labels.get(LABEL_BUNDLE) == bundle.id}
    old = (task.id for task in stack.tasks if task.service_id not in ours or task.state != "running")
    return Before(marks=marks, old_tasks=tuple(sorted(old)))


def _await_rest(at: StepContext) -> StackObs:
    """Look at the stack once no update of it is under way, or after a while all the same.

    A second update while one runs can strand tasks, or end `paused` for what the first one left behind.
    """
    clock = at.ports.clock
    deadline = clock.monotonic() + at.limits.quiesce
    while True:
        stack = at.ports.engine.observe_stack(at.stack)
        moving = [s.name for s in stack.services if s.update and s.update.state in ("updating", "rollback_started")]
        # An update that hangs must not stop a rollback for ever: the deploy replaces it.
        if not moving or clock.monotonic() > deadline:
            return stack
        clock.wait(_POLL_S)


def _await_ports(at: StepContext, wanted: frozenset[int]) -> None:
    """Wait a moment for host ports that the stack's own ending tasks may still have.

    Swarm would wait with the new tasks just as long, but now and then it loses them (`core.change.lost_tasks`).
    A port that another stack has stays with it: that is for settling to say.
    """
    clock = at.ports.clock
    deadline = clock.monotonic() + _PORTS_S
    while wanted and clock.monotonic() < deadline:
        taken = at.ports.engine.look().taken_ports
        # None: a task is there whose ports cannot be told, so they are not known to be free.
        if taken is not None and not wanted & taken:
            return
        clock.wait(_POLL_S)
