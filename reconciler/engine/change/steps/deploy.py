"""Hand a release to the engine. Effects: the engine."""

from reconciler.core.change import faults
from reconciler.core.release import compose
from reconciler.core.release.render import LABEL_BUNDLE
from reconciler.engine.context import Done, StepResult, Work, failed
from reconciler.model.errors import ActError
from reconciler.model.journal import ServiceMark
from reconciler.model.observed import StackObs

_POLL_S = 0.1
_PORTS_S = 10.0


def act(work: Work, *, prior: bool) -> StepResult:
    """Deploy the candidate, or the prior release by its pinned images, which needs no network.

    What stands before is noted for settling. Before a resumed run the same release may stand already; then its
    own tasks are not old.
    """
    ports = work.ports
    bundle = work.bundle(prior=prior)
    before = _at_rest(work)
    if not before.services:
        _await_ports(work, compose.host_ports(bundle.doc))
    marks = {
        service.name: ServiceMark(
            version_index=service.version_index, update_started_at=service.update.started_at if service.update else ""
        )
        for service in before.services
    }
    ours = {service.id for service in before.services if service.labels.get(LABEL_BUNDLE) == bundle.id}
    old = tuple(sorted(task.id for task in before.tasks if task.service_id not in ours or task.state != "running"))
    # On disk before the effect: a resumed settle must know what was there before.
    work.note({"marks": marks, "old_tasks": old})
    ports.effect("deploy:marked")
    try:
        said = ports.engine.deploy(bundle, ports.workdir)
    except ActError as exc:
        return failed(work.journal.step, str(exc), host=exc.host_fault)
    if said.code != 0:
        host = faults.is_hosts(said.output)
        return failed(work.journal.step, f"the deploy command failed ({said.code})", said.output, host=host)
    return Done(updates={"marks": marks, "old_tasks": old})


def _at_rest(work: Work) -> StackObs:
    """Look at the stack once no update of it is under way, or after a while all the same.

    A second update while one runs can strand tasks, or end `paused` for what the first one left behind.
    """
    clock = work.ports.clock
    deadline = clock.monotonic() + work.context.settings.limits.quiesce
    while True:
        stack = work.ports.engine.observe_stack(work.stack)
        moving = [s.name for s in stack.services if s.update and s.update.state in ("updating", "rollback_started")]
        if not moving or clock.monotonic() > deadline:
            return stack
        clock.wait(_POLL_S)


def _await_ports(work: Work, wanted: frozenset[int]) -> None:
    """Wait a moment for host ports that the stack's own ending tasks may still have.

    Swarm would wait with the new tasks just as long, but now and then it loses them (`core.change.lost_tasks`).
    Whoever else has a port keeps it: that is for settling to say.
    """
    clock = work.ports.clock
    deadline = clock.monotonic() + _PORTS_S
    while wanted and clock.monotonic() < deadline:
        taken = work.ports.engine.look().taken_ports
        if taken is not None and not wanted & taken:
            return
        clock.wait(_POLL_S)
