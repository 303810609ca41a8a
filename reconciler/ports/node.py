"""What must run where a volume lies, as Protocols. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from reconciler.model.data_stamp import DataStamp
from reconciler.model.ids import AppName, StackName
from reconciler.model.observed import VolumeObs
from reconciler.model.snapshot import SnapshotManifest


@dataclass(frozen=True, kw_only=True)
class Room:
    """Bytes. `short` names each file system that has too little room for a snapshot and a way back."""

    used: int
    free_snapshots: int
    free_volumes: int
    same_filesystem: bool


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """Something of ours that cannot be removed; it stops nothing but takes room. `why`: names what keeps it."""

    path: str
    why: str


class Snapshots(Protocol):
    """Volume data, archived and put back. One snapshot per app."""

    def observe(self, app: AppName) -> SnapshotManifest | None:
        """The snapshot's manifest; None if there is none. Raises StateError if it is unreadable."""

    def create(
        self, manifest: SnapshotManifest, volumes: Sequence[VolumeObs], *, before_exchange: Callable[[], None]
    ) -> SnapshotManifest:
        """Archive, read back, then exchange it for the old one atomically; on failure the old one stays.

        `before_exchange` is called when the new one is whole and the old one is about to go.
        """

    def copy_ahead(
        self, app: AppName, volumes: Sequence[VolumeObs], *, least: int, rate: int, check: Callable[[], None]
    ) -> str:
        """Copy volumes while their app runs, so that `create` has only to copy what changed; touches nothing of theirs.

        `least`: bytes of data from which on it is done; `rate`: bytes a second at most, 0 = any; `check` may raise to
        give it up. Gives why it was not done, '' if it was: then the next `create` takes what is there, or `drop_ahead`
        forgets it.
        """

    def drop_ahead(self, app: AppName) -> None:
        """Remove what was copied ahead and no snapshot was made of."""

    def verify(self, app: AppName) -> tuple[str, ...]:
        """Read everything back; the problems found, none = good."""

    def drill(self, app: AppName) -> tuple[str, ...]:
        """Restore it into a scratch folder, compare, and throw that away; the problems found, none = it restores."""

    def restore(
        self,
        app: AppName,
        volumes: Sequence[VolumeObs],
        op_id: str,
        *,
        give_up: Callable[[str], None] | None = None,
    ) -> tuple[str, ...]:
        """Stage beside, verify, exchange atomically; the data replaced is kept aside. Idempotent per `op_id`.

        Volumes that the snapshot does not have are emptied. Gives what could not be put back, in words.

        `give_up`: where there is no room to keep the data that is replaced, it goes, once the snapshot was read back
        and this was told so; what it says must be durable when it returns. The caller has it on record that the restore
        is not finished. None: then nothing goes, and ActError says how much room is needed.
        """

    def forget_aside(self, app: AppName, volumes: Sequence[VolumeObs]) -> tuple[Leftover, ...]:
        """Delete data kept aside, and what earlier tries left; gives what cannot be removed."""

    def retry_removals(self, app: AppName, volumes: Sequence[VolumeObs]) -> tuple[Leftover, ...]:
        """The same, but data kept aside stays."""

    def standing(self, paths: Sequence[str]) -> tuple[str, ...]:
        """Those of these leftovers that are still there."""

    def remember(self, app: AppName, volumes: Sequence[VolumeObs]) -> None:
        """The volumes equal the snapshot now, and no container writes to them: what changes from now on can be told."""

    def is_untouched(self, app: AppName, volumes: Sequence[VolumeObs]) -> bool:
        """Say whether nothing in the volumes changed since `remember`; False also when that is not known."""

    def room(self, app: AppName, volumes: Sequence[VolumeObs]) -> Room:
        """How much the volumes hold and how much is free where it matters."""


class Stamps(Protocol):
    """Which release last wrote each volume, kept beside the volume."""

    def read(self, volumes: Sequence[VolumeObs]) -> Mapping[str, DataStamp]:
        """The stamps that are there, by volume. StateError: one cannot be read."""

    def write(self, volumes: Sequence[VolumeObs], stamps: Mapping[str, DataStamp]) -> tuple[str, ...]:
        """Put each volume's stamp beside it; durable when it returns.

        What could not be stamped, in words: it has no stamp then, and the records alone know. Recovery must not need
        the room for it.
        """


@dataclass(frozen=True, kw_only=True)
class Holder:
    """One container that refers to the stack's volumes. `owned`: its service still exists and wants it."""

    id: str
    state: str
    owned: bool
    of_stack: bool
    name: str


class BackupFiles(Protocol):
    """Single paths of a running app's volumes; no link in a volume is ever followed."""

    def take(self, volume: Path, paths: Sequence[str], to: Path) -> int:
        """Copy paths out; gives the bytes. ActError if one is not there or is no plain file or folder."""

    def give(self, volume: Path, paths: Sequence[str], source: Path) -> None:
        """Put them back, replacing what is there. ActError if that cannot be done."""


@dataclass(frozen=True, kw_only=True)
class Executed:
    """How a command in a container ended. `output`: both streams, cut at 64 KiB."""

    code: int
    output: str


class Containers(Protocol):
    """The containers of one node."""

    def holders(self, stack: StackName, volumes: Sequence[str]) -> tuple[Holder, ...]:
        """All containers, in any state, of the stack or mounting one of the volumes."""

    def remove_dead(self, holders: Sequence[Holder]) -> None:
        """Remove stopped containers of the stack; never a running or foreign one."""

    def execute(self, stack: StackName, service: str, argv: Sequence[str], timeout_s: float) -> Executed:
        """Run a command in a running container of the service. ActError: there is none, or no end."""

    def logs(self, stack: StackName, lines: int) -> Mapping[str, str]:
        """Service -> what its newest containers said last, dead ones too."""


class Node(Protocol):
    """The node that holds a volume: whatever must run where the data lies is asked of it."""

    @property
    def containers(self) -> Containers:
        """Its containers, in any state."""

    @property
    def snapshots(self) -> Snapshots:
        """Snapshots of its volumes."""

    @property
    def stamps(self) -> Stamps:
        """Which release wrote its volumes."""

    @property
    def files(self) -> BackupFiles:
        """Single paths of its volumes."""
