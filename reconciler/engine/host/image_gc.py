"""Disk watch and garbage collection: look, ask `core.host.retention`, remove. Effects: the engine's images, one alert.

Never while something is in flight: every app's lock is held for the while, and any journal ends it.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta

from reconciler.core.conditions import DiskFull
from reconciler.core.host import retention
from reconciler.engine.ports import Ports
from reconciler.model.app import AppSpec
from reconciler.model.errors import ActError, LockBusy, ObserveError, StateError
from reconciler.model.host import Usage
from reconciler.model.ids import HOST, AppName
from reconciler.model.release import KnownGood
from reconciler.model.settings import Settings
from reconciler.state.record_store import RecordStore


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What was removed, or would be. `skipped`: why nothing was even looked at. `refused`: the engine kept these."""

    removed: tuple[retention.Removal, ...] = ()
    refused: tuple[retention.Removal, ...] = ()
    skipped: str = ""

    @property
    def freed(self) -> int:
        """Bytes, at most: images share layers."""
        return sum(removal.size for removal in self.removed)


def collect(ports: Ports, settings: Settings, specs: Sequence[AppSpec], *, dry_run: bool = False) -> Collected:
    """Remove images that nothing needs.

    Raises:
        ObserveError: the engine cannot be asked; nothing was removed.
        StateError: a record is unreadable, so what it needs is unknown; nothing was removed.
    """
    with ExitStack() as stack:
        try:
            # Tests first, then apps: what holds a place may be about to take an app, never the other way
            # round.
            stack.callback(ports.locks.all_slots(settings.runs.max_tests, "ci-warm gc").release)
        except LockBusy as exc:
            return Collected(skipped=f"a test is in flight: {exc}")
        for spec in specs:
            try:
                held = ports.locks.acquire(spec.app, "ci-warm gc")
            except LockBusy as exc:
                return Collected(skipped=f"{spec.name} is being worked on: {exc}")
            stack.callback(held.release)
        # Also of apps that are not declared: their journal names images that only their way back needs.
        under_way = [app for app in ports.store.apps() if ports.store.journal(app) is not None]
        if under_way:
            return Collected(skipped=f"a change is under way: {', '.join(under_way)}")
        chosen = _choose(ports, settings, specs)
        if dry_run:
            return Collected(removed=chosen)
        removed: list[retention.Removal] = []
        refused: list[retention.Removal] = []
        for removal in chosen:
            (removed if ports.engine.remove_image(removal.id, removal.references) else refused).append(removal)
    return Collected(removed=tuple(removed), refused=tuple(refused))


def _choose(ports: Ports, settings: Settings, specs: Sequence[AppSpec]) -> tuple[retention.Removal, ...]:
    needed: list[str] = []
    ours: list[str] = []
    # Apps that are no longer declared keep what their records name: removing a spec gives nothing away.
    for app in sorted({*ports.store.apps(), *(spec.app for spec in specs)}):
        needed += list_pinned(ports.store.known_good(app))
        canonical = ports.canonicals.canonical(app)
        needed += canonical.images.values() if canonical else ()
        for seen in ports.store.memory(app).tags.values():
            ours += [*seen.images, *(f"@{digest}" for digest in seen.images.values())]
    for url in sorted({spec.recipe.url for spec in specs}):
        tested = ports.canonicals.greens(url).images
        ours += [*tested, *tested.values()]
    age = timedelta(seconds=settings.disk.image_age)
    return retention.removable(ports.engine.inventory(), needed, [*ours, *needed], age, ports.clock.now())


def list_pinned(known: KnownGood | None) -> list[str]:
    """The images that an app must be able to run and to go back to."""
    if known is None:
        return []
    releases = [known.release, *([known.fallback.release] if known.fallback else [])]
    return sorted({image for release in releases for image in release.images.values()})


def is_under_way(store: RecordStore, app: AppName) -> bool:
    """Say whether a change of that app is not over; one whose journal is unreadable surely is not."""
    try:
        return store.journal(app) is not None
    except StateError:
        return True


def protect(ports: Ports, specs: Sequence[AppSpec]) -> tuple[str, ...]:
    """Pin every app's images again, in case the pins were pruned; what could not be pinned, in words."""
    problems = []
    for spec in specs:
        try:
            held = ports.locks.acquire(spec.app, "ci-warm pins")
        except LockBusy:
            continue
        try:
            if ports.store.journal(spec.app) is None:
                canonical = ports.canonicals.canonical(spec.app)
                kept = list_pinned(ports.store.known_good(spec.app)) + sorted(
                    canonical.images.values() if canonical else ()
                )
                ports.engine.protect_images(spec.app, kept)
        except (ActError, ObserveError, StateError) as exc:
            problems.append(f"{spec.name}: {exc}")
        finally:
            held.release()
    return tuple(problems)


def watch(ports: Ports, settings: Settings, specs: Sequence[AppSpec], usages: Sequence[Usage]) -> Collected | None:
    """Act on file systems that are too full: alert, and collect. None: none is.

    Raises:
        ObserveError, StateError: as in `collect`.
    """
    full = [
        f"{usage.path}: {usage.percent} % in use, {usage.free / (1 << 30):.1f} GiB free"
        for usage in usages
        if usage.percent >= settings.disk.high
    ]
    if not full:
        ports.alerts.resolve(HOST, [], reason=DiskFull.REASON)
        return None
    ports.alerts.raise_(DiskFull(high=settings.disk.high).alert(ports.clock.now(), full))
    return collect(ports, settings, specs)
