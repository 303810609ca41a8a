"""Remove the stack's services; data, networks, configs and secrets stay. Effects: the engine."""

from reconciler.engine.context import Done, StepContext, StepResult
from reconciler.model.errors import ActError


def undeploy(at: StepContext, *, require_clean_stop: bool = False) -> StepResult:
    """Take the services down. Failing here has touched no data.

    `require_clean_stop`: one that did not end within its grace is a failure, for its data is that of a crash.
    """
    try:
        killed = at.ports.engine.undeploy(at.stack)
    except ActError as exc:
        return at.fail(str(exc), host=True)
    if killed:
        at.tell(f"{', '.join(killed)} did not end within the grace and was killed")
    if killed and require_clean_stop:
        return at.fail(f"{', '.join(killed)} did not stop cleanly", "upgrade.require_clean_stop is set")
    return Done(updates={"killed": killed})
