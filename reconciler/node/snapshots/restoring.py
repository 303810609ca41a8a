"""Several volumes made what a snapshot says, also where the old data leaves no room for it. Effects: volume folders.

What a failed release wrote is kept aside if there is room for both. If not, the snapshot is read back once more,
people are told what goes and why, and only then it goes, a piece at a time, until the data of the snapshot fits. A
program that dies in the middle has its operation on record and begins again: what stands then is done, or to be done.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.core.change import room
from reconciler.model.errors import ActError, StateError
from reconciler.model.snapshot import ArchivedVolume
from reconciler.node.snapshots import exchange, seals, tree, unchanged, unpack
from reconciler.node.snapshots.meters import Meters
from reconciler.state import inode_flags, removal


@dataclass(frozen=True, kw_only=True)
class Source:
    """One volume in the snapshot of that name, and the files that hold it."""

    snapshot: str
    archived: ArchivedVolume
    tar: Path
    index: Path
    meters: Meters

    def build(self, staged: Path, data: Path) -> unpack.Unpacked:
        """Make the snapshot's data in an empty folder; what `data` still has of it may get a second name there.

        Raises:
            StateError, ActError, OSError: it could not be made, or is not what the manifest says.
        """
        # Asked at each try: what of the old data was given up meanwhile cannot be kept.
        kept, seal = self._find_kept(data), self.archived.index_sha256
        size = self.archived.archive_bytes
        with self.meters.open("unpacking", size) as meter:
            made = unpack.unpack(self.tar, seals.read_index(self.index, seal), staged, kept, meter.reach)
        paths = kept.paths if kept else frozenset[str]()
        with self.meters.open("comparing", size) as meter:
            wrong = next(unpack.compare(staged, seals.read_index(self.index, seal), paths, meter.reach), None)
        if wrong is not None:
            raise StateError(str(self.tar), f"what was unpacked is not what the manifest says: {wrong}")
        return made

    def try_in(self, scratch: Path) -> list[str]:
        """Make the data in an empty folder for practice; gives up to five things that are wrong with it.

        Raises:
            StateError, OSError: it could not be made.
        """
        seal, size = self.archived.index_sha256, self.archived.archive_bytes
        with self.meters.open("unpacking", size) as meter:
            unpack.unpack(self.tar, seals.read_index(self.index, seal), scratch, reach=meter.reach)
        with self.meters.open("comparing", size) as meter:
            return list(unpack.compare(scratch, seals.read_index(self.index, seal), reach=meter.reach))[:5]

    def _find_kept(self, data: Path) -> unpack.Kept | None:
        """What need not be copied, where the volume is known to have equalled this snapshot once."""
        stamp = unchanged.since(data, self.snapshot)
        if stamp is None:
            return None
        try:
            entries = seals.read_index(self.index, self.archived.index_sha256)
            return unpack.Kept(live=data, paths=unchanged.unchanged(data, entries, stamp))
        except (OSError, ActError):
            return None  # whatever an app left in there, it is replaced whole


@dataclass(frozen=True, kw_only=True)
class _Work:
    """One volume. `archived` False: it is emptied, as the snapshot does not have it."""

    data: Path
    build: exchange.Build
    need: room.Need
    archived: bool = True


@dataclass(frozen=True, kw_only=True)
class Restoration:
    """One operation on all volumes of an app. `verify`: reads the snapshot back, ActError if it is not whole.

    `give_up` None: what is replaced must be kept. `snapshot`: its name, for people.
    """

    op_id: str
    effect: Callable[[str], None]
    verify: Callable[[], None]
    give_up: Callable[[str], None] | None
    snapshot: str
    _works: list[_Work] = field(default_factory=list)
    _remarks: list[str] = field(default_factory=list)

    def add(self, data: Path, source: Source) -> None:
        """A volume that the snapshot has."""

        def build(staged: Path) -> int:
            made = source.build(staged, data)
            self._remarks.extend(made.remarks)
            unchanged.forget(data)
            return made.root_flags

        self._works.append(_Work(data=data, build=build, need=room.estimate_need([source.archived])))

    def add_emptied(self, data: Path) -> None:
        """A volume of which nothing stays but its folder."""

        def build(staged: Path) -> int:
            found = data.stat()
            os.chown(staged, found.st_uid, found.st_gid)
            staged.chmod(found.st_mode & 0o7777)
            return 0

        self._works.append(_Work(data=data, build=build, need=room.estimate_need([]), archived=False))

    def run(self) -> tuple[str, ...]:
        """Do what is not done yet; gives what could not be put back, in words.

        Raises:
            ActError: no room, or another file system error.
        """
        for work in self._works:
            try:
                self._replace(work)
            except exchange.NoRoomError:
                self._replace_in_place(work)
        return tuple(dict.fromkeys(self._remarks))

    def _replace(self, work: _Work) -> None:
        unset = exchange.replace(work.data, self.op_id, work.build, self.effect)
        if unset:
            self._remarks.append(f"{work.data}: flags cannot be put back here: {unset}")

    def _replace_in_place(self, work: _Work) -> None:
        """The same with less and less of the old data, the least needed first."""
        pieces = [path for path in self._list_pieces(work) if _is_beside(path, work.data)]
        held = sum(_measure(path) for path in pieces)
        free = free_bytes(work.data)
        figures = room.describe(work.need.likely, free, str(work.data))
        if self.give_up is None or not room.would_help(work.need, free, held):
            cure = f"free room there and try again; the data of {self.snapshot} is whole in its snapshot"
            raise ActError(f"{work.data}: {room.NO_ROOM}: {figures}; {cure}", host_fault=True)
        self.verify()
        try:
            self.give_up(
                f"{work.data}: no room to keep what was written since {self.snapshot}: {figures}; that snapshot was"
                f" read back and is whole, so up to {room.as_mib(held)} MiB of newer data were given up for it"
            )
        except OSError as exc:
            raise ActError(f"{work.data}: nothing was given up, as that cannot be put on record: {exc}") from exc
        for piece in pieces:
            self.effect("restore:gives-up")
            _give_up(piece)
            self.effect("restore:given-up")
            try:
                self._replace(work)
            except exchange.NoRoomError:
                continue
            return
        figures = room.describe(work.need.likely, free_bytes(work.data), str(work.data))
        raise ActError(f"{work.data}: {room.NO_ROOM}: {figures}; free room there and try again", host_fault=True)

    def _list_pieces(self, work: _Work) -> list[Path]:
        """What may go, in order: what is aside already, what the snapshot does not have, the volume's own data."""
        aside = [path for each in self._works for path in exchange.asides(each.data, self.op_id)]
        extra = [each.data for each in self._works if not each.archived and not exchange.is_done(each.data, self.op_id)]
        own = [] if work.data in extra else [work.data]
        return [*aside, *extra, *own]


def free_bytes(path: Path) -> int:
    """Bytes that are free for us where a path lies."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def _is_beside(path: Path, data: Path) -> bool:
    return path.exists() and path.stat().st_dev == data.stat().st_dev


def _measure(path: Path) -> int:
    try:
        return tree.used_bytes(path)
    except OSError:
        return 0


def _give_up(path: Path) -> None:
    """Empty a folder that itself stays: it is a volume's, or counts as one that was set aside."""
    inode_flags.release_path(path)
    path.chmod(path.stat().st_mode & 0o7777 | 0o700)
    for name in os.listdir(path):  # noqa: PTH208 - names that are no text stay names
        removal.try_to_remove(path / name)
