"""Composition root of the long-lived process: the daemon with everything around it. Effects: locks the state root.

Called by `cli.run`. What a single command needs is put together in `app`.
"""

import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from prometheus_client import CollectorRegistry
from typing_extensions import override

from reconciler import app as composition
from reconciler import logs
from reconciler.adapters import host, monitor
from reconciler.adapters.clock import SystemClock
from reconciler.adapters.errand_processes import ErrandProcesses
from reconciler.adapters.forge import ForgeApi
from reconciler.adapters.metrics import Figures, StateCollector
from reconciler.adapters.relay import Relay
from reconciler.adapters.run_processes import RunProcesses
from reconciler.adapters.systemd import Systemd
from reconciler.core.host import spec_set
from reconciler.engine.host import housekeeping, side_work
from reconciler.engine.host.daemon import Daemon, Surroundings
from reconciler.engine.host.desired import Desired, DesiredState
from reconciler.engine.host.forge_answers import Waiting
from reconciler.engine.host.memberships import Doors
from reconciler.engine.host.watchdog import Watchdog
from reconciler.engine.testrun import realms, teardown
from reconciler.model.app import AppSpec
from reconciler.model.errors import ObserveError, Problem, SpecError
from reconciler.model.host import Check, Usage
from reconciler.model.settings import Settings
from reconciler.ports.events import Events
from reconciler.ports.progress import Listener
from reconciler.state import files, specs
from reconciler.state.alerts import AlertStore
from reconciler.state.asked_tests import AskedTests
from reconciler.state.history import HistoryFile
from reconciler.state.requests import RequestQueue, RequestSender

_LATE_PASSES = 5
log = logs.Log()


class OperatorFiles(DesiredState):
    """Desired state from `config.yaml` and `apps/`."""

    def __init__(self, config: Path, state: Path, clock: SystemClock, watchdog: Watchdog) -> None:
        self._config = config
        self._state = state
        self._clock = clock
        self._pulse = watchdog
        self.app: composition.App | None = None
        self.specs: tuple[AppSpec, ...] = ()
        self._had_config = False

    @override
    def stamp(self) -> Hashable:
        return specs.stamp(self._config)

    @override
    def load(self, before: Desired | None) -> Desired:
        """Adapters are built anew only for other settings."""
        # Before reading: a file that changes meanwhile has another stamp at the next look and is read again.
        stamp = self.stamp()
        problems: list[Problem] = []
        try:
            if before is not None and self._had_config and not self._config.exists():
                # A file that vanishes is more likely a mistake, or an editor at work, than a wish for all
                # defaults.
                gone = "is gone; the settings that were in it still hold"
                raise SpecError([Problem(file=str(self._config), line=0, key="", message=gone)])
            settings = specs.read_settings(self._config)
            self._had_config = self._config.exists()
        except SpecError as exc:
            if before is None:
                raise
            settings = before.settings
            problems += exc.problems
        known = before.by_file if before else {}
        by_file, found = specs.read_usable(specs.folders(self._config), settings, known)
        chosen = self.specs = spec_set.in_order(list(by_file.values()))
        if before is not None and settings == before.settings:
            ports, events = before.ports, before.events
        else:
            self.app = composition.assemble(
                settings,
                chosen,
                self._state,
                clock=self._clock,
                listener=Listener(step=self._pulse.progress, tell=self._pulse.tell),
            )
            ports, events = self.app.ports, _events_of(settings)
        return Desired(
            settings=settings,
            specs=chosen,
            by_file=by_file,
            ports=ports,
            events=events,
            stamp=stamp,
            problems=(*problems, *found),
        )


class _Silence:
    """The events of an engine that has none: the daemon's own clock is enough."""

    def follow(self, wake: object, stopped: object) -> None:
        """Nothing ever comes."""


def _events_of(settings: Settings) -> Events:
    if settings.engine == "embedded":
        return _Silence()
    from reconciler.adapters.swarm.events import SwarmEvents

    return SwarmEvents(settings.docker_host)


