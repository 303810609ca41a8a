"""Write down how a change ended, then tidy up: alert, memory, known-good, history. Effects: records, images, configs.

The order is a promise: the alert is durable before the journal closes, and every write may happen twice.
"""

from collections.abc import Sequence

from reconciler.core.change import outcome
from reconciler.engine.change import leftovers
from reconciler.engine.context import DONE, StepContext, StepResult
from reconciler.model.errors import ActError, ObserveError, StateError
from reconciler.model.journal import Journal
from reconciler.model.memory import Memory


def record(at: StepContext, journal: Journal) -> StepResult:
    """Record the outcome. Housekeeping that fails is reported, never a reason to keep the journal."""
    ports, app = at.ports, at.app
    now = ports.clock.now()
    alert = outcome.alert(journal, now)
    if alert is not None:
        # First, because it is what a human hears: a crash after any of the writes below would be told again,
        # a crash before the alert would otherwise be silent (I8).
        ports.alerts.raise_(alert, anew=True)
        ports.effect("record:alert")
    memory = ports.store.memory(app)
    learnt = outcome.remember(journal, memory, now)
    # Memory holds the quarantine: it must be there before the journal goes, or the next pass tries the
    # release again.
    if learnt != memory and not _already_learnt(journal, memory):
        ports.store.put_memory(learnt)
        ports.effect("record:memory")
    if alert is not None:
        # The way back deployed the prior release anew, so its fingerprints are others now; after a rollback
        # by hand the record names another release.
        known = outcome.known_good(journal, ports.store.known_good(app), now)
        if known is not None:
            ports.store.put_known_good(known)
            ports.effect("record:known-good")
    ports.history.append(outcome.history(journal, now))
    ports.effect("record:history")
    _tidy(at, journal.volumes, went_well=outcome.is_good(journal))
    return DONE


def _already_learnt(journal: Journal, memory: Memory) -> bool:
    """A host fault is counted once per operation, however often recording is repeated."""
    faults = memory.host_faults
    return (
        faults is not None
        and journal.failure is not None
        and faults.last_at >= journal.started_at
        and journal.failure.reason.startswith(faults.reason[:50])
    )


def _tidy(at: StepContext, volumes: Sequence[str], *, went_well: bool) -> None:
    ports, app = at.ports, at.app
    known = ports.store.known_good(app)
    try:
        found = [volume for volume in ports.engine.observe_volumes(volumes).values() if volume.path]
        if went_well:
            leftovers.tell(ports, app, ports.node.snapshots.forget_aside(app, found))
            ports.engine.remove_unused_configs(at.stack)
        else:
            leftovers.tell(ports, app, ports.node.snapshots.retry_removals(app, found))
        releases = [known.release, *([known.fallback.release] if known.fallback else [])] if known else []
        ports.engine.protect_images(app, sorted({image for release in releases for image in release.images.values()}))
        ports.store.prune_bundles(app, [release.bundle for release in releases])
    except (ActError, ObserveError, StateError, OSError) as exc:
        ports.progress(app, f"tidying up is left for the next change: {exc}")
