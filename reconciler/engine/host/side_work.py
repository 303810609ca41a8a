"""What the daemon does beside its loop, because it may take long: restore drills, telling people and forges.

Effects: as what it calls.
"""

from collections.abc import Callable
from dataclasses import dataclass

from reconciler import logs
from reconciler.engine.host import forge_answers, memberships, restore_drill
from reconciler.engine.host.desired import Desired
from reconciler.engine.host.forge_answers import Waiting
from reconciler.engine.host.memberships import Doors
from reconciler.model.settings import ForgeSettings, Settings
from reconciler.ports.forge import Forge

log = logs.Log()
_DRILL_S, _FORGE_S = 900.0, 3.0


@dataclass(frozen=True, kw_only=True)
class SideWork:
    """`every`: seconds from one beginning to the next; one that still goes on is not begun twice."""

    name: str
    every: Callable[[Settings], float]
    do: Callable[[Desired], None]


def drills() -> SideWork:
    """One restore drill, if one is due; it keeps only its own app waiting."""
    return SideWork(name="drill", every=lambda _: _DRILL_S, do=_drill)


def relay(tell: Callable[[Desired], None]) -> SideWork:
    """Alerts to people."""
    return SideWork(name="relay", every=lambda settings: settings.relay.every, do=tell)


def forge(waiting: Waiting, doors: Doors, connect: Callable[[ForgeSettings], Forge]) -> SideWork:
    """Tests to those who asked for them on a forge, and who may ask; without one only what has ended is forgotten."""

    def tell(state: Desired) -> None:
        settings, hook, clock = state.settings.forge, state.settings.web.hook, state.ports.clock
        page = settings.page if settings is not None else ""
        asked = connect(settings) if settings is not None else None
        memberships.prove(doors, asked, hook.teams if hook is not None else (), clock)
        forge_answers.tell(waiting, asked, page, clock)

    return SideWork(name="forge", every=lambda _: _FORGE_S, do=tell)


def _drill(state: Desired) -> None:
    done = restore_drill.drill_one_due(state.ports, state.settings, state.specs)
    if done is not None:
        log.info("drill", app=done.app, snapshot=done.snapshot, problems=done.problems)
