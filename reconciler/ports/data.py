"""Snapshots of volumes, and the files we keep per app, as Protocols. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from reconciler.model.alert import Alert
from reconciler.model.history import HistoryLine
from reconciler.model.ids import AppName
from reconciler.model.journal import Journal
from reconciler.model.memory import Memory
from reconciler.model.observed import VolumeObs
from reconciler.model.published import StatusReport
from reconciler.model.release import Bundle, KnownGood
from reconciler.model.snapshot import DrillRecord, SnapshotManifest


@dataclass(frozen=True, kw_only=True)
class Room:
    """Bytes. `short` names each file system that has too little room for a snapshot and a way back."""

    used: int
    free_snapshots: int
    free_volumes: int
    same_filesystem: bool


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

    def verify(self, app: AppName) -> tuple[str, ...]:
        """Read everything back; the problems found, none = good."""

    def drill(self, app: AppName) -> tuple[str, ...]:
        """Restore it into a scratch folder, compare, and throw that away; the problems found, none = it restores."""

    def restore(self, app: AppName, volumes: Sequence[VolumeObs], op_id: str) -> None:
        """Stage beside, verify, exchange atomically; the data replaced is kept aside. Idempotent per `op_id`."""

    def set_aside(self, volumes: Sequence[VolumeObs], op_id: str) -> None:
        """Empty volumes that the snapshot does not have; their data is kept aside. Idempotent per `op_id`."""

    def forget_aside(self, volumes: Sequence[VolumeObs]) -> None:
        """Delete data kept aside."""

    def remember(self, app: AppName, volumes: Sequence[VolumeObs]) -> None:
        """The volumes equal the snapshot now, and nobody writes to them: what changes from now on can be told."""

    def is_untouched(self, app: AppName, volumes: Sequence[VolumeObs]) -> bool:
        """Say whether nothing in the volumes changed since `remember`; False also when that is not known."""

    def room(self, app: AppName, volumes: Sequence[VolumeObs]) -> Room:
        """How much the volumes hold and how much is free where it matters."""


class Store(Protocol):
    """Our records per app. Reading raises StateError for anything torn, newer or foreign; it is never reset."""

    def apps(self) -> Sequence[AppName]:
        """Every app that has records, declared or not."""

    def known_good(self, app: AppName) -> KnownGood | None:
        """None if there is none."""

    def put_known_good(self, record: KnownGood) -> None:
        """One rename; also renews the derived `last_good`."""

    def memory(self, app: AppName) -> Memory:
        """Empty if there is none."""

    def put_memory(self, record: Memory) -> None:
        """One rename."""

    def journal(self, app: AppName) -> Journal | None:
        """None if nothing is under way."""

    def put_journal(self, record: Journal) -> None:
        """One rename; durable when it returns."""

    def close_journal(self, app: AppName) -> None:
        """Remove it; durable when it returns."""

    def drill(self, app: AppName) -> DrillRecord | None:
        """The last restore drill; None if there was none."""

    def put_drill(self, record: DrillRecord) -> None:
        """One rename."""

    def bundle(self, app: AppName, bundle_id: str) -> Bundle:
        """A rendered release. StateError if it is missing or its digest is wrong."""

    def put_bundle(self, bundle: Bundle) -> None:
        """Idempotent."""

    def prune_bundles(self, app: AppName, keep: Sequence[str]) -> None:
        """Remove rendered releases that nothing refers to."""

    def put_status(self, report: StatusReport) -> None:
        """Publish the result of a pass."""

    def status(self) -> StatusReport | None:
        """The last published result; None if there is none or it is unreadable (it is derived, so nothing is lost)."""


class History(Protocol):
    """`history.jsonl`."""

    def append(self, line: HistoryLine) -> None:
        """Exactly once per `op_id`, whatever crashes."""


class Alerts(Protocol):
    """`alerts/`."""

    def raise_(self, alert: Alert, *, anew: bool = False) -> None:
        """Create, or update the open one with the same fingerprint; durable when it returns.

        An acknowledged condition that still stands stays quiet, unless it happened `anew`.
        """

    def resolve(
        self, app: AppName, keep: Sequence[str], *, spare: str | None = None, reason: str | None = None
    ) -> None:
        """Move open conditions of the app whose fingerprint is not in `keep` to seen/ as resolved.

        `spare`: alerts of this operation are left alone. `reason`: only alerts of this reason are treated.
        """


class Held(Protocol):
    """A lock that is held."""

    def release(self) -> None:
        """Let go."""


class Locks(Protocol):
    """One exclusive lock per app."""

    def acquire(self, app: AppName, what: str) -> Held:
        """Never waits.

        Raises:
            LockBusy: somebody else holds it.
        """

    def turn(self, name: Literal["daemon", "sweep", "upgrade"], what: str) -> Held:
        """One of the host-wide locks: of the daemon, the sweep, and whoever upgrades a live app. Never waits.

        Raises:
            LockBusy: somebody else holds it.
        """

    def slot(self, count: int, what: str) -> Held:
        """One of the host-wide `count` places for tests. Never waits.

        Raises:
            LockBusy: all are taken.
        """

    def all_slots(self, count: int, what: str) -> Held:
        """Every place for tests, so that none is in flight. Never waits.

        Raises:
            LockBusy: a test is in flight.
        """