@contextmanager
def daemon(config: Path, state: Path) -> Iterator[Daemon]:
    """Put the daemon together; it serves metrics and health while the block lasts.

    Raises:
        SpecError: the settings are wrong; wrong specs are alerted, not raised.
        StateError: the state root is not safe to use.
        LockBusy: another daemon works on it.
        UsageError: the monitor's address cannot be taken.
    """
    clock = SystemClock()
    watchdog = Watchdog(Systemd(), clock.monotonic, clock.stop)
    operator = OperatorFiles(config, state, clock, watchdog)
    desired = operator.load(None)
    app = operator.app
    if app is None:
        raise AssertionError("the first load builds the app")
    # A second daemon must fail here, before it serves anything or takes a request.
    held = app.ports.locks.turn("daemon", "ci-warm run")
    try:
        gid = files.group_id(desired.settings.group)
        requests = RequestQueue(state / "requests", gid)
        requests.prepare()
        figures = _figures(app, state, requests)
        waiting, alerts = Waiting(asked=AskedTests(state / "asked"), runs=app.runs), app.alerts
        around = Surroundings(
            desired=operator,
            requests=requests,
            telemetry=figures,
            watchdog=watchdog,
            stop=clock.stop,
            starter=RunProcesses(config, state, app.runs.reports),
            errands=ErrandProcesses(config, state),
            waiting=waiting,
            side_works=(
                side_work.drills(),
                side_work.relay(lambda now: _relay(now, alerts)),
                side_work.forge(waiting, _doors(requests, gid), ForgeApi),
            ),
        )
        made = Daemon(
            around,
            desired,
            keep_house=lambda now: _keep_house(operator, now, figures, state),
        )
        pages = monitor.Pages(figures.render, _checks(made, state, figures), watchdog.is_alive)
        with monitor.serve(_listen(desired.settings), pages, gid):
            yield made
    finally:
        held.release()


def _doors(requests: RequestQueue, gid: int | None) -> Doors:
    return Doors(unproven=requests.unproven, sender=RequestSender(requests.folder, gid), replies=requests.replies)


def _keep_house(operator: OperatorFiles, now: Desired, figures: Figures, state: Path) -> None:
    _reap_runs(operator, now)
    housekeeping.keep_house(now, figures, lambda paths: _usages(state, paths), lambda: _reap(operator))


def _relay(state: Desired, alerts: AlertStore) -> None:
    """Tell people, if the settings name any."""
    settings = state.settings.relay
    if not settings.command and not settings.apprise_file:
        return
    sent, problems = Relay(alerts, settings).run()
    if problems:
        raise ObserveError("; ".join(problems))
    if sent:
        log.info("relayed", alerts=[message.key for message in sent])


def _reap(operator: OperatorFiles) -> realms.Reaped | None:
    """Reap with the settings of now; None if they name no Keycloak."""
    app = operator.app
    if app is None or app.settings.keycloak is None:
        return None
    # The specs may have been read again since the app was put together.
    return realms.reap(composition.realm_context(replace(app, specs=operator.specs)))


def _reap_runs(operator: OperatorFiles, now: Desired) -> None:
    """Remove what dead runs left; one that cannot be removed is told by its report and tried again."""
    if operator.app is not None:
        done = teardown.reap(replace(composition.run_environment(operator.app), specs=now.specs, ports=now.ports))
        for run in done.removed:
            log.info("run_reaped", run=run)


def _figures(app: composition.App, state: Path, requests: RequestQueue) -> Figures:
    registry = CollectorRegistry()
    figures = Figures(app.settings.monitor.textfile, HistoryFile(state / "history.jsonl"), registry)
    paths = [state, *(Path(path) for path in app.settings.disk.paths)]
    registry.register(
        StateCollector(
            store=app.store,
            snapshots=app.snapshots,
            alerts=app.alerts,
            requests=requests,
            paths=paths,
            calls=lambda: getattr(getattr(app.ports.engine, "client", None), "calls", 0),
        )
    )
    return figures


def _usages(state: Path, paths: Sequence[str]) -> list[Usage]:
    """The watched file systems, each once."""
    return host.usages([state, *map(Path, paths)])


def _checks(made: Daemon, state: Path, figures: Figures) -> Mapping[str, Check]:
    def docker() -> str:
        made.state.ports.engine.check()
        return "answers"

    def disk() -> str:
        high = made.state.settings.disk.high
        full = [f"{u.path} {u.percent} %" for u in _usages(state, made.state.settings.disk.paths) if u.percent >= high]
        if full:
            raise ObserveError(f"too full: {', '.join(full)}")
        return "room"

    def passes() -> str:
        if made.failed:
            raise ObserveError(made.failed)
        age = figures.age()
        late = made.state.settings.daemon.interval * _LATE_PASSES
        if age is None:
            raise ObserveError("no pass has come to its end yet")
        if age > late:
            raise ObserveError(f"the last pass ended {age:.0f} s ago")
        return f"{age:.0f} s ago"

    return {
        "docker": docker,
        "state_root": lambda: host.state_root_is_writable(state),
        "disk": disk,
        "git": host.git_runs,
        "passes": passes,
    }


def _listen(settings: Settings) -> str:
    if settings.monitor.listen:
        return settings.monitor.listen
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return f"unix:{runtime}/http.sock" if runtime else ""
