"""What is left of apps that are no longer declared: a change under way, and alerts. Effects: alerts.

Called by every pass over all apps and by the daemon when it takes over other specs.
"""

from collections.abc import Sequence

from reconciler.core.conditions import ChangeOrphaned
from reconciler.engine.host import image_gc
from reconciler.engine.ports import Ports
from reconciler.model.app import AppSpec
from reconciler.model.ids import HOST


def settle_alerts(ports: Ports, specs: Sequence[AppSpec]) -> None:
    """Tell of changes that no pass will finish; end the alerts of all other apps that are not among these specs.

    No pass looks at those again, so their alerts would stand for ever. `specs`: all that are declared; where a file
    could not be read, the caller tells of orphans alone.
    """
    orphans = tell_orphans(ports, specs)
    declared = {spec.name for spec in specs} | {HOST} | set(orphans)
    for app in {alert.app for _, alert in (*ports.alerts.open(), *ports.alerts.archived())} - declared:
        ports.alerts.resolve(app, [])


def tell_orphans(ports: Ports, specs: Sequence[AppSpec]) -> tuple[str, ...]:
    """A change that was begun for an app that is no longer declared: no pass would ever finish it. Gives those apps."""
    store, declared = ports.store, {spec.app for spec in specs}
    orphans = [app for app in store.apps() if app not in declared and image_gc.is_under_way(store, app)]
    left, now = "has a change under way and is no longer declared, so it is left as it is", ports.clock.now()
    found = [ChangeOrphaned(owner=app).alert(now, [f"{app} {left}"]) for app in orphans]
    for alert in found:
        ports.alerts.raise_(alert)
    ports.alerts.resolve(HOST, [alert.fingerprint for alert in found], reason=ChangeOrphaned.REASON)
    return tuple(orphans)
