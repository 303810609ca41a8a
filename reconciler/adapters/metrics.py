"""Prometheus metrics: what the last pass found and what passes cost. Effects: the textfile, if one is wanted.

`publish` writes for node_exporter; `render` is what `/metrics` serves.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from reconciler.adapters import host
from reconciler.model.errors import ObserveError, StateError
from reconciler.model.ids import AppName
from reconciler.model.result import word_of
from reconciler.ports.metrics import Metrics
from reconciler.ports.node import Snapshots
from reconciler.state import files
from reconciler.state.alerts import AlertStore
from reconciler.state.history import HistoryFile
from reconciler.state.record_store import RecordStore
from reconciler.state.requests import RequestQueue

_PASS_BUCKETS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
_PHASE_BUCKETS = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800)


class Figures(Metrics):
    """Counts passes and failures, and renders what the collectors know."""

    def __init__(self, textfile: str, history: HistoryFile, registry: CollectorRegistry) -> None:
        self._last: float | None = None
        self._realms: Gauge | None = None
        self._history = history
        self._offset = history.size()
        self._textfile = Path(textfile) if textfile else None
        self.registry = registry
        self.passes = Histogram(
            "ci_warm_pass_seconds", "How long passes took.", registry=registry, buckets=_PASS_BUCKETS
        )
        self.failures = Counter("ci_warm_pass_failures", "Passes that threw.", registry=registry)
        self.last = Gauge(
            "ci_warm_last_pass_timestamp_seconds", "End of the last pass that came to its end.", registry=registry
        )
        self.phases = Histogram(
            "ci_warm_phase_seconds", "Steps of changes.", ["phase"], registry=registry, buckets=_PHASE_BUCKETS
        )
        self.results = Counter("ci_warm_results", "Terminal outcomes, by result.", ["app", "result"], registry=registry)

    @override
    def passed(self, elapsed_s: float) -> None:
        self.passes.observe(elapsed_s)
        self.last.set(datetime.now(UTC).timestamp())
        self._last = time.monotonic()

    def age(self) -> float | None:
        """Seconds since the last pass that came to its end; None before the first."""
        return None if self._last is None else time.monotonic() - self._last

    @override
    def failed(self) -> None:
        self.failures.inc()

    @override
    def realms(self, count: int) -> None:
        if self._realms is None:  # only a host that has such a thing shows it
            self._realms = Gauge("ci_warm_realms", "Realms on the shared Keycloak.", registry=self.registry)
        self._realms.set(count)

    @override
    def publish(self) -> None:
        self._catch_up()
        if self._textfile is not None:
            files.write_atomic(self._textfile, self.render(), 0o644)

    def _catch_up(self) -> None:
        """Count what history gained since the last time."""
        size = self._history.size()
        if size < self._offset:
            self._offset = 0  # rotated, or a torn tail was set aside
        for line in self._history.lines(self._offset) if size > self._offset else ():
            self.results.labels(line.app, word_of(line.result)).inc()
            for phase, seconds in line.phases.items():
                self.phases.labels(phase).observe(seconds)
        self._offset = size

    def render(self) -> bytes:
        """Everything in the text format."""
        return generate_latest(self.registry)


class StateCollector(Collector):
    """What lies on disk, read at each scrape: per app state, holds, quarantine, snapshots; alerts, queue, disk."""

    def __init__(
        self,
        *,
        store: RecordStore,
        snapshots: Snapshots,
        alerts: AlertStore,
        requests: RequestQueue,
        paths: Sequence[Path],
        calls: Callable[[], int],
    ) -> None:
        self._store = store
        self._snapshots = snapshots
        self._alerts = alerts
        self._spool = requests
        self._paths = paths
        self._calls = calls

    def collect(self) -> Iterable[Metric]:
        """One family after the other."""
        yield from self._of_apps()
        yield self._of_alerts()
        queue = GaugeMetricFamily("ci_warm_requests_waiting", "Requests that wait in requests/.")
        # No figure is better than 0 for a folder that cannot be read; the daemon's own turn tells of it.
        with contextlib.suppress(StateError):
            queue.add_metric([], self._spool.waiting())
        yield queue
        calls = GaugeMetricFamily("ci_warm_engine_calls", "Engine calls of this process.")
        calls.add_metric([], self._calls())
        yield calls
        disk = GaugeMetricFamily("ci_warm_disk_used_ratio", "File systems, 0 to 1.", labels=["path"])
        for path in self._paths:
            try:
                disk.add_metric([str(path)], host.usage(path).percent / 100)
            except ObserveError:
                continue
        yield disk

    def _of_apps(self) -> Iterable[Metric]:
        state = GaugeMetricFamily(
            "ci_warm_app_state", "1 for what an app is.", labels=["app", "status", "result", "version"]
        )
        held = GaugeMetricFamily(
            "ci_warm_app_hold_age_seconds", "Since when a release is held.", labels=["app", "reason"]
        )
        poisoned = GaugeMetricFamily("ci_warm_app_quarantined", "Releases in quarantine.", labels=["app"])
        age = GaugeMetricFamily("ci_warm_snapshot_age_seconds", "Age of the snapshot.", labels=["app"])
        size = GaugeMetricFamily("ci_warm_snapshot_bytes", "Size of the snapshot's archives.", labels=["app"])
        broken = GaugeMetricFamily("ci_warm_app_records_unreadable", "1 if a record cannot be trusted.", labels=["app"])
        report, now = self._store.status(), datetime.now(UTC)
        since = {(a.app, a.reason): a.first_at for _, a in self._alerts.open()}
        for entry in report.apps if report else ():
            state.add_metric([entry.app, entry.status, word_of(entry.result), entry.known_good or ""], 1)
            for hold in entry.holds:
                began = since.get((entry.app, f"held-{hold['reason']}"), entry.at)
                held.add_metric([entry.app, hold["reason"]], max(0.0, (now - began).total_seconds()))
            unreadable = 0
            try:
                poisoned.add_metric([entry.app], len(self._store.memory(AppName(entry.app)).quarantine))
                manifest = self._snapshots.observe(AppName(entry.app))
                if manifest is not None:
                    age.add_metric([entry.app], max(0.0, (now - manifest.created_at).total_seconds()))
                    size.add_metric([entry.app], sum(volume.archive_bytes for volume in manifest.volumes))
            except StateError:
                unreadable = 1
            broken.add_metric([entry.app], unreadable)
        return state, held, poisoned, age, size, broken

    def _of_alerts(self) -> Metric:
        family = GaugeMetricFamily("ci_warm_alerts_open", "Open alerts.", labels=["app", "reason", "severity"])
        counts: dict[tuple[str, str, str], int] = {}
        for _, alert in self._alerts.open():
            key = (alert.app, alert.reason, str(alert.severity))
            counts[key] = counts.get(key, 0) + 1
        for key, count in counts.items():
            family.add_metric(list(key), count)
        return family
