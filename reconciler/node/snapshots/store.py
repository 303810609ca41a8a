"""One snapshot per app: made, verified, tried, restored. Effects: `<state>/<app>/snapshot`, volume folders."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from typing_extensions import override

from reconciler.core.change import room
from reconciler.model.errors import ActError, StateError
from reconciler.model.ids import AppName
from reconciler.model.observed import VolumeObs
from reconciler.model.snapshot import ArchivedVolume, SnapshotManifest
from reconciler.node.snapshots import exchange, measure, seals, unchanged, unpack
from reconciler.node.snapshots.making import Maker
from reconciler.node.snapshots.meters import Meters
from reconciler.node.snapshots.places import DRILL, PARTIAL, Places
from reconciler.node.snapshots.restoring import Restoration, Source, free_bytes
from reconciler.ports.effects import no_effect
from reconciler.ports.node import Leftover, Room, Snapshots
from reconciler.ports.progress import Tell, silent
from reconciler.state import files, records, removal

_DRILL_ROOM = 1.1


class FolderSnapshots(Snapshots):
    """Snapshots on folders that this process can reach. `check` may raise to give up one that is being taken.

    `tell`: how far what takes long has come.
    """

    def __init__(
        self,
        root: Path,
        effect: Callable[[str], None] = no_effect,
        check: Callable[[], None] = lambda: None,
        tell: Tell = silent,
    ) -> None:
        self.root = root
        self._effect = effect
        self._tell = tell
        self._places = Places(root=root)
        self._maker = Maker(self._places, effect, check, tell)
        self._manifests: dict[AppName, tuple[tuple[int, int, int, int] | None, SnapshotManifest | None]] = {}

    def folder(self, app: AppName) -> Path:
        """Where the app's snapshot lies."""
        return self._places.folder(app)

    @override
    def observe(self, app: AppName) -> SnapshotManifest | None:
        path = self.folder(app) / "manifest.json"
        # Each pass asks for every app. A snapshot is a new folder each time, so that its inode and time move.
        stamp = _stamp(path)
        seen, found = self._manifests.get(app, (None, None))
        if stamp is None or stamp != seen:
            found = records.read(path, SnapshotManifest)
            if found is not None and found.app != app:
                raise StateError(str(self.folder(app)), f"belongs to app {found.app!r}")
            self._manifests[app] = (stamp, found)
        return found

    @override
    def create(
        self, manifest: SnapshotManifest, volumes: Sequence[VolumeObs], *, before_exchange: Callable[[], None]
    ) -> SnapshotManifest:
        return self._maker.create(manifest, volumes, before_exchange)

    @override
    def copy_ahead(
        self, app: AppName, volumes: Sequence[VolumeObs], *, least: int, rate: int, check: Callable[[], None]
    ) -> str:
        return self._maker.copy_ahead(app, volumes, least=least, rate=rate, check=check)

    @override
    def drop_ahead(self, app: AppName) -> None:
        self._maker.drop_ahead(app)

    @override
    def verify(self, app: AppName) -> tuple[str, ...]:
        manifest = self.observe(app)
        if manifest is None:
            return ("there is no snapshot",)
        problems: list[str] = []
        for volume in manifest.volumes:
            source = self._source(manifest, volume, "verify")
            try:
                with source.meters.open("", volume.archive_bytes) as meter:
                    sealed, wrong = seals.read_back(source.tar, source.index, meter.reach, volume.sha256)
            except (OSError, StateError) as exc:
                problems.append(f"{volume.volume}: {exc}")
                continue
            problems += wrong
            if sealed != (volume.sha256, volume.index_sha256):
                problems.append(f"{volume.volume}: archive or entries do not match their sha256 in the manifest")
        return tuple(problems)

    @override
    def drill(self, app: AppName) -> tuple[str, ...]:
        """One volume after the other, so that there need only be room for the largest."""
        manifest = self.observe(app)
        if manifest is None:
            return ("there is no snapshot",)
        problems: list[str] = []
        for volume in manifest.volumes:
            scratch = self._places.clear(app, DRILL)
            need = int(room.estimate_need([volume]).likely * _DRILL_ROOM)
            try:
                if (free := free_bytes(self.root)) < need:
                    raise ActError(f"no room to try: {room.describe(need, free, str(self.root))}", host_fault=True)
                files.make_folder(scratch)
                problems += self._source(manifest, volume, "drill").try_in(scratch)
            except (OSError, StateError, ActError) as exc:
                problems.append(f"{volume.volume}: {exc}")
            finally:
                removal.try_to_remove(scratch)
        return tuple(problems)

    def _source(self, manifest: SnapshotManifest, volume: ArchivedVolume, task: str) -> Source:
        tar, index = self._parts(AppName(manifest.app), volume)
        named = volume.volume if len(manifest.volumes) > 1 else ""
        meters = Meters(tell=self._tell, app=manifest.app, task=task, volume=named)
        return Source(snapshot=manifest.id, archived=volume, tar=tar, index=index, meters=meters)

    def _parts(self, app: AppName, volume: ArchivedVolume) -> tuple[Path, Path]:
        folder = self.folder(app)
        for name in (volume.archive, volume.index):
            # The manifest is a file: a name in it must not lead to another one.
            parent, _ = unpack.check_path(name)
            if parent != "volumes":
                raise StateError(str(folder / "manifest.json"), f"names a file outside its folder: {name}")
        return folder / volume.archive, folder / volume.index

    @override
    def restore(
        self,
        app: AppName,
        volumes: Sequence[VolumeObs],
        op_id: str,
        *,
        give_up: Callable[[str], None] | None = None,
    ) -> tuple[str, ...]:
        """Every volume of the snapshot must be among `volumes`."""
        manifest = self.observe(app)
        if manifest is None:
            raise ActError("there is no snapshot to restore", permanent=True)
        by_name = {volume.name: volume for volume in volumes}
        # Asked for all before the first is touched: data that comes back in part belongs to no version.
        missing = [v.volume for v in manifest.volumes if v.volume not in by_name or not by_name[v.volume].restorable]
        if missing:
            raise ActError(f"volumes cannot be restored from here: {', '.join(missing)}", permanent=True)
        self._places.clear(app, PARTIAL)  # the snapshot before this one may still take the room that is needed now
        restoration = Restoration(
            op_id=op_id,
            effect=self._effect,
            verify=lambda: self._require_whole(app),
            give_up=give_up,
            snapshot=f"{manifest.version} (snapshot {manifest.id})",
        )
        archived = {volume.volume for volume in manifest.volumes}
        for name in sorted(set(by_name) - archived):
            restoration.add_emptied(Path(by_name[name].path))
        for one in manifest.volumes:
            restoration.add(Path(by_name[one.volume].path), self._source(manifest, one, "restore"))
        return restoration.run()

    def _require_whole(self, app: AppName) -> None:
        problems = self.verify(app)
        if problems:
            text = f"no room to restore, and nothing is given up for a snapshot that is not whole: {problems[0]}"
            raise ActError(text, host_fault=True)

    @override
    def remember(self, app: AppName, volumes: Sequence[VolumeObs]) -> None:
        manifest = self.observe(app)
        if manifest is not None:
            for volume in volumes:
                unchanged.remember(Path(volume.path), manifest.id)

    @override
    def is_untouched(self, app: AppName, volumes: Sequence[VolumeObs]) -> bool:
        manifest = self.observe(app)
        if manifest is None:
            return False
        by_name = {volume.name: Path(volume.path) for volume in volumes if volume.path}
        for archived in manifest.volumes:
            data = by_name.get(archived.volume)
            stamped = unchanged.since(data, manifest.id) if data is not None else None
            if data is None or stamped is None:
                return False
            entries = seals.read_index(self._parts(app, archived)[1], archived.index_sha256)
            if not unchanged.is_untouched(data, entries, stamped):
                return False
        return True

    @override
    def forget_aside(self, app: AppName, volumes: Sequence[VolumeObs]) -> tuple[Leftover, ...]:
        beside = [left for volume in volumes for left in exchange.forget(Path(volume.path))]
        return (*beside, *self._forget_tries(app))

    @override
    def retry_removals(self, app: AppName, volumes: Sequence[VolumeObs]) -> tuple[Leftover, ...]:
        beside = [left for volume in volumes for left in exchange.retry_removals(Path(volume.path))]
        return (*beside, *self._forget_tries(app))

    def _forget_tries(self, app: AppName) -> list[Leftover]:
        """What snapshots and drills left; no process makes one meanwhile, as the caller has the app's lock."""
        tried = [
            (path, removal.try_to_remove(path)) for name in (PARTIAL, DRILL) for path in self._places.tries(app, name)
        ]
        return [Leftover(path=str(path), why=why) for path, why in tried if why is not None]

    @override
    def standing(self, paths: Sequence[str]) -> tuple[str, ...]:
        return tuple(path for path in paths if os.path.lexists(path))

    @override
    def room(self, app: AppName, volumes: Sequence[VolumeObs]) -> Room:
        home = self.root / app if (self.root / app).exists() else self.root
        # What earlier tries left goes before room is needed; whoever asks may not have the lock to remove it.
        left = [path for name in (PARTIAL, DRILL) for path in self._places.tries(app, name)]
        found, used = measure.measure(home, [Path(each.path) for each in volumes if each.path], left)
        self._maker.note_used(used)
        return found


def _stamp(path: Path) -> tuple[int, int, int, int] | None:
    """None: it cannot be asked, so that reading it says why."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size
