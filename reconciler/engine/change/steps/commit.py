"""The one rename that makes the candidate known-good. Effects: `known_good.json`."""

from reconciler.core.change import outcome
from reconciler.engine.context import DONE, StepContext, StepResult
from reconciler.model.journal import Journal


def commit(at: StepContext, journal: Journal) -> StepResult:
    """Promote. Doing it twice gives the same record but for its time."""
    ports = at.ports
    before = ports.store.known_good(at.app)
    record = outcome.known_good(journal, before, ports.clock.now())
    if record is not None:
        ports.store.put_known_good(record)
    return DONE
