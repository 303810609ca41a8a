"""How much room data needs, and what may be given up where there is too little. Pure.

A restore builds the snapshot's data beside the volume's, so that what a failed release wrote is kept. Where both do not
fit, only one of them can stay, and it is the data of the snapshot.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.model.journal import Failure
from reconciler.model.snapshot import ArchivedVolume

_PER_ENTRY = 2048
"""What an entry costs in the archive beside its data, and on a disk beside what it costs there."""


NO_ROOM = "no room to restore"
"""In the reason of a restore that could not be done for want of room."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """Bytes. `least`: certainly needed; `likely`: what people are told, and what is needed to be sure."""

    least: int
    likely: int


def estimate_need(volumes: Sequence[ArchivedVolume]) -> Need:
    """How much room archived volumes take once they are unpacked.

    Told by their archives: older manifests count the holes of sparse files as data.
    """
    least = likely = 0
    for volume in volumes:
        stored = volume.archive_bytes - volume.slack_bytes
        least += min(volume.data_bytes, max(0, stored - volume.entries * _PER_ENTRY))
        likely += stored + volume.entries * _PER_ENTRY
    return Need(least=least, likely=likely)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Whether data fits where it must go, in words. `problem`: it does not; `loss`: only if newer data is given up."""

    problem: str = ""
    loss: str = ""


def judge_return(need: Need, free: int, held: int) -> Fit:
    """Say whether a snapshot's data fits beside the `held` bytes of what it replaces, or in their place."""
    figures = describe(need.likely, free, "the volumes' disk")
    if not would_help(need, free, held):
        cure = f"and what would be given up for it holds {as_mib(held)} MiB: free room there"
        return Fit(problem=f"no room for the data to come back: {figures}, {cure}")
    if need.likely > free:
        return Fit(loss=f"there is no room to keep what was written since ({figures}), so that is given up")
    return Fit()


def is_wanted(failure: Failure | None) -> bool:
    """Say whether a way back only waits for room: it is tried in every pass, and needs no operator's word to go on."""
    return failure is not None and NO_ROOM in failure.reason


def would_help(need: Need, free: int, held: int) -> bool:
    """Say whether giving up `held` bytes can make room; if not, nothing may be given up."""
    return need.least <= free + held


def describe(need: int, free: int, place: str) -> str:
    """The figures of too little room, for people."""
    return f"{as_mib(need)} MiB are needed, {place} has {as_mib(free)} MiB free"


def as_mib(size: int) -> str:
    """Bytes as MiB; below ten with one decimal."""
    mib = size / (1 << 20)
    return f"{mib:.1f}" if mib < 10 else f"{mib:.0f}"
