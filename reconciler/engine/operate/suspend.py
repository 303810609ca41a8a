"""An operator stops upgrades of one app, or whatever would start it, or ends that. Effects: `memory.json`."""

from datetime import UTC, datetime, timedelta

from reconciler.engine.context import Context
from reconciler.engine.operate import app_lock
from reconciler.model.base import parse_duration
from reconciler.model.errors import UsageError
from reconciler.model.memory import PauseScope, Suspension


def suspend(
    context: Context, reason: str, until: datetime | None, *, everything: bool = False, wait_s: float = 0.0
) -> Suspension:
    """Take no release until resumed (`until` None) or until a time; what runs is still kept running.

    `everything`: nothing is healed or brought up either.

    Raises:
        UsageError: no reason, a time that is over, or an app that was taken down; nothing is recorded.
        LockBusy: the app is being worked on.
    """
    now = context.ports.clock.now()
    if not reason.strip():
        raise UsageError("a suspension needs a reason")
    if until is not None and until <= now:
        raise UsageError(f"{until:%Y-%m-%d %H:%M} UTC is in the past")
    before = context.ports.store.memory(context.app).suspension
    if before is not None and before.scope is PauseScope.DOWN:
        # It would come up again, which is not what a suspension says.
        raise UsageError(f"{context.app} was undeployed by {before.actor}; ci-warm resume {context.app} ends that")
    scope = PauseScope.ALL if everything else PauseScope.RELEASES
    entry = Suspension(reason=reason, actor=context.actor, at=now, until=until, scope=scope)
    _record(context, "suspend", entry, wait_s)
    return entry


def resume(context: Context, *, wait_s: float = 0.0) -> bool:
    """End a suspension; False: there was none, and nothing changed.

    Raises:
        LockBusy: the app is being worked on.
    """
    return _record(context, "resume", None, wait_s) is not None


def parse_until(text: str, now: datetime) -> datetime:
    """Read a time (UTC unless it says otherwise) or a duration from `now`.

    Raises:
        UsageError: it is neither.
    """
    try:
        found = datetime.fromisoformat(text)
        # All times of ours are UTC; the operator's local zone may not be the daemon's.
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    except ValueError:
        pass
    try:
        return now + timedelta(seconds=float(str(parse_duration(text))))
    except (ValueError, OverflowError) as exc:
        raise UsageError(f"{text!r} is neither a time nor a duration") from exc


def _record(context: Context, what: str, entry: Suspension | None, wait_s: float) -> Suspension | None:
    """Put the entry in place of the one before, which is given back."""
    store = context.ports.store
    with app_lock.hold(context, what, wait_s):
        memory = store.memory(context.app)
        if memory.suspension != entry:
            store.put_memory(memory.model_copy(update={"suspension": entry}))
    return memory.suspension
