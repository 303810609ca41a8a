"""Which release the data is of, and which releases may be started on it. Pure.

An older release on newer data is the way to lose it. Known-good says what was good; only the stamps say what wrote.
"""

from collections.abc import Iterable, Mapping

from reconciler.core.release import versions
from reconciler.model.data_stamp import DataStamp
from reconciler.model.history import HistoryLine
from reconciler.model.release import KnownGood
from reconciler.model.result import ResultKind, word_of


def newest(*sources: Mapping[str, DataStamp]) -> dict[str, DataStamp]:
    """Of each volume the stamp of the newest release: a copy of yesterday, of records or volume, must not hide it."""
    found: dict[str, DataStamp] = {}
    for source in sources:
        for name, stamp in source.items():
            # Of two that cannot be compared the first one stays: the records, which are named first.
            if name not in found or is_newer(stamp.version, found[name].version):
                found[name] = stamp
    return found


def is_newer(version: str, other: str) -> bool:
    """Say whether `version` is a later release; versions that cannot be compared are not."""
    one, two = versions.parse(version), versions.parse(other)
    return one is not None and two is not None and one > two


def find_newer(stamps: Iterable[DataStamp], version: str, *, stateful: bool) -> tuple[DataStamp, ...]:
    """The volumes that a later release than `version` wrote.

    `stateful`: as the spec says today; of an app that was declared so before, the stamps remember it.
    """
    return tuple(stamp for stamp in stamps if (stateful or stamp.stateful) and is_newer(stamp.version, version))


def describe(newer: Iterable[DataStamp], version: str) -> str:
    """Say so to people."""
    listed = ", ".join(f"{stamp.volume} by {stamp.version} on {stamp.at:%Y-%m-%d %H:%M} UTC" for stamp in newer)
    return f"data was last written by a newer release ({listed}); {version} is not started on it"


def make(volumes: Iterable[str], before: Mapping[str, DataStamp], like: DataStamp) -> dict[str, DataStamp]:
    """Stamps like this one for these volumes; those that say the same already stay as they are."""
    found = {}
    for name in volumes:
        have = before.get(name)
        sticky = like.stateful or (have is not None and have.stateful)
        if have is None or (have.version, have.commit, have.stateful) != (like.version, like.commit, sticky):
            have = like.model_copy(update={"volume": name, "stateful": sticky})
        found[name] = have
    return found


def list_failed_starts(history: Iterable[HistoryLine], app: str) -> frozenset[str]:
    """The first deploys of the app that failed since it was last well: nothing that they wrote was ever good.

    By operation. Not those that began on data of unknown origin, which came back from its snapshot and still is.
    """
    failed: set[str] = set()
    for line in history:
        if line.app != app:
            continue
        if word_of(line.result) == ResultKind.DEPLOY_FAILED:
            failed |= set() if line.found_data else {line.op_id}
        elif word_of(line.result) in _WELL:
            failed.clear()
    return frozenset(failed)


_WELL = frozenset(
    {
        ResultKind.ADOPTED,
        ResultKind.DEPLOYED,
        ResultKind.HEALED,
        ResultKind.RECONFIGURED,
        ResultKind.ROLLED_BACK,
        ResultKind.UPGRADED,
    }
)


def may_go_back(known: KnownGood, version: str) -> bool:
    """Say whether this release is the one before, with the snapshot of its data at hand."""
    back = known.fallback
    return back is not None and back.snapshot is not None and back.release.version == version
