"""What Swarm's own update of a service came to, as far as it is ours. Pure. Called by settle."""

from collections.abc import Sequence

from reconciler.core.change import judge
from reconciler.model.journal import ServiceMark
from reconciler.model.observed import ServiceObs, StackObs, TaskObs
from reconciler.model.settling import Failed, Fault

_RUNNING = "running"


def ended_early(
    service: ServiceObs, failures: Sequence[judge.TaskFailure], before: ServiceMark | None, stack: StackObs
) -> Failed | None:
    """Swarm stopped our update, or takes it back: an end, but for a pause that cost nothing and that blames nobody.

    `failures`: the failed tasks of what was sent. `before`: the service before our write, None: it was not there. Swarm
    starts again what was killed while it watched, paused or not, so such a pause is left to settling.
    """
    update = service.update
    if update is None or not is_ours(service, before):
        return None
    if update.state != "paused" and not update.state.startswith("rollback"):
        return None
    fault = judge.sum_up(failures)
    if update.state == "paused" and fault is not Fault.APP and not list_stale(service, stack):
        return None
    because = f": {failures[-1].why}" if failures else ""
    return Failed(
        reason=f"swarm answered {update.state} for service {service.name}{because}",
        evidence=(update.message,),
        fault=fault,
    )


def is_ours(service: ServiceObs, before: ServiceMark | None) -> bool:
    """Say whether the update began after our write: the engine keeps the last one's state for ever."""
    return service.update is not None and service.update.started_at != (before.update_started_at if before else "")


def list_stale(service: ServiceObs, stack: StackObs) -> list[TaskObs]:
    """Tasks of an older spec that are meant to run: they may answer probes and write to the volumes."""
    own = judge.own_tasks(service, stack)
    tasks = stack.tasks_of(service)
    return [task for task in tasks if task not in own and (task.state, task.desired_state) == (_RUNNING, _RUNNING)]
