"""One snapshot per app: made, verified, exchanged, restored. Effects: `<state>/<app>/snapshot`, volume folders.

Order is what keeps data safe: nothing old goes before the new is complete, read back and durable.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from typing_extensions import override

from reconciler.model.errors import ActError, StateError
from reconciler.model.ids import AppName, is_name
from reconciler.model.observed import VolumeObs
from reconciler.model.snapshot import ArchivedVolume, SnapshotManifest
from reconciler.node.snapshots import archive, exchange, tree, unchanged, unpack
from reconciler.ports.effects import no_effect
from reconciler.ports.node import Room, Snapshots
from reconciler.state import files, records

_DRILL, _DRILL_ROOM = ".drill", 1.1


class FolderSnapshots(Snapshots):
    """Snapshots on folders that this process can reach."""

    def __init__(self, root: Path, effect: Callable[[str], None] = no_effect) -> None:
        self.root = root
        self._effect = effect

    def folder(self, app: AppName) -> Path:
        """Where the app's snapshot lies."""
        if not is_name(app):
            raise StateError(app, "is not an app name")
        return self.root / app / "snapshot"

    @override
    def observe(self, app: AppName) -> SnapshotManifest | None:
        found = records.read(self.folder(app) / "manifest.json", SnapshotManifest)
        if found is not None and found.app != app:
            raise StateError(str(self.folder(app)), f"belongs to app {found.app!r}")
        return found

    @override
    def create(
        self, manifest: SnapshotManifest, volumes: Sequence[VolumeObs], *, before_exchange: Callable[[], None]
    ) -> SnapshotManifest:
        """`manifest.volumes` is filled in here."""
        final = self.folder(AppName(manifest.app))
        partial = final.with_name(".snapshot.partial")
        files.make_folder(final.parent)
        files.remove_tree(partial)
        try:
            files.make_folder(partial)
            files.make_folder(partial / "volumes")
            written = tuple(self._archive(volume, partial) for volume in volumes)
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
        except (OSError, ValueError, ActError) as exc:
            files.remove_tree(partial)
            if isinstance(exc, ActError):
                raise
            raise ActError(f"snapshot failed: {getattr(exc, 'strerror', None) or exc}", host_fault=True) from exc
        return complete

    def _exchange(self, partial: Path, final: Path) -> None:
        if final.exists():
            # In one step: there is never a moment without a snapshot (I1).
            files.exchange(partial, final)
            self._effect("snapshot:exchanged")
            with contextlib.suppress(OSError):  # the new one stands; what is left of the old goes before the next
                files.remove_tree(partial)
        else:
            partial.rename(final)
            files.sync_folder(final.parent)

    def _archive(self, volume: VolumeObs, partial: Path) -> ArchivedVolume:
        if not volume.restorable:
            raise ActError(f"volume {volume.name} (driver {volume.driver}) cannot be snapshotted from here")
        tar = partial / "volumes" / f"{volume.name}.tar"
        index = partial / "volumes" / f"{volume.name}.entries.jsonl"
        wrote = archive.write(Path(volume.path), tar, index)
        # Read back from disk now, while the data is still there to archive anew; at a rollback it would be
        # too late.
        seals, wrong = _read_back(tar, index)
        if wrong:
            raise ActError(f"snapshot of {volume.name} does not read back: {wrong[0]}", host_fault=True)
        return ArchivedVolume(
            volume=volume.name,
            driver=volume.driver,
            archive=f"volumes/{tar.name}",
            archive_bytes=wrote.archive_bytes,
            sha256=seals[0],
            index=f"volumes/{index.name}",
            index_sha256=seals[1],
            entries=wrote.entries,
            data_bytes=wrote.data_bytes,
            empty=wrote.entries == 1,
            sockets=tuple(tree.printable(path) for path in wrote.sockets),
        )

    @override
    def verify(self, app: AppName) -> tuple[str, ...]:
        manifest = self.observe(app)
        if manifest is None:
            return ("there is no snapshot",)
        problems: list[str] = []
        for volume in manifest.volumes:
            tar, index = self._parts(app, volume)
            try:
                seals, wrong = _read_back(tar, index)
            except (OSError, StateError) as exc:
                problems.append(f"{volume.volume}: {exc}")
                continue
            problems += wrong
            if seals != (volume.sha256, volume.index_sha256):
                problems.append(f"{volume.volume}: archive or entries do not match their sha256 in the manifest")
        return tuple(problems)

    @override
    def drill(self, app: AppName) -> tuple[str, ...]:
        """One volume after the other, so that there need only be room for the largest."""
        manifest = self.observe(app)
        if manifest is None:
            return ("there is no snapshot",)
        scratch = self.root / app / _DRILL
        problems: list[str] = []
        for volume in manifest.volumes:
            files.remove_tree(scratch)
            try:
                # A drill must not fill the disk that the apps live on.
                if _free(self.root) < volume.data_bytes * _DRILL_ROOM:
                    raise ActError(f"no room to try: {volume.data_bytes >> 20} MiB of data", host_fault=True)
                files.make_folder(scratch)
                tar, index = self._parts(app, volume)
                unpack.unpack(tar, archive.read_index(index, volume.index_sha256), scratch)
                problems += list(unpack.compare(scratch, archive.read_index(index, volume.index_sha256)))[:5]
            except (OSError, StateError, ActError) as exc:
                problems.append(f"{volume.volume}: {exc}")
            finally:
                files.remove_tree(scratch)
        return tuple(problems)

    def _parts(self, app: AppName, volume: ArchivedVolume) -> tuple[Path, Path]:
        folder = self.folder(app)
        for name in (volume.archive, volume.index):
            # The manifest is a file: a name in it must not lead to another one.
            parent, _ = unpack.check_path(name)
            if parent != "volumes":
                raise StateError(str(folder / "manifest.json"), f"names a file outside its folder: {name}")
        return folder / volume.archive, folder / volume.index

    @override
    def restore(self, app: AppName, volumes: Sequence[VolumeObs], op_id: str) -> None:
        """Every volume of the snapshot must be among `volumes`."""
        manifest = self.observe(app)
        if manifest is None:
            raise ActError("there is no snapshot to restore", permanent=True)
        by_name = {volume.name: volume for volume in volumes}
        # Asked for all before the first is touched: data that comes back in part belongs to no version.
        missing = [v.volume for v in manifest.volumes if v.volume not in by_name or not by_name[v.volume].restorable]
        if missing:
            raise ActError(f"volumes cannot be restored from here: {', '.join(missing)}", permanent=True)
        for archived in manifest.volumes:
            tar, index = self._parts(app, archived)

            data = Path(by_name[archived.volume].path)
            kept = _kept(data, manifest.id, archived, index)

            def build(
                staged: Path,
                tar: Path = tar,
                index: Path = index,
                seal: str = archived.index_sha256,
                kept: unpack.Kept | None = kept,
            ) -> None:
                unpack.unpack(tar, archive.read_index(index, seal), staged, kept)
                paths = kept.paths if kept else frozenset[str]()
                # Compared entry by entry while the old data still stands; only what is equal is exchanged.
                wrong = next(unpack.compare(staged, archive.read_index(index, seal), paths), None)
                if wrong is not None:
                    raise StateError(str(tar), f"what was unpacked is not what the manifest says: {wrong}")

            # The stamp goes before the data: a crash in between costs a full restore, the other order would
            # trust old stamps.
            unchanged.forget(data)
            exchange.replace(data, op_id, build, self._effect)

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
            entries = archive.read_index(self._parts(app, archived)[1], archived.index_sha256)
            if not unchanged.is_untouched(data, entries, stamped):
                return False
        return True

    @override
    def set_aside(self, volumes: Sequence[VolumeObs], op_id: str) -> None:
        for volume in volumes:
            path = Path(volume.path)
            found = path.stat()

            def build(staged: Path, found: os.stat_result = found) -> None:
                os.chown(staged, found.st_uid, found.st_gid)
                staged.chmod(found.st_mode & 0o7777)

            exchange.replace(path, op_id, build, self._effect)

    @override
    def forget_aside(self, volumes: Sequence[VolumeObs]) -> None:
        for volume in volumes:
            for old in exchange.leftovers(volume):
                files.remove_tree(old)

    @override
    def room(self, app: AppName, volumes: Sequence[VolumeObs]) -> Room:
        paths = [Path(volume.path) for volume in volumes if volume.path]
        home = self.root / app if (self.root / app).exists() else self.root
        try:
            # An exchange needs both trees on one file system, and this must be known before the app is
            # stopped.
            apart = [str(path) for path in paths if path.stat().st_dev != path.parent.stat().st_dev]
            if apart:
                raise ActError(f"{apart[0]} is a mount point of its own, so it cannot be exchanged", permanent=True)
            fixed = [str(path.parent) for path in paths if os.statvfs(path.parent).f_flag & os.ST_RDONLY]
            if fixed:
                # Found out now and not when the data must come back.
                text = f"{fixed[0]} is read-only here, so no data could come back (a sandbox? see ReadWritePaths=)"
                raise ActError(text, permanent=True)
            used = sum(tree.used_bytes(path) for path in paths)
            free = {path: _free(path) for path in (home, *paths)}
            same = all(path.stat().st_dev == home.stat().st_dev for path in paths)
        except OSError as exc:
            raise ActError(f"room cannot be measured: {exc}", host_fault=True) from exc
        return Room(
            used=used,
            free_snapshots=free[home],
            free_volumes=min((free[path] for path in paths), default=free[home]),
            same_filesystem=same,
        )


def _kept(data: Path, snapshot: str, archived: ArchivedVolume, index: Path) -> unpack.Kept | None:
    """What a restore need not copy, where the volume is known to have equalled this snapshot once."""
    stamp = unchanged.since(data, snapshot)
    if stamp is None:
        return None
    try:
        paths = unchanged.unchanged(data, archive.read_index(index, archived.index_sha256), stamp)
    except (OSError, ActError):
        return None  # whatever an app left in there, it is replaced whole
    return unpack.Kept(live=data, paths=paths)


def _free(path: Path) -> int:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def _read_back(tar: Path, index: Path) -> tuple[tuple[str, str], list[str]]:
    """((archive sha256, index sha256), problems); the archive's digest is taken in a second thread."""
    result: list[str] = []
    thread = threading.Thread(target=lambda: result.append(archive.file_digest(tar)))
    thread.start()
    try:
        wrong = _first(archive.check_bodies(tar, index, None))
    finally:
        thread.join()
    if not result:
        raise OSError(f"{tar} cannot be read back")
    return (result[0], archive.file_digest(index)), wrong


def _first(problems: Iterable[str], limit: int = 10) -> list[str]:
    found = []
    for problem in problems:
        found.append(problem)
        if len(found) == limit:
            break
    return found
