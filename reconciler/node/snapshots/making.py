"""Makes an app's snapshot, of what was copied ahead where it can. Effects: `<state>/<app>/snapshot`.

Order is what keeps data safe: nothing old goes before the new is complete, read back and durable.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from reconciler.core.change import room
from reconciler.model.errors import ActError, Interrupted
from reconciler.model.ids import AppName
from reconciler.model.observed import VolumeObs
from reconciler.model.snapshot import ArchivedVolume, SnapshotManifest
from reconciler.node.snapshots import archive, catch_up, seals, tree
from reconciler.node.snapshots.ahead import Copy
from reconciler.node.snapshots.early import Early, copy_all
from reconciler.node.snapshots.meters import Meters
from reconciler.node.snapshots.places import PARTIAL, Places
from reconciler.node.snapshots.restoring import free_bytes
from reconciler.ports.progress import Tell
from reconciler.state import files, inode_flags, records, removal

_PLENTY, _SPARE = 4, 0.1
"""Room that makes no difference, as multiples of a snapshot; and what is left to an app whose data is copied."""


class Maker:
    """`effect`, `check`, `tell`: as of `FolderSnapshots`."""

    def __init__(self, places: Places, effect: Callable[[str], None], check: Callable[[], None], tell: Tell) -> None:
        self._places, self._effect, self._check, self._tell = places, effect, check, tell
        self._used: dict[Path, int] = {}
        self._early: dict[AppName, Early] = {}

    def note_used(self, used: Mapping[Path, int]) -> None:
        """Bytes that volumes hold, as they were measured."""
        self._used |= used

    def create(
        self, manifest: SnapshotManifest, volumes: Sequence[VolumeObs], before_exchange: Callable[[], None]
    ) -> SnapshotManifest:
        """See `ports.node.Snapshots.create`; `manifest.volumes` is filled in here."""
        app = AppName(manifest.app)
        early = self._early.pop(app, None)
        if early is not None:
            try:
                if early.is_of(volumes):
                    return self._create(manifest, volumes, before_exchange, early)
            except Interrupted:
                raise
            except Exception:  # noqa: BLE001 - whatever is wrong with a copy is no reason not to make a new one
                self._effect("snapshot:copy-given-up")
            removal.try_to_remove(early.partial)
        return self._create(manifest, volumes, before_exchange, Early(partial=self._begin(app), copies={}))

    def _begin(self, app: AppName) -> Path:
        """An empty folder where a snapshot can be made."""
        files.make_folder(self._places.folder(app).parent)
        partial = self._places.clear(app, PARTIAL)
        try:
            files.make_folder(partial)
            files.make_folder(partial / "volumes")
        except OSError as exc:
            removal.try_to_remove(partial)
            raise ActError(f"snapshot failed: {self._describe(exc, ())}", host_fault=True) from exc
        return partial

    def _create(
        self,
        manifest: SnapshotManifest,
        volumes: Sequence[VolumeObs],
        before_exchange: Callable[[], None],
        early: Early,
    ) -> SnapshotManifest:
        final, partial = self._places.folder(AppName(manifest.app)), early.partial
        try:
            several = len(volumes) > 1
            written = tuple(
                self._archive(
                    each,
                    partial,
                    self._meters(manifest.app, several and each.name),
                    early.copies.get(each.name),
                )
                for each in volumes
            )
            complete = manifest.model_copy(update={"volumes": written})
            files.write_atomic(partial / "manifest.json", records.dump(complete))
            # Both folders before the exchange: a snapshot that is in place must be whole after a power cut,
            # too.
            files.sync_folder(partial / "volumes")
            files.sync_folder(partial)
            self._effect("snapshot:written")
            # The last moment at which the old snapshot is still there for what refers to it.
            before_exchange()
            self._exchange(partial, final)
            # The new one stands, and what is left of the old goes. In an upgrade, which has an app down meanwhile, at
            # its end: gigabytes do not go in no time. Not where the release that is tried may want their room.
            if not early.copies or free_bytes(final) < _PLENTY * sum(each.archive_bytes for each in written):
                removal.try_to_remove(partial)
        except (OSError, ValueError, ActError, Interrupted) as exc:
            removal.try_to_remove(partial)
            if isinstance(exc, ActError | Interrupted):
                raise
            raise ActError(f"snapshot failed: {self._describe(exc, volumes)}", host_fault=True) from exc
        return complete

    def copy_ahead(
        self, app: AppName, volumes: Sequence[VolumeObs], *, least: int, rate: int, check: Callable[[], None]
    ) -> str:
        """See `ports.node.Snapshots.copy_ahead`."""
        self.drop_ahead(app)
        known = [volume for volume in volumes if volume.restorable]
        size = sum(self._used.get(Path(volume.path), 0) for volume in known)
        if size < least or not known:
            return "too little data"
        several = len(volumes) > 1

        def check_all() -> None:
            check()
            # The app runs, and may want the last byte itself.
            if free_bytes(self._places.root) < _SPARE * size:
                raise ActError("the disk is getting full")

        try:
            partial = self._begin(app)
            try:
                copies = copy_all(
                    known,
                    lambda volume: partial / "volumes" / f"{volume.name}.tar",
                    lambda volume: self._meters(app, several and volume.name),
                    self._used,
                    check=check_all,
                    rate=rate,
                )
                self._effect("snapshot:copied-ahead")
            except BaseException:
                removal.try_to_remove(partial)
                raise
        except Interrupted:
            raise
        except Exception as exc:  # noqa: BLE001 - the snapshot is taken without it
            return str(exc)
        self._early[app] = Early(partial=partial, copies=copies)
        return ""

    def drop_ahead(self, app: AppName) -> None:
        """See `ports.node.Snapshots.drop_ahead`."""
        early = self._early.pop(app, None)
        if early is not None:
            removal.try_to_remove(early.partial)

    def _describe(self, exc: OSError | ValueError, volumes: Sequence[VolumeObs]) -> str:
        """What went wrong; of a full disk also how much is wanted there."""
        if not isinstance(exc, OSError):
            return str(exc)
        if exc.errno not in files.FULL:
            # Writing to an open file names none; where the snapshot is made is what an operator can look at.
            return f"{exc.filename or self._places.root}: {exc.strerror or exc}"
        need = sum(tree.used_bytes(Path(volume.path)) for volume in volumes if volume.path)
        return f"{exc.strerror}: {room.describe(need, free_bytes(self._places.root), str(self._places.root))}"

    def _exchange(self, partial: Path, final: Path) -> None:
        if final.exists():
            inode_flags.release_path(final)  # a protected folder cannot be renamed
            files.exchange(partial, final)
            self._effect("snapshot:exchanged")
        else:
            partial.rename(final)
            files.sync_folder(final.parent)

    def _meters(self, app: str, volume: str | Literal[False]) -> Meters:
        return Meters(tell=self._tell, app=app, task="snapshot", volume=volume or "")

    def _archive(self, volume: VolumeObs, partial: Path, meters: Meters, copy: Copy | None) -> ArchivedVolume:
        if not volume.restorable:
            raise ActError(f"volume {volume.name} (driver {volume.driver}) cannot be snapshotted from here")
        tar = partial / "volumes" / f"{volume.name}.tar"
        index = partial / "volumes" / f"{volume.name}.entries.jsonl"
        if copy is not None:
            with meters.open("copying what changed", None) as meter:
                found = catch_up.catch_up(copy, index, self._check, meter.reach)
            return _describe_volume(volume, tar, index, found.written, found.sealed)
        # What was measured before the app was stopped: another walk would only lengthen the time that it is down.
        with meters.open("copying", self._used.pop(Path(volume.path), None)) as meter:
            wrote = archive.write(Path(volume.path), tar, index, self._check, meter.reach)
        with meters.open("reading back", wrote.archive_bytes) as meter:
            sealed, wrong = seals.read_back(tar, index, meter.reach)
        if wrong:
            raise ActError(f"snapshot of {volume.name} does not read back: {wrong[0]}", host_fault=True)
        return _describe_volume(volume, tar, index, wrote, sealed)


def _describe_volume(
    volume: VolumeObs, tar: Path, index: Path, wrote: archive.Written, sealed: tuple[str, str]
) -> ArchivedVolume:
    return ArchivedVolume(
        volume=volume.name,
        driver=volume.driver,
        archive=f"volumes/{tar.name}",
        archive_bytes=wrote.archive_bytes,
        sha256=sealed[0],
        index=f"volumes/{index.name}",
        index_sha256=sealed[1],
        entries=wrote.entries,
        data_bytes=wrote.data_bytes,
        empty=wrote.entries == 1,
        slack_bytes=wrote.slack_bytes,
        sockets=tuple(tree.printable(path) for path in wrote.sockets),
    )
