"""The nightly sweep: the command before it, then a pass over the live apps. Effects: through the ports, one report.

The report is written after each part, so that a sweep that was killed goes on where it stopped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from reconciler.core import sweeping
from reconciler.engine import fleet
from reconciler.engine.fleet import HOST
from reconciler.model.errors import ActError, Interrupted, ObserveError, ReconcilerError
from reconciler.model.reports import Alert, AppStatus, Severity, Sweep, SweepItem
from reconciler.model.settings import Settings
from reconciler.model.spec import AppSpec
from reconciler.ports import Ports

BEFORE, ENGINE, LIVE = "before", "engine", "live"
_POLL_S = 1.0


class Reports(Protocol):
    """`sweeps/`."""

    def read(self, date: str) -> Sweep | None:
        """That night's report; StateError if it is unreadable."""

    def write(self, report: Sweep) -> None:
        """One rename."""


class Host(Protocol):
    """The machine, for the command before."""

    def run(self, argv: Sequence[str], date: str, timeout_s: float) -> tuple[int, str]:
        """Exit code, and where the log lies. ActError: it did not start, or did not end in time."""

    def resolve(self, link: str) -> str:
        """Where a link leads in the end."""


@dataclass(frozen=True, kw_only=True)
class Desired:
    """What the operator wants, read anew after the command before: it may have changed all of it."""

    settings: Settings
    specs: Sequence[AppSpec]
    ports: Ports


def run(
    first: Desired, load: Callable[[], Desired], reports: Reports, host: Host, *, again: bool = False
) -> tuple[Sweep, bool]:
    """Do tonight's sweep. Gives its report, and whether anything was done now.

    Raises:
        StateError: tonight's report is unreadable.
        Interrupted: asked to stop; the next start goes on.
    """
    clock = first.ports.clock
    date = sweeping.night(clock.now())
    before = reports.read(date)
    if before is not None and before.finished_at is not None and before.result == "done" and not again:
        return before, False
    report = sweeping.opened(None if again else before, date, clock.now())
    reports.write(report)

    def add(item: SweepItem) -> None:
        nonlocal report
        report = sweeping.added(report, item)
        reports.write(report)

    settings = first.settings.sweep
    if settings.before and not sweeping.is_done(report, BEFORE):
        add(_timed(first.ports, BEFORE, lambda: _before(settings.before, first.settings, host, date)))
    stopped = settings.before_required and not sweeping.is_done(report, BEFORE) and bool(settings.before)
    if not stopped:
        add(_timed(first.ports, ENGINE, lambda: _await_engine(first)))
        found: list[AppStatus] = []
        add(_timed(first.ports, LIVE, lambda: _live(load, found)))
        report = report.model_copy(update={"apps": tuple(found)})
    report = sweeping.closed(report, clock.now())
    reports.write(report)
    _alert(first.ports, report)
    return report, True


def _timed(ports: Ports, name: str, work: Callable[[], str]) -> SweepItem:
    """Do one part; what goes wrong is its result."""
    ports.progress("sweep", name)
    began = ports.clock.monotonic()
    try:
        detail, result = work(), "done"
    except Interrupted:
        raise
    except (ReconcilerError, OSError) as exc:
        detail, result = str(exc), "failed"
    spent = round(ports.clock.monotonic() - began, 3)
    return SweepItem.model_validate({"name": name, "result": result, "detail": detail, "elapsed_seconds": spent})


def _before(argv: Sequence[str], settings: Settings, host: Host, date: str) -> str:
    sweep = settings.sweep
    code, log = host.run(argv, date, sweep.before_timeout)
    if code not in sweep.before_fine:
        raise ActError(f"{argv[0]} ended with {code}{sweeping.meaning(argv, code)}; its log is {log}")
    if sweep.system and sweep.wanted_system:
        have, want = host.resolve(sweep.system), host.resolve(sweep.wanted_system)
        if have != want:
            raise ActError(f"{sweep.system} is {have} and not {want}, though {argv[0]} ended with {code}; see {log}")
    return f"{argv[0]} ended with {code}; its log is {log}"


def _await_engine(first: Desired) -> str:
    """The command before may have restarted the engine."""
    clock = first.ports.clock
    deadline = clock.monotonic() + first.settings.sweep.engine_wait
    while True:
        try:
            first.ports.engine.check()
        except ObserveError:
            if clock.monotonic() >= deadline:
                raise
            clock.wait(_POLL_S)
        else:
            return "answers"


def _live(load: Callable[[], Desired], found: list[AppStatus]) -> str:
    desired = load()
    passed = fleet.run(desired.ports, desired.settings, desired.specs, actor="sweep")
    found += [report.status for report in passed]
    bad = [f"{report.status.app} {report.status.result}" for report in passed if not report.outcome.ok]
    if bad:
        raise ActError(f"not well: {', '.join(bad)}")
    return f"{len(found)} apps"


def _alert(ports: Ports, report: Sweep) -> None:
    """One alert for everything that is red."""
    red = [f"{item.name}: {item.detail}" for item in report.items if item.result == "failed"]
    if not red:
        ports.alerts.resolve(HOST, [], reason="sweep")
        return
    now = ports.clock.now()
    ports.alerts.raise_(
        Alert(
            app=HOST, reason="sweep", severity=Severity.CRITICAL, evidence=tuple(red),
            clears_when="a sweep comes to a good end; ci-warm sweep tries again at once",
            fingerprint=f"{HOST}|sweep", first_at=now, last_at=now,
        )
    )  # fmt: skip
