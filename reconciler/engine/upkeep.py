"""What the daemon does beside its passes: pins, a full disk, realms of dead runs, and what people must be told.

Effects: through the ports, and alerts about the host.
"""

from collections.abc import Callable, Sequence

import structlog

from reconciler.engine import gc
from reconciler.engine.realms import Reaped
from reconciler.engine.report import RUN_LOST
from reconciler.model.errors import ReconcilerError
from reconciler.model.ids import HOST
from reconciler.model.reports import Alert, Severity
from reconciler.ports.daemon import Desired, Lost, Telemetry, Usage

log = structlog.get_logger("ci-warm")


def tidy(
    state: Desired, telemetry: Telemetry, usages: Callable[[Sequence[str]], Sequence[Usage]],
    reap: Callable[[], Reaped | None],
) -> None:  # fmt: skip
    """Do all of it once. `usages`: how full file systems are; `reap`: realms of dead runs, None without a Keycloak.

    Raises:
        ObserveError, StateError: the disk is full and what may go is unknown.
    """
    tell_orphans(state)
    _realms(telemetry, reap)
    for problem in gc.protect(state.ports, state.specs):
        log.warning("pins", problem=problem)
    done = gc.watch(state.ports, state.settings, state.specs, usages(state.settings.disk.paths))
    if done is not None:
        log.info("gc", removed=len(done.removed), freed_bytes=done.freed, skipped=done.skipped)


def _realms(telemetry: Telemetry, reap: Callable[[], Reaped | None]) -> None:
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


def host_alert(state: Desired, reason: str, evidence: Sequence[str], clears_when: str, key: str) -> Alert:
    """An alert about the host itself."""
    now = state.ports.clock.now()
    return Alert(
        app=HOST, reason=reason, severity=Severity.CRITICAL, evidence=tuple(evidence), clears_when=clears_when,
        fingerprint=f"{HOST}|{reason}|{key}", first_at=now, last_at=now,
    )  # fmt: skip


def tell_problems(state: Desired) -> None:
    """One alert per file of the operator's that is not as it should be; the app goes on as it was."""
    by_file: dict[str, list[str]] = {}
    for problem in state.problems:
        log.warning("desired_state", problem=str(problem))
        by_file.setdefault(problem.file, []).append(str(problem))
    found = [host_alert(state, "spec", texts, "the file is right", file) for file, texts in by_file.items()]
    _bring_in_line(state, "spec", found)


def tell_lost(state: Desired, found: Sequence[Lost]) -> None:
    """A test run that nobody would ever hear of; the next one of that app that begins ends the alert."""
    now = state.ports.clock.now()
    for lost in found:
        state.ports.alerts.raise_(
            Alert(
                app=lost.app, reason=RUN_LOST, severity=Severity.CRITICAL, evidence=(lost.why,), first_at=now,
                clears_when=f"a test run of {lost.app} begins, as by ci-warm cold {lost.app}", last_at=now,
                fingerprint=f"{lost.app}|{RUN_LOST}|",
            ),
            anew=True,
        )  # fmt: skip


def tell_orphans(state: Desired) -> None:
    """A change that was begun for an app that is no longer declared: nobody would ever finish it."""
    store, declared = state.ports.store, {spec.app for spec in state.specs}
    found = [
        host_alert(
            state, "orphan", [f"{app} has a change under way and is no longer declared, so it is left as it is"],
            f"{app} is declared again until the change is over", app,
        )
        for app in store.apps()
        if app not in declared and gc.is_under_way(store, app)
    ]  # fmt: skip
    _bring_in_line(state, "orphan", found)


def _bring_in_line(state: Desired, reason: str, found: Sequence[Alert]) -> None:
    for alert in found:
        state.ports.alerts.raise_(alert)
    state.ports.alerts.resolve(HOST, [alert.fingerprint for alert in found], reason=reason)
