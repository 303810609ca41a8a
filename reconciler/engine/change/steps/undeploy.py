"""Remove the stack's services; data, networks, configs and secrets stay. Effects: the engine."""

from reconciler.engine.context import DONE, StepContext, StepResult
from reconciler.model.errors import ActError


def undeploy(at: StepContext) -> StepResult:
    """Take the services down. Failing here has touched no data."""
    try:
        at.ports.engine.undeploy(at.stack)
    except ActError as exc:
        return at.fail(str(exc), host=True)
    return DONE
