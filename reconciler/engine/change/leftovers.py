"""What cannot be removed is told, and stops nothing. Effects: alerts."""

from collections.abc import Sequence

from reconciler.core.conditions import RemovalFailed
from reconciler.engine.ports import Ports
from reconciler.model.ids import AppName
from reconciler.ports.node import Leftover


def tell(ports: Ports, app: AppName, left: Sequence[Leftover]) -> None:
    """One alert for each; a pass that sees it gone resolves it (`engine.live.report`)."""
    now = ports.clock.now()
    for one in left:
        ports.alerts.raise_(RemovalFailed(app=app, path=one.path).alert(now, [one.why]))
