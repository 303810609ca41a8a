"""What comes to the daemon's loop by itself: the clock, and the engine's events. Effects: threads."""

from collections.abc import Callable
from datetime import UTC

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from reconciler import logs
from reconciler.ports.clock import Stop
from reconciler.ports.events import Events

log = logs.Log()
_THREADS = 4
_PAUSE_S = 1.0


class Timers:
    """Calls that come again and again, each in a thread of its own; one that still goes on is not begun twice."""

    def __init__(self) -> None:
        self._scheduler = BackgroundScheduler(timezone=UTC, executors={"default": ThreadPoolExecutor(_THREADS)})

    def start(self) -> None:
        """Begin to call."""
        self._scheduler.start()

    def stop(self) -> None:
        """Call no more; what is under way goes on."""
        self._scheduler.shutdown(wait=False)

    def clear(self) -> None:
        """Forget all calls."""
        self._scheduler.remove_all_jobs()

    def every(self, seconds: float, call: Callable[[], object], *, jitter: float = 0.0) -> None:
        """Call from now on; one that was missed, because the machine slept or was busy, is made late and once."""
        self._scheduler.add_job(
            call,
            "interval",
            seconds=seconds,
            jitter=jitter or None,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
        )


def follow_events(events: Callable[[], Events], stop: Stop, wake: Callable[[], None]) -> None:
    """Listen to the engine of today until asked to stop; a changed setting may name another one meanwhile."""
    while not stop.is_set():
        mine = events()

        def stopped(mine: Events = mine) -> bool:
            return stop.is_set() or events() is not mine

        try:
            mine.follow(lambda _text: wake(), stopped)
        except Exception as exc:  # noqa: BLE001 - a hint that fails must not end anything
            log.warning("events", error=f"{type(exc).__name__}: {exc}")
        stop.wait(_PAUSE_S)
