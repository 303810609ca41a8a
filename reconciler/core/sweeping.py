"""What a night's report says, and what is still to be done in it. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import PurePath

from reconciler.model.reports import Sweep, SweepItem

_NIXOS = {
    1: "another switch holds the lock, or a check before it refused",
    2: "the activation script failed",
    4: "some units failed to start",
    100: "the system must be rebooted",
}
"""Exit codes of NixOS' switch-to-configuration, which nixos-rebuild hands on."""


def night(now: datetime) -> str:
    """The date by which a night goes: what starts before noon belongs to the evening before. UTC."""
    return f"{now - timedelta(hours=12):%Y-%m-%d}"


def opened(before: Sweep | None, date: str, now: datetime) -> Sweep:
    """A report to work on: what an earlier try of the same night finished stays done."""
    kept = tuple(item for item in before.items if item.result == "done") if before else ()
    # Whether the engine answers and the live apps are well is only true of the moment it was seen.
    kept = tuple(item for item in kept if item.name == "before")
    return Sweep(date=date, started_at=before.started_at if before else now, items=kept)


def is_done(report: Sweep, name: str) -> bool:
    """Say whether that part came to a good end."""
    return any(item.name == name and item.result == "done" for item in report.items)


def added(report: Sweep, item: SweepItem) -> Sweep:
    """The report with a part's newest result."""
    others = tuple(old for old in report.items if old.name != item.name)
    return report.model_copy(update={"items": (*others, item)})


def closed(report: Sweep, now: datetime) -> Sweep:
    """The report of a sweep that came to its end."""
    failed = any(item.result == "failed" for item in report.items)
    return report.model_copy(update={"finished_at": now, "result": "failed" if failed else "done"})


def meaning(argv: Sequence[str], code: int) -> str:
    """What an exit code says, where we know the program; else ''."""
    known = PurePath(argv[0]).name in ("nixos-rebuild", "switch-to-configuration")
    return f" ({_NIXOS[code]})" if known and code in _NIXOS else ""
