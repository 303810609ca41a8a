"""What the daemon does beside its passes: pins, a full disk, realms of dead runs, and what people must be told.

Effects: through the ports, and alerts about the host.
"""

from collections.abc import Callable, Sequence

from reconciler import logs
from reconciler.core.conditions import RunLost, SpecWrong
from reconciler.engine.host import image_gc, undeclared
from reconciler.engine.host.desired import Desired
from reconciler.engine.testrun.realms import Reaped
from reconciler.model.alert import Alert
from reconciler.model.errors import ReconcilerError
from reconciler.model.host import Usage
from reconciler.model.ids import HOST
from reconciler.ports.metrics import Metrics
from reconciler.ports.run_starter import LostRun

log = logs.Log()


def keep_house(
    state: Desired,
    telemetry: Metrics,
    usages: Callable[[Sequence[str]], Sequence[Usage]],
    reap: Callable[[], Reaped | None],
) -> None:
    """Do all of it once. `usages`: how full file systems are; `reap`: realms of dead runs, None without a Keycloak.

    Raises:
        ObserveError, StateError: the disk is full and what may go is unknown.
    """
    tell_undeclared(state)
    _realms(telemetry, reap)
    for problem in image_gc.protect(state.ports, state.specs):
        log.warning("pins", problem=problem)
    done = image_gc.watch(state.ports, state.settings, state.specs, usages(state.settings.disk.paths))
    if done is not None:
        log.info("gc", removed=len(done.removed), freed_bytes=done.freed, skipped=done.skipped)


def _realms(telemetry: Metrics, reap: Callable[[], Reaped | None]) -> None:
    """Delete what killed runs left; a Keycloak that is away is told by its own app's state."""
    try:
        done = reap()
    except ReconcilerError as exc:
        log.warning("realms", error=str(exc))
        return
    if done is not None:
        telemetry.realms(len(done.alive) + len(done.foreign))
        for realm in done.removed:
            log.info("realm_reaped", realm=realm)


def tell_problems(state: Desired) -> None:
    """One alert per file of the operator's that is not as it should be; the app goes on as it was."""
    by_file: dict[str, list[str]] = {}
    for problem in state.problems:
        log.warning("desired_state", problem=str(problem))
        by_file.setdefault(problem.file, []).append(str(problem))
    now = state.ports.clock.now()
    _align(state, SpecWrong.REASON, [SpecWrong(file=file).alert(now, texts) for file, texts in by_file.items()])


def tell_lost(state: Desired, found: Sequence[LostRun]) -> None:
    """A test run of which no report tells; the next one of that app that begins ends the alert."""
    for lost in found:
        alert = RunLost(app=lost.app).alert(state.ports.clock.now(), [lost.why])
        state.ports.alerts.raise_(alert, anew=True)


def tell_undeclared(state: Desired) -> None:
    """What is left of apps that are no longer declared; one whose file cannot be read still is."""
    if state.problems:
        undeclared.tell_orphans(state.ports, state.specs)
    else:
        undeclared.settle_alerts(state.ports, state.specs)


def _align(state: Desired, reason: str, found: Sequence[Alert]) -> None:
    for alert in found:
        state.ports.alerts.raise_(alert)
    # What stands is kept by its fingerprint; only what was not found again is over.
    state.ports.alerts.resolve(HOST, [alert.fingerprint for alert in found], reason=reason)
