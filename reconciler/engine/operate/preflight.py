"""What an operator asks before a rollback: is there a way back. Effects: reads only."""

from dataclasses import dataclass

from reconciler.engine.context import Context
from reconciler.engine.live.preflight import find_room_problem
from reconciler.engine.live.way_back import find_way_back_problems
from reconciler.engine.release.images import lookup_release
from reconciler.model.recipe import ImageLookup
from reconciler.model.snapshot import SnapshotManifest


@dataclass(frozen=True, kw_only=True)
class WayBack:
    """`images`: of `known-good` and `fallback`, each with what is known. `room` None: enough, or not needed.

    `problems` empty: a rollback would work.
    """

    app: str
    rollback_to: str | None
    snapshot: SnapshotManifest | None
    images: tuple[tuple[str, ImageLookup], ...]
    problems: tuple[str, ...]
    room: str | None


def check_way_back(context: Context) -> WayBack:
    """Check images, snapshot and room of the way back.

    Raises:
        StateError, ObserveError: a record is unreadable, or the engine could not be asked.
    """
    known = context.ports.store.known_good(context.app)
    releases = {"known-good": known.release} if known else {}
    if known and known.fallback:
        releases["fallback"] = known.fallback.release
    volumes: list[str] = []
    if known is not None:
        volumes = list(context.ports.store.bundle(context.app, known.release.bundle).volumes.values())
    return WayBack(
        app=context.app,
        rollback_to=known.fallback.release.version if known and known.fallback else None,
        snapshot=context.ports.node.snapshots.observe(context.app),
        images=tuple(
            (name, image)
            for name, release in releases.items()
            for image in lookup_release(context, release, details=True)
        ),
        problems=tuple(find_way_back_problems(context, known)),
        room=find_room_problem(context, volumes)[1] if context.spec.stateful else None,
    )
