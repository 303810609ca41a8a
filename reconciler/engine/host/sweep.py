"""The nightly sweep: the command before it, a pass over the apps, cold runs. Effects: through the ports, one report.

The report is written after each part, so that a sweep that was killed goes on where it stopped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from reconciler.core.conditions import SweepRed
from reconciler.core.host import sweep_report
from reconciler.engine.host import one_pass, sweep_runs
from reconciler.engine.ports import Ports
from reconciler.model.app import AppSpec
from reconciler.model.errors import ActError, Interrupted, LockBusy, ObserveError, ReconcilerError
from reconciler.model.ids import HOST
from reconciler.model.published import AppStatus
from reconciler.model.settings import Settings
from reconciler.model.sweep import ItemOutcome, Sweep, SweepItem, SweepOutcome
from reconciler.state.locks import HeldLocks, wait_until_free
from reconciler.state.sweeps import SweepStore

BEFORE, ENGINE, LIVE, TESTS = "before", "engine", "live", "tests"
_POLL_S = 1.0


class CommandBefore(Protocol):
    """The command that a sweep runs first."""

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


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the operator asks of this sweep. `again`: though tonight's is done; `every`: also what is green already."""

    again: bool = False
    every: bool = False


def run(
    first: Desired,
    load: Callable[[], Desired],
    reports: SweepStore,
    command: CommandBefore,
    tests: sweep_runs.Tests,
    order: Order,
) -> tuple[Sweep, bool]:
    """Do tonight's sweep. Gives its report, and whether anything was done now.

    Raises:
        StateError: tonight's report is unreadable.
        Interrupted: asked to stop; the next start goes on.
    """
    clock = first.ports.clock
    date = sweep_report.night(clock.now())
    # The timer may fire again after a reboot; a night that is done is not done twice.
    before = reports.read(date)
    if before is not None and before.finished_at is not None and before.result is SweepOutcome.DONE and not order.again:
        return before, False
    began = clock.monotonic()
    page = _Page(reports, sweep_report.open_report(None if order.again else before, date, clock.now()))
    try:
        # The command before may restart the engine or the daemon, which would make a test in flight red for
        # nothing.
        quiet = _await_tests(first, first.settings.sweep.wait)
    except LockBusy as exc:
        page.add(SweepItem(name=TESTS, result=ItemOutcome.SKIPPED, detail=f"a test is in flight: {exc}"))
    else:
        try:
            desired = _before_tests(first, load, command, page)
        finally:
            quiet.release()
        if desired is not None and desired.settings.sweep.cold:
            night = sweep_runs.Night(
                ports=desired.ports,
                settings=desired.settings,
                specs=desired.specs,
                tests=tests,
                every=order.every,
                deadline=began + desired.settings.sweep.deadline,
            )
            sweep_runs.play(night, page.report, page.add)
    page.write(sweep_report.close_report(page.report, clock.now()))
    _alert(first.ports, page.report)
    return page.report, True


class _Page:
    """Tonight's report, on disk after every part: a sweep that is killed goes on where it stopped."""

    def __init__(self, reports: SweepStore, report: Sweep) -> None:
        self._reports = reports
        self.write(report)

    def write(self, report: Sweep) -> None:
        self.report = report
        self._reports.write(report)

    def add(self, item: SweepItem) -> None:
        self.write(sweep_report.add_item(self.report, item))


def _before_tests(first: Desired, load: Callable[[], Desired], command: CommandBefore, page: _Page) -> Desired | None:
    """What no test may be in flight for: the command before, and the pass. None: the night ends here."""
    settings = first.settings.sweep
    if settings.before and not sweep_report.is_done(page.report, BEFORE):
        page.add(
            _run_timed(
                first.ports, BEFORE, lambda: _run_before(settings.before, first.settings, command, page.report.date)
            )
        )
    if settings.before and settings.before_required and not sweep_report.is_done(page.report, BEFORE):
        return None
    page.add(_run_timed(first.ports, ENGINE, lambda: _await_engine(first)))
    found: list[AppStatus] = []
    loaded: list[Desired] = []
    page.add(_run_timed(first.ports, LIVE, lambda: _run_pass(load, found, loaded)))
    page.write(page.report.model_copy(update={"apps": tuple(found)}))
    return loaded[0] if loaded else None


def _await_tests(first: Desired, patience_s: float) -> HeldLocks:
    """Take every place for tests: what is done next must not pull the floor from under one.

    Raises:
        LockBusy: a test is still in flight when patience ends.
    """
    locks, count = first.ports.locks, first.settings.runs.max_tests
    return wait_until_free(first.ports.clock, patience_s, _POLL_S, lambda: locks.all_slots(count, "ci-warm sweep"))


def _run_timed(ports: Ports, name: str, work: Callable[[], str]) -> SweepItem:
    """Do one part; what goes wrong is its result."""
    ports.progress("sweep", name)
    began = ports.clock.monotonic()
    try:
        detail, result = work(), ItemOutcome.DONE
    except Interrupted:
        raise
    except (ReconcilerError, OSError) as exc:
        detail, result = str(exc), ItemOutcome.FAILED
    spent = round(ports.clock.monotonic() - began, 3)
    return SweepItem(name=name, result=result, detail=detail, elapsed_seconds=spent)


def _run_before(argv: Sequence[str], settings: Settings, command: CommandBefore, date: str) -> str:
    sweep = settings.sweep
    code, log = command.run(argv, date, sweep.before_timeout)
    if code not in sweep.before_fine:
        raise ActError(f"{argv[0]} ended with {code}{sweep_report.meaning(argv, code)}; its log is {log}")
    if sweep.system and sweep.wanted_system:
        # Success is not enough: the system that was wanted must be the one that runs.
        have, want = command.resolve(sweep.system), command.resolve(sweep.wanted_system)
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


def _run_pass(load: Callable[[], Desired], found: list[AppStatus], loaded: list[Desired]) -> str:
    # Read now: the command before may have brought other specs, settings and another version of them.
    desired = load()
    loaded.append(desired)
    passed = one_pass.run(desired.ports, desired.settings, desired.specs, actor="sweep")
    found += [report.status for report in passed]
    bad = [f"{report.status.app} {report.status.result}" for report in passed if not report.outcome.ok]
    if bad:
        raise ActError(f"not well: {', '.join(bad)}")
    return f"{len(found)} apps"


def _alert(ports: Ports, report: Sweep) -> None:
    """One alert for everything that is red."""
    red = [
        f"{item.name}: {item.detail}"
        for item in report.items
        if item.result is ItemOutcome.FAILED or item.name == TESTS
    ]
    if not red:
        ports.alerts.resolve(HOST, [], reason=SweepRed.REASON)
        return
    ports.alerts.raise_(SweepRed().alert(ports.clock.now(), red))
