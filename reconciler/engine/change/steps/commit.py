"""The one rename that makes the candidate known-good. Effects: `known_good.json`."""

from reconciler.core.change import outcome
from reconciler.engine.context import DONE, StepResult, Work
from reconciler.model.ids import AppName


def act(work: Work) -> StepResult:
    """Promote. Doing it twice gives the same record but for its time."""
    ports, journal = work.ports, work.journal
    before = ports.store.known_good(AppName(journal.app))
    record = outcome.known_good(journal, before, ports.clock.now())
    if record is not None:
        ports.store.put_known_good(record)
    return DONE
