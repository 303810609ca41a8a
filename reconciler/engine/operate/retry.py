"""An operator wants failed releases tried again. Effects: `memory.json`, `journal.json`, alerts."""

from reconciler.core.conditions import ChangeAborted, ChangeStalled, FirstDeployFailed, ReleaseRolledBack
from reconciler.engine.context import Context
from reconciler.engine.operate import app_lock

_ENDED = (ReleaseRolledBack, FirstDeployFailed, ChangeAborted, ChangeStalled)
"""What a human's word ends; whatever else is told of the app stands until a pass sees it gone."""


def retry(context: Context, *, wait_s: float = 0.0) -> int:
    """Forget why releases failed here, so that the next pass tries again; how many were in quarantine.

    Raises:
        LockBusy: the app is being worked on.
    """
    ports, app = context.ports, context.app
    with app_lock.hold(context, "retry", wait_s):
        memory = ports.store.memory(app)
        ports.store.put_memory(memory.model_copy(update={"quarantine": (), "host_faults": None}))
        journal = ports.store.journal(app)
        if journal is not None and (journal.stalled or journal.resumes):
            # The count goes too: at its limit the next pass would stop again at once.
            ports.store.put_journal(journal.model_copy(update={"stalled": False, "resumes": 0}))
        for condition in _ENDED:
            ports.alerts.resolve(app, [], reason=condition.REASON)
    return len(memory.quarantine)
