"""The long-lived loop: what wakes it, in what order it answers, signs of life. Decides nothing about apps.

Effects: passes, fetches, garbage collection, all through the ports; threads for the clock and the event stream.

One thread makes the passes, so that two never overlap; what is due for an app is done beside it (`workers`). Timers,
events, signals and requests only put a word into a queue; everything that waits there when the loop comes back is one
reason to look once more.
"""

import queue
import signal
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from reconciler import logs
from reconciler.core.conditions import TurnFailed
from reconciler.core.host import result_level
from reconciler.engine.context import Context
from reconciler.engine.host import forge_answers, housekeeping, one_pass
from reconciler.engine.host import requests as host_requests
from reconciler.engine.host.desired import Desired, DesiredState
from reconciler.engine.host.fetcher import Fetcher
from reconciler.engine.host.forge_answers import Waiting
from reconciler.engine.host.side_work import SideWork
from reconciler.engine.host.timers import Timers, follow_events
from reconciler.engine.host.watchdog import PASS_S, Watchdog
from reconciler.engine.host.workers import Workers
from reconciler.engine.live.report import Report
from reconciler.model.alert import Severity
from reconciler.model.errors import Interrupted, ReconcilerError
from reconciler.model.ids import HOST
from reconciler.ports.clock import Stop
from reconciler.ports.errands import Errands
from reconciler.ports.metrics import Metrics
from reconciler.ports.run_starter import RunStarter
from reconciler.state.requests import RequestQueue

TICK, EVENT, RELOAD, REQUEST, FETCHED, DISK, STOP = "tick", "event", "reload", "request", "fetched", "disk", "stop"
_DEBOUNCE_S = 0.1
_BEAT_S = 10.0
_SLACK_S = 60.0

