"""What a night's report says, and what is still to be done in it. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import PurePath

from reconciler.model.canonical import Greens
from reconciler.model.sweep import ItemOutcome, Sweep, SweepItem, SweepOutcome
from reconciler.model.testrun import Source

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


COLD = "cold"


def item_name(app: str) -> str:
    """How the cold run of a recipe is called in a night's report."""
    return f"{COLD} {app}"


def skip(newest: Source | None, greens: Greens, *, behind: bool, every: bool) -> str | None:
    """Why a recipe is not tested tonight; None: it is. `behind`: its canonical is another release, or there is none."""
    if newest is None:
        return "the recipe has no release in its track"
    green = greens.releases.get(newest.version)
    if green is not None and green.commit == newest.commit and not behind and not every:
        return f"{newest.version} is green already (run {green.run}, {green.at:%Y-%m-%d})"
    return None


def open_report(before: Sweep | None, date: str, now: datetime) -> Sweep:
    """A report to work on: what an earlier try of the same night finished stays done."""
    kept = tuple(item for item in before.items if item.result is ItemOutcome.DONE) if before else ()
    # Whether the engine answers and the live apps are well is only true of the moment it was seen.
    kept = tuple(item for item in kept if item.name == "before" or item.name.startswith(f"{COLD} "))
    return Sweep(date=date, started_at=before.started_at if before else now, items=kept)


def is_done(report: Sweep, name: str) -> bool:
    """Say whether that part came to a good end."""
    return any(item.name == name and item.result is ItemOutcome.DONE for item in report.items)


def add_item(report: Sweep, item: SweepItem) -> Sweep:
    """The report with a part's newest result."""
    others = tuple(old for old in report.items if old.name != item.name)
    return report.model_copy(update={"items": (*others, item)})


def close_report(report: Sweep, now: datetime) -> Sweep:
    """The report of a sweep that came to its end; one that never began its work was skipped."""
    kinds = {item.result for item in report.items}
    result = SweepOutcome.DONE
    if ItemOutcome.FAILED in kinds:
        result = SweepOutcome.FAILED
    elif kinds == {ItemOutcome.SKIPPED}:
        result = SweepOutcome.SKIPPED
    return report.model_copy(update={"finished_at": now, "result": result})


def meaning(argv: Sequence[str], code: int) -> str:
    """What an exit code says, where we know the program; else ''."""
    known = PurePath(argv[0]).name in ("nixos-rebuild", "switch-to-configuration")
    return f" ({_NIXOS[code]})" if known and code in _NIXOS else ""
