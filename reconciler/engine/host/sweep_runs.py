"""The sweep's cold runs: every enrolled recipe in order, each a process of its own. Effects: those runs.

What is due is decided in `core.host.sweep_report`; a run's verdict is in its own report, here is one line of it.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Protocol

from reconciler.core.host import sweep_report
from reconciler.core.testrun import summary
from reconciler.engine.ports import Ports
from reconciler.engine.testrun import plan
from reconciler.model.app import AppSpec, Kind
from reconciler.model.errors import ActError, Interrupted, ReconcilerError, StateError
from reconciler.model.ids import AppName
from reconciler.model.moved import Counted
from reconciler.model.settings import Settings
from reconciler.model.sweep import ItemOutcome, Sweep, SweepItem
from reconciler.model.testrun import Run, RunResult, StageOutcome


class Tests(Protocol):
    """Cold runs as processes."""

    def run(self, app: AppName, log: str, wait_s: float) -> Run:
        """One to its end. LockBusy: no place came free in time; ActError: it left no report. Ends with us."""


@dataclass(frozen=True, kw_only=True)
class Night:
    """What the cold part of a sweep goes by. `deadline`: monotonic; nothing is begun after it."""

    ports: Ports
    settings: Settings
    specs: Sequence[AppSpec]
    tests: Tests
    every: bool
    deadline: float


def play(night: Night, report: Sweep, add: Callable[[SweepItem], None]) -> None:
    """Run what is due. Each result is added as it comes; zero enrolled recipes is a failure.

    Raises:
        Interrupted: asked to stop; the next start goes on with what is missing.
    """
    enrolled = [spec for spec in night.specs if spec.kind is Kind.CANONICAL]
    if not enrolled:
        detail = "no recipe is enrolled: no spec has kind: canonical (sweep.cold: false, if that is as it should be)"
        add(SweepItem(name=sweep_report.COLD, result=ItemOutcome.FAILED, detail=detail))
        return
    # A sweep that was killed goes on with what is missing.
    waiting = [spec for spec in enrolled if not sweep_report.is_done(report, sweep_report.item_name(spec.name))]
    ended = len(enrolled) - len(waiting)

    def tell(*, over: bool = False) -> None:
        night.ports.tell(Counted(app="sweep", doing="cold runs", done=ended, of=len(enrolled), over=over))

    tell()
    with ThreadPoolExecutor(max_workers=night.settings.runs.max_tests) as pool:
        futures = {pool.submit(_one, night, report.date, spec): spec for spec in waiting}
        try:
            for future in as_completed(futures):
                add(future.result())
                ended += 1
                tell()
        except BaseException:
            # Without this the pool would begin every recipe that still waits before it lets the exception
            # out.
            for future in futures:
                future.cancel()
            raise
        finally:
            tell(over=True)


def _one(night: Night, date: str, spec: AppSpec) -> SweepItem:
    clock, name = night.ports.clock, sweep_report.item_name(spec.name)
    began = clock.monotonic()
    try:
        reason = _find_skip_reason(night, spec)
        if reason is not None:
            return SweepItem(name=name, result=ItemOutcome.SKIPPED, detail=reason)
        run = night.tests.run(spec.app, f"{date}-{spec.name}.log", max(0.0, night.deadline - clock.monotonic()))
    except Interrupted:
        raise
    except (ReconcilerError, OSError) as exc:
        result, detail, run_name = ItemOutcome.FAILED, str(exc), ""
    else:
        result, detail, run_name = _describe(run)
    spent = round(clock.monotonic() - began, 3)
    return SweepItem(name=name, result=result, detail=detail, elapsed_seconds=spent, run=run_name)


def _describe(run: Run) -> tuple[ItemOutcome, str, str]:
    bad = next((stage for stage in run.stages if stage.result in (StageOutcome.FAILED, StageOutcome.ERROR)), None)
    text = summary.result_line(run).removeprefix("RUN RESULT: ")
    why = (
        f"; {bad.stage}: {bad.reason}"
        if bad
        else f"; {run.notes[-1]}"
        if run.result is not RunResult.GREEN and run.notes
        else ""
    )
    promoted = "; promoted" if run.promoted else f"; not promoted: {run.promotion}" if run.promotion else ""
    good = run.result is RunResult.GREEN and not run.leftovers
    return (
        ItemOutcome.DONE if good else ItemOutcome.FAILED,
        f"{text}, level {run.level} of {run.level_cap}{why}{promoted}",
        run.run,
    )


def _find_skip_reason(night: Night, spec: AppSpec) -> str | None:
    """Why this recipe is not tested tonight; None: it is.

    Raises:
        ReconcilerError: that cannot be known.
    """
    night.ports.clock.wait(0)
    newest = plan.latest(night.ports, spec)
    canonicals = night.ports.canonicals
    try:
        greens = canonicals.greens(spec.recipe.url)
        canonical = canonicals.canonical(spec.app)
    except StateError as exc:
        raise ActError(str(exc)) from exc
    behind = newest is not None and (canonical is None or canonical.commit != newest.commit)
    reason = sweep_report.skip(newest, greens, behind=behind, every=night.every)
    if reason is None and night.ports.clock.monotonic() > night.deadline:
        raise ActError("the sweep's deadline has passed before its turn came")
    return reason
