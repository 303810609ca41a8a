"""Nothing of a run is left: its stack, its realm, its handle; and the reaper for runs that died. Effects: removals.

Only what a run's report names is ever removed, never a stack that is declared, and only while its lock is held.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from reconciler import logs
from reconciler.core.conditions import RunLeftovers
from reconciler.core.testrun import summary
from reconciler.engine.canonical import data
from reconciler.engine.clocks import unstoppable
from reconciler.engine.context import Context
from reconciler.engine.ports import Ports
from reconciler.engine.testrun.environment import RunEnvironment
from reconciler.model.app import AppSpec
from reconciler.model.errors import ActError, Interrupted, LockBusy, ObserveError, ReconcilerError, StateError
from reconciler.model.ids import HOST, RunName, StackName
from reconciler.model.settings import RunSettings
from reconciler.model.testrun import Run, RunMode, RunResult
from reconciler.state.runs import RunHandle

log = logs.Log()
_POLL_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Seconds to go on removing, and to wait for an engine that does not answer."""

    removing: float
    away: float


def own_patience(settings: RunSettings) -> Patience:
    """How long a run goes on with its own stack."""
    return Patience(removing=settings.teardown, away=settings.teardown)


def _reapers_patience(settings: RunSettings) -> Patience:
    # The reaper comes again, and passes wait while it works: an engine that is away now is left to the next time.
    return Patience(removing=settings.reap, away=0.0)


def remove_stack(ports: Ports, run: Run, specs: Sequence[AppSpec], patience: Patience) -> tuple[str, ...]:
    """Remove a cold run's stack whole; what is still there when patience ends, by name."""
    declared = {spec.stack_name for spec in specs}
    # A report is a file: whatever it names, a stack that a spec declares holds data that is not the run's to
    # remove.
    if run.mode is not RunMode.COLD or StackName(run.stack) in declared:
        return (f"stack {run.stack} is declared, so it is not removed",)
    clock = ports.clock
    began = clock.monotonic()
    while True:
        try:
            # Asked again until nothing is left: Swarm removes networks and volumes only once the last task
            # has gone.
            left = ports.engine.purge(StackName(run.stack))
            if not left:
                # Last: until the stack is gone its containers may still refer to them.
                ports.engine.protect_images(RunName(run.run), [])
                return ()
            patient = patience.removing
        except (ActError, ObserveError, OSError) as exc:
            left, patient = (f"unknown: {exc}",), patience.away
        if clock.monotonic() - began > patient:
            return left
        clock.wait(_POLL_S)


def finish(handle: RunHandle, run: Run) -> Run:
    """Write the last word; a disk that is full costs the report, never the teardown."""
    try:
        if run.torn_down and (left := handle.clear()):
            run = run.model_copy(update={"leftovers": (*run.leftovers, *left), "torn_down": False})
        handle.write(run)
    except OSError as exc:
        log.error("run_report", run=run.run, error=str(exc))
    return run


class Fate(StrEnum):
    """What the reaper came to with one run. `ended`: another process finished it meanwhile."""

    REMOVED = "removed"
    ALIVE = "alive"
    KEPT = "kept"
    FAILED = "failed"
    ENDED = "ended"


@dataclass(frozen=True, kw_only=True)
class Reaped:
    """What the reaper did. `alive`: runs that hold their lock; `kept`: red ones that the operator wants to look at."""

    removed: Sequence[str]
    alive: Sequence[str]
    kept: Sequence[str]
    failed: Sequence[str]


def reap(environment: RunEnvironment, only: str | None = None) -> Reaped:
    """Tear down what killed runs left. `only`: this run, also if it is kept for a look."""
    fates: dict[str, Fate] = {}
    left: list[str] = []
    for run in environment.runs.unfinished():
        if only in (None, run.run):
            fates[run.run], leftovers = _reap_one(environment, run, asked_for=only is not None)
            left += [f"{run.run}: {name}" for name in leftovers]
    environment.runs.prune(environment.settings.runs.keep_reports)
    if only is None:
        _tell(environment, left)

    def of(fate: Fate) -> list[str]:
        return [run for run, found in fates.items() if found is fate]

    return Reaped(removed=of(Fate.REMOVED), alive=of(Fate.ALIVE), kept=of(Fate.KEPT), failed=of(Fate.FAILED))


