"""What pages show, made of what was published. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup

from reconciler.model.alert import Alert
from reconciler.model.history import HistoryLine
from reconciler.model.host import Usage
from reconciler.model.published import AppStatus
from reconciler.model.sweep import Sweep, SweepOutcome

GOOD, WAITING, BAD = "good", "waiting", "bad"
"""Classes of the style sheet; the words beside them say the same."""
_GOOD_STATUS = frozenset({"in-sync", "idle"})
_BAD_STATUS = frozenset({"failed", "unknown"})
_GOOD_RESULTS = ("noop", "upgraded", "deployed", "healed", "adopted", "reconfigured", "cold-green", "quick-green")
_BAD_RESULTS = (
    "rolled-back",
    "rollback",
    "unhealthy",
    "stalled",
    "error",
    "recipe",
    "cold-red",
    "quick-red",
    "unmanaged",
)
TIMELINE_WIDTH, TIMELINE_HEIGHT = 800, 48
_MARGIN = 10


@dataclass(frozen=True, kw_only=True)
class Row:
    """An app in the overview. `held`: the first reason to wait, in words, '' if none."""

    app: AppStatus
    tone: str
    held: str
    alerts: int


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One outcome in a timeline, at a place in it."""

    x: int
    tone: str
    text: str


@dataclass(frozen=True, kw_only=True)
class WayBackImage:
    """An image that the way back needs. `known`: where it is, in words."""

    of: str
    name: str
    tone: str
    known: str


@dataclass(frozen=True, kw_only=True)
class WayBackCard:
    """What the pre-flight found, made for people. `open`: a rollback may be asked for; `cure`: what to do if not."""

    tone: str
    to: str
    snapshot: str
    room: str
    images: tuple[WayBackImage, ...]
    problems: tuple[str, ...]
    cure: str
    open: bool


@dataclass(frozen=True, kw_only=True)
class Night:
    """A day of the calendar; `sweep` None: nothing was swept."""

    date: str
    tone: str
    text: str
    swept: bool


def choose(apps: Sequence[AppStatus], part: str, status: str) -> Sequence[AppStatus]:
    """Apps with that part in their name and, unless it is '', just that status."""
    low = part.strip().lower()
    return [app for app in apps if low in app.app and status in ("", app.status)]


def mark_code(text: str) -> Markup:
    """Text with `code` in it, as the documents write it."""
    parts = text.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if at % 2 else part for at, part in enumerate(parts))


def make_disk(disk: Usage) -> str:
    """How full a file system is; no finer than a person needs, so that a page need not be made anew all the time."""
    return f"{disk.path} {disk.percent} % full"


def make_rows(apps: Iterable[AppStatus], alerts: Iterable[Alert]) -> list[Row]:
    """The overview, what needs a human first."""
    open_alerts = Counter(alert.app for alert in alerts)
    rows = [Row(app=app, tone=tone_of(app), held=tell_hold(app), alerts=open_alerts.get(app.app, 0)) for app in apps]
    return sorted(rows, key=lambda row: ((BAD, WAITING, GOOD).index(row.tone), row.app.app))


def tone_of(app: AppStatus) -> str:
    """How an app does, at a glance."""
    if app.status in _BAD_STATUS or app.result.startswith(_BAD_RESULTS):
        return BAD
    return GOOD if app.status in _GOOD_STATUS and not app.holds else WAITING


def tone_of_result(result: str) -> str:
    """How an operation ended, at a glance."""
    if result.startswith(_BAD_RESULTS):
        return BAD
    return GOOD if result.startswith(_GOOD_RESULTS) else WAITING


def tell_hold(app: AppStatus) -> str:
    """The first reason to wait, in words."""
    return f"{app.holds[0].get('reason', '')}: {app.holds[0].get('detail', '')}" if app.holds else ""


def count_statuses(apps: Iterable[AppStatus]) -> Mapping[str, int]:
    """How many apps have each status, the most frequent first."""
    return dict(Counter(app.status for app in apps).most_common())


def is_offered(app: AppStatus) -> bool:
    """Say whether an update is worth showing: the newest release is another than the one that runs."""
    return app.candidate is not None and app.candidate != app.known_good


def make_card(app: str, found: Mapping[str, Any]) -> WayBackCard:
    """The card of a way back, from the document of `preflight`; unknown is yellow, missing is red."""
    images = tuple(map(_make_image, found["images"]))
    problems = tuple(found["problems"])
    fine = not problems and found["rollback_to"] is not None
    doubtful = any(image.tone == WAITING for image in images)
    kept = found["snapshot"]
    cure = f"ci-warm preflight {app}"
    if any(image.tone == BAD for image in images):
        cure = (
            f"bring the images back: pull them on this host, or push them to their registry; then check again ({cure})"
        )
    return WayBackCard(
        tone=BAD if not fine else WAITING if doubtful else GOOD,
        to=found["rollback_to"] or "",
        snapshot=f"of {kept['version']}, {kept['created_at'][:16].replace('T', ' ')} UTC" if kept else "",
        room=found["room"],
        images=images,
        problems=problems,
        cure="" if fine else cure,
        open=fine,
    )


def _make_image(row: Mapping[str, Any]) -> WayBackImage:
    if row["local"]:
        tone, known = GOOD, "on the engine"
    elif row["exists"] is None:
        tone, known = WAITING, "its registry does not say"
    else:
        tone, known = (GOOD, "in its registry") if row["exists"] else (BAD, "missing")
    words = ": ".join(filter(None, (known, row["error"])))
    return WayBackImage(of=row["of"], name=row["image"], tone=tone, known=words)


def make_timeline(lines: Sequence[HistoryLine]) -> list[Mark]:
    """Where each outcome lies between the first and the last, in the pixels of the drawing."""
    if not lines:
        return []
    first, last = min(line.ts for line in lines), max(line.ts for line in lines)
    span = max((last - first).total_seconds(), 1.0)
    room = TIMELINE_WIDTH - 2 * _MARGIN
    return [
        Mark(
            x=_MARGIN + round((line.ts - first).total_seconds() / span * room),
            tone=tone_of_result(line.result),
            text=f"{line.ts:%Y-%m-%d %H:%M} {line.result}",
        )
        for line in lines
    ]


def make_calendar(sweeps: Sequence[Sweep], today: datetime, days: int = 35) -> list[Night]:
    """The last nights, the oldest first, those without a sweep among them."""
    by_date = {sweep.date: sweep for sweep in sweeps}
    dates = [f"{today - timedelta(days=back):%Y-%m-%d}" for back in reversed(range(days))]
    return [_make_night(date, by_date.get(date)) for date in dates]


def _make_night(date: str, sweep: Sweep | None) -> Night:
    if sweep is None:
        return Night(date=date, tone="", text="no sweep", swept=False)
    tones = {SweepOutcome.DONE: GOOD, SweepOutcome.FAILED: BAD}
    return Night(date=date, tone=tones.get(sweep.result, WAITING), text=str(sweep.result), swept=True)
