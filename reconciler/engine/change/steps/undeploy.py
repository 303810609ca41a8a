"""Remove the stack's services; data, networks, configs and secrets stay. Effects: the engine."""

from reconciler.engine.context import DONE, StepResult, Work, failed
from reconciler.model.errors import ActError


def act(work: Work) -> StepResult:
    """Take the services down. Failing here has touched no data."""
    try:
        work.ports.engine.undeploy(work.stack)
    except ActError as exc:
        return failed(work.journal.step, str(exc), host=True)
    return DONE