def _reap_one(environment: RunEnvironment, run: Run, *, asked_for: bool) -> tuple[Fate, tuple[str, ...]]:
    """Look after one run; what is left of it, in words. One that is broken in any way is its own matter alone."""
    if not asked_for and run.kept_until is not None and environment.ports.clock.now() < run.kept_until:
        return Fate.KEPT, ()
    handle = None
    try:
        handle = environment.runs.reopen(run.run, "ci-warm runs reap")
        # Another process may have finished it between the look and the lock.
        fresh = environment.runs.report(run.run)
        if fresh is None or fresh.torn_down:
            return Fate.ENDED, ()
        if not asked_for and fresh.kept_until not in (None, run.kept_until):
            return Fate.KEPT, ()
        done = _remove(environment, handle, fresh)
    except LockBusy:
        return Fate.ALIVE, ()
    except Interrupted:
        raise
    except (ReconcilerError, OSError) as exc:
        log.warning("reap", run=run.run, error=str(exc))
        return Fate.FAILED, (f"cannot be taken down: {exc}",)
    finally:
        if handle is not None:
            handle.close()
    return (Fate.REMOVED if done.torn_down else Fate.FAILED), done.leftovers


def _tell(environment: RunEnvironment, left: Sequence[str]) -> None:
    """What cannot be removed stays until the operator helps, so the operator is told; once, for all of it."""
    alerts, now = environment.ports.alerts, environment.ports.clock.now()
    try:
        if not left:
            alerts.resolve(HOST, [], reason=RunLeftovers.REASON)
            return
        alerts.raise_(RunLeftovers().alert(now, left))
    except OSError as exc:
        log.error("alert_not_written", error=str(exc))  # a full disk must not keep the next test waiting


def _remove(environment: RunEnvironment, handle: RunHandle, run: Run) -> Run:
    now = environment.ports.clock.now()
    if run.result is RunResult.RUNNING:
        run = run.model_copy(
            update={
                "result": RunResult.DIED,
                "finished_at": now,
                "elapsed_seconds": round((now - run.started_at).total_seconds(), 3),
            }
        )
    # Checks first: a check of a dead run could still call the app, or deploy with the operator's rights.
    environment.checks.end(run.run)
    left = (
        remove_stack(environment.ports, run, environment.specs, _reapers_patience(environment.settings.runs))
        if run.mode is RunMode.COLD
        else _canonical(environment, run)
    )
    # A cold run may have died in its promotion: then the canonical of its recipe carries its mark.
    if run.mode is RunMode.COLD and (promoting := _find_enrolled(environment, run.app)) is not None:
        left += _under_lock(environment, promoting, lambda context: _recover_abandoned(context, run.run))
    done = finish(handle, run.model_copy(update={"leftovers": left, "torn_down": not left}))
    environment.ports.history.append(summary.history_line(done))
    return done


def _find_enrolled(environment: RunEnvironment, app: str) -> AppSpec | None:
    return next((spec for spec in environment.specs if spec.name == app), None)


def _canonical(environment: RunEnvironment, run: Run) -> tuple[str, ...]:
    """A quick run that died: its canonical comes down and its data goes back."""
    spec = _find_enrolled(environment, run.app)
    if spec is None:
        return ()
    return _under_lock(environment, spec, lambda context: _recover_abandoned(context, run.run))


def _recover_abandoned(context: Context, run: str) -> tuple[str, ...]:
    use = context.ports.canonicals.use(context.app)
    return data.recover(context) if use is not None and use.by == run else ()


def _under_lock(
    environment: RunEnvironment, spec: AppSpec, work: Callable[[Context], tuple[str, ...]]
) -> tuple[str, ...]:
    held = environment.ports.locks.acquire(spec.app, "ci-warm runs reap")
    try:
        return work(
            Context(ports=unstoppable(environment.ports), settings=environment.settings, spec=spec, actor="reaper")
        )
    except (ActError, ObserveError, StateError, OSError) as exc:
        return (str(exc),)
    finally:
        held.release()
