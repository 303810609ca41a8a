"""The restore drill: a snapshot that was never restored is a hope. Effects: a scratch folder, one record, one alert."""

from collections.abc import Sequence
from datetime import timedelta

from reconciler.core.conditions import DrillFailed
from reconciler.engine.context import Context
from reconciler.engine.ports import Ports
from reconciler.model.app import AppSpec
from reconciler.model.errors import LockBusy, StateError
from reconciler.model.settings import Settings
from reconciler.model.snapshot import DrillRecord


def drill(context: Context) -> DrillRecord | None:
    """Restore an app's snapshot into a scratch folder and compare. None: there is none. The caller holds its lock.

    Raises:
        StateError: the snapshot's manifest is unreadable.
    """
    ports = context.ports
    manifest = ports.node.snapshots.observe(context.app)
    if manifest is None:
        return None
    now = ports.clock.now()
    found = DrillRecord(app=context.app, snapshot=manifest.id, at=now, problems=ports.node.snapshots.drill(context.app))
    ports.store.put_drill(found)
    if found.problems:
        condition = DrillFailed(app=context.app, snapshot=manifest.id)
        ports.alerts.raise_(condition.alert(now, found.problems[:10]))
    else:
        ports.alerts.resolve(context.app, [], reason=DrillFailed.REASON)
    return found


def due(ports: Ports, settings: Settings, specs: Sequence[AppSpec]) -> AppSpec | None:
    """The app whose snapshot has waited longest for its drill; None if none is due."""
    waiting = []
    for spec in specs if settings.drill_every > 0 else ():
        try:
            manifest, last = ports.node.snapshots.observe(spec.app), ports.store.drill(spec.app)
        except StateError:
            continue  # the pass over that app says so
        if manifest is None:
            continue
        at = last.at if last is not None and last.snapshot == manifest.id else manifest.created_at
        if ports.clock.now() - at >= timedelta(seconds=settings.drill_every) or last is None:
            waiting.append((at, spec))
    return min(waiting, key=lambda pair: pair[0])[1] if waiting else None


def drill_one_due(ports: Ports, settings: Settings, specs: Sequence[AppSpec]) -> DrillRecord | None:
    """Drill the one app that is due most, unless another process works on it; None: nothing was done."""
    spec = due(ports, settings, specs)
    if spec is None:
        return None
    try:
        held = ports.locks.acquire(spec.app, "ci-warm drill")
    except LockBusy:
        return None
    try:
        return drill(Context(ports=ports, settings=settings, spec=spec, actor="drill"))
    finally:
        held.release()