log = logs.Log()
_LEVELS = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "error"}


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the loop works with beside the ports of the desired state, which change with it."""

    desired: DesiredState
    requests: RequestQueue
    telemetry: Metrics
    watchdog: Watchdog
    stop: Stop
    starter: RunStarter
    errands: Errands
    waiting: Waiting
    side_works: Sequence[SideWork] = ()


class Daemon:
    """`ci-warm run`. `keep_house`: what is done now and then between the passes."""

    def __init__(
        self,
        around: Surroundings,
        state: Desired,
        *,
        keep_house: Callable[[Desired], None],
    ) -> None:
        self.state = state
        self.passes = 0
        self.failed = ""
        self._desired = around.desired
        self._requests = around.requests
        self._telemetry = around.telemetry
        self._watchdog = around.watchdog
        self._stop = around.stop
        self._starter = around.starter
        self._helpers = host_requests.Helpers(
            starter=around.starter,
            errands=around.errands,
            replies=around.requests.replies,
            asked=around.waiting.asked,
            unproven=around.requests.unproven,
        )
        self._waiting = around.waiting
        self._keep_house = keep_house
        self._side_works = around.side_works
        self._wakes: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._requests_stamp = around.requests.stamp()
        self._fetcher = Fetcher(lambda: self.state, lambda: self.wake(FETCHED))
        self._ended = -1e9
        self._reports: dict[str, Report] = {}
        self._publishing = threading.Lock()
        self.workers = Workers(around.watchdog, self._finish, state.settings.daemon.checks)
        self._timers = Timers()

    def wake(self, reason: str) -> None:
        """Ask for a look; safe in signal handlers and threads."""
        self._wakes.put(reason)

    def install_signals(self) -> None:
        """SIGTERM, SIGINT: end at the next safe step. SIGHUP: read the operator's files again."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._ask_to_stop())
        signal.signal(signal.SIGHUP, lambda *_: self.wake(RELOAD))

    def _ask_to_stop(self) -> None:
        self._stop.set()
        self.wake(STOP)

    def run(self) -> None:
        """Work until asked to stop; whatever is under way then ends at its next safe step."""
        self._take_over(self.state)
        self._timers.start()
        for name, work in (("watchdog", self._beat), ("events", self._follow_events), ("fetch", self._fetcher.run)):
            threading.Thread(target=work, name=name, daemon=True).start()
        self._watchdog.notifier.ready(self._idle_text())
        self._fetcher.wait_a_moment()
        names = [spec.name for spec in self.state.specs]
        self._guarded("runs", lambda: forge_answers.begin_again(self._waiting, self._starter, names))
        self.wake(REQUEST)  # what was left while no daemon ran
        self.wake(TICK)
        try:
            while not self._stop.is_set():
                self._turn(self._next())
        except Interrupted:
            pass
        finally:
            self._watchdog.notifier.stopping("stopped at a safe step")
            self._starter.stop()
            self._helpers.errands.stop()
            self.workers.stop()
            self._timers.stop()
            log.info("stopped", passes=self.passes)

    def _take_over(self, state: Desired) -> None:
        """Work with this desired state from now on."""
        self.state = state
        self._watchdog.step_s = state.settings.daemon.step
        self._timers.clear()
        daemon = state.settings.daemon
        self._timers.every(daemon.interval, lambda: self.wake(TICK), jitter=min(daemon.jitter, daemon.interval / 2))
        self._timers.every(daemon.watch, self._watch)
        self._timers.every(state.settings.disk.every, lambda: self.wake(DISK))
        for work in self._side_works:
            self._timers.every(work.every(state.settings), partial(self._beside, work))
        self._timers.every(max(1.0, state.settings.fetch_every), self._fetcher.ask)
        self._fetcher.begin_anew()
        housekeeping.tell_problems(state)
        housekeeping.tell_undeclared(state)

    def _watch(self) -> None:
        """Notice that specs or requests moved; runs in the scheduler's threads, so it only says so."""
        if self._desired.stamp() != self.state.stamp:
            self.wake(RELOAD)
        before, self._requests_stamp = self._requests_stamp, self._requests.stamp()
        if before != self._requests_stamp:
            self.wake(REQUEST)

    def _beat(self) -> None:
        """Signs of life, from a thread that nothing else can keep busy and on a clock that cannot be set."""
        pause = min(_BEAT_S, (self._watchdog.notifier.watchdog_s or _BEAT_S * 3) / 3)
        while True:
            self._watchdog.beat()
            time.sleep(pause)  # also while stopping: a step that is being finished needs its time extended

    def _beside(self, work: SideWork) -> None:
        """Something that may take long and that the loop does not wait for; in a thread of the scheduler's."""
        try:
            work.do(self.state)
        except Exception as exc:  # noqa: BLE001 - what is done beside the loop must not end what it is for
            log.error("failed", what=work.name, error=f"{type(exc).__name__}: {exc}")

    def _follow_events(self) -> None:
        follow_events(lambda: self.state.events, self._stop, lambda: self.wake(EVENT))

    def _next(self) -> set[str]:
        """Wait for a reason; what else came meanwhile is answered by the same look."""
        settings = self.state.settings.daemon
        self._watchdog.expect(2 * settings.interval + _SLACK_S)
        try:
            # Twice the interval: the scheduler goes by the wall clock, which may have been set back.
            reasons = {self._wakes.get(timeout=2 * settings.interval)}
        except queue.Empty:
            reasons = {TICK}
        now = self.state.ports.clock.monotonic
        until = max(now() + _DEBOUNCE_S, self._ended + settings.event_gap)
        while not self._stop.is_set():
            waiting = until - now() if reasons <= {EVENT} else 0.0
            try:
                reasons.add(self._wakes.get(timeout=max(0.0, waiting)))
            except queue.Empty:
                break
        return reasons

    def _turn(self, reasons: set[str]) -> None:
        self._watchdog.expect(PASS_S)
        if STOP in reasons:
            return
        if RELOAD in reasons:
            self._guarded("reload", self._reload)
        if REQUEST in reasons:
            self._guarded("requests", self._grant)
        self._guarded("runs", self._tell_lost)
        if DISK in reasons:
            self._guarded("disk", lambda: self._keep_house(self.state))
        if reasons - {DISK}:
            self._guarded("pass", self._pass)

    def _guarded(self, what: str, work: Callable[[], None]) -> None:
        """Whatever goes wrong is told and counted, and the next turn comes."""
        alerts = self.state.ports.alerts
        try:
            work()
            alerts.resolve(HOST, [], reason=TurnFailed(turn=what).reason)
        except Interrupted:
            raise
        except Exception as exc:  # noqa: BLE001 - the loop must outlive any mistake of one turn
            self.failed = f"{what}: {type(exc).__name__}: {exc}"
            self._telemetry.failed()
            log.error("failed", what=what, error=self.failed, traceback=traceback.format_exc())
            evidence = str(exc) if isinstance(exc, ReconcilerError) else self.failed
            try:
                alerts.raise_(TurnFailed(turn=what).alert(self.state.ports.clock.now(), [evidence]))
            except OSError as again:
                log.error("alert_not_written", error=str(again))
        else:
            self.failed = "" if self.failed.startswith(f"{what}:") else self.failed

    def _reload(self) -> None:
        notifier = self._watchdog.notifier
        notifier.reloading(self.state.ports.clock.monotonic())
        try:
            self._take_over(self._desired.load(self.state))
            self._fetcher.wait_a_moment()
        finally:
            notifier.ready(self._idle_text())
        log.info("reloaded", apps=len(self.state.specs), problems=len(self.state.problems))

    def _tell_lost(self) -> None:
        lost = forge_answers.tell_askers(self._waiting, self._starter.collect_lost())
        housekeeping.tell_lost(self.state, lost)

    def _grant(self) -> None:
        """Take requests, and look at what they changed or are about."""
        done = host_requests.answer(self._requests.take(), self.state, self._helpers)
        if done.changed:
            self.wake(TICK)
        if done.fetch:
            self._fetcher.ask(done.fetch)  # the pass comes when they are fetched

    def _pass(self) -> None:
        state = self.state
        clock = state.ports.clock
        logs.load().contextvars.bind_contextvars(run_id=f"{clock.now():%Y%m%dT%H%M%S}-{self.passes}")
        try:
            checked = one_pass.check_all(
                state.ports, state.settings, state.specs, actor="daemon", fetched=self._fetcher.problems
            )
        finally:
            self._ended = clock.monotonic()
        with self._publishing:
            self._reports = {report.status.app: report for report in checked.reports}
            one_pass.publish(state.ports, checked.reports, checked, checked.elapsed_s, keep=checked.due)
        self.workers.submit(checked)
        self.passes += 1
        self._telemetry.passed(checked.elapsed_s)
        try:
            self._telemetry.publish()
        except OSError as exc:
            log.warning("textfile", error=str(exc))
        for report in checked.reports:
            self._tell(report)
        log.info("pass", apps=len(state.specs), elapsed_s=round(checked.elapsed_s, 3), due=sorted(checked.due))
        self._watchdog.notifier.status(self._idle_text())

    def _finish(self, context: Context, report: Report) -> None:
        """A worker is done with an app: publish it at once, and look again if the app was changed."""
        try:
            with self._publishing:
                self._reports[report.status.app] = report
                names = [spec.name for spec in self.state.specs]
                one_pass.publish(context.ports, [report], None, 0.0, keep=names)
        except OSError as exc:
            log.error("status_not_written", error=str(exc))
        self._tell(report)
        if report.outcome.changed:
            self.wake(EVENT)

    def _tell(self, report: Report) -> None:
        """One line for an app that is not quiet."""
        outcome = report.outcome
        if outcome.changed or not outcome.ok:
            level = _LEVELS[result_level.choose_level(outcome.result.kind, ok=outcome.ok)]
            words = {"app": report.status.app, "result": report.status.result, "evidence": outcome.evidence[:3]}
            getattr(log, level)("result", **words)

    def _idle_text(self) -> str:
        reports = list(self._reports.values())
        held = sum(bool(report.outcome.holds) for report in reports)
        bad = [report.status.app for report in reports if not report.outcome.ok]
        parts = [f"{len(self.state.specs)} apps", *([f"{held} held"] if held else [])]
        working = sorted(self.workers.busy)
        parts += [f"working on {', '.join(working[:5])}"] if working else []
        return ", ".join(parts) + (f"; not well: {', '.join(bad[:5])}" if bad else "")
