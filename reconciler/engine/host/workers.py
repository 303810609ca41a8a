"""Works on apps beside the daemon's loop, so that one app's long change keeps no other waiting. Effects: threads.

At most one job per app. What heals or goes back has threads of its own; new releases are taken in one thread, one app
after the other, in rounds: a rollback stops the rest of its round.
"""

import contextvars
import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from reconciler import logs
from reconciler.engine.context import Context
from reconciler.engine.host import one_pass
from reconciler.engine.host.one_app import Due, reconcile
from reconciler.engine.host.one_pass import Checked
from reconciler.engine.host.watchdog import Watchdog
from reconciler.engine.live.report import Report
from reconciler.model.errors import Interrupted
from reconciler.model.ids import AppName

log = logs.Log()


class Workers:
    """The daemon's jobs. `finish` is told each report, in the thread that made it."""

    def __init__(self, watchdog: Watchdog, finish: Callable[[Context, Report], None], count: int) -> None:
        self._watchdog = watchdog
        self._finish = finish
        self._care = ThreadPoolExecutor(max_workers=count, thread_name_prefix="care")
        self._releases = ThreadPoolExecutor(max_workers=1, thread_name_prefix="release")
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._busy: set[AppName] = set()
        self._cared_for: set[AppName] = set()
        self._round_is_open = False

    @property
    def busy(self) -> frozenset[AppName]:
        """Apps that have a job, begun or waiting."""
        with self._lock:
            return frozenset(self._busy)

    def submit(self, checked: Checked) -> None:
        """Give every app that has something due its job, unless it has one or comes after one that has."""
        with self._lock:
            free = [context for context in checked.contexts if context.app not in self._busy]
            care = [context for context in free if checked.due[context.app] is Due.CARE]
            # One that comes after another waits until that one is cared for, but not until it has its new release.
            waited_for = self._cared_for | {context.app for context in care}
            for context in care:
                if not waited_for & set(context.spec.after):
                    self._busy.add(context.app)
                    self._cared_for.add(context.app)
                    self._start(self._care, partial(self._care_for, context, checked.problem(context)))
            releases = [context for context in free if checked.due[context.app] is Due.RELEASE]
            if releases and not self._round_is_open:
                self._round_is_open = True
                self._busy |= {context.app for context in releases}
                self._start(self._releases, partial(self._take_releases, releases, checked))

    def _start(self, pool: ThreadPoolExecutor, work: Callable[[], None]) -> None:
        # With the log's context of this pass, so that its lines carry the same run_id.
        pool.submit(contextvars.copy_context().run, _tell_failure, work)

    def _care_for(self, context: Context, fetch_problem: str | None) -> None:
        try:
            self._watchdog.begin(context.app)
            self._finish(context, reconcile(context, fetch_problem=fetch_problem))
        except Interrupted:
            self._report_stopped([context])
        finally:
            self._release([context.app])

    def _take_releases(self, contexts: Sequence[Context], checked: Checked) -> None:
        left = [context.app for context in contexts]
        by_name = {context.app: context for context in contexts}
        try:
            self._watchdog.begin(left[0])
            for report in one_pass.take_releases(contexts, checked.problems):
                done = AppName(report.status.app)
                self._finish(by_name[done], report)
                left.remove(done)
                # Free for care at once: the rest of the round may take hours.
                self._release([done])
                if left:
                    self._watchdog.begin(left[0])
        except Interrupted:
            self._report_stopped(contexts)
        finally:
            with self._lock:
                self._round_is_open = False
            self._release(left)

    def _report_stopped(self, contexts: Sequence[Context]) -> None:
        """A journal tells the next start; until then `status` tells people."""
        by_name = {context.app: context for context in contexts}
        for report in one_pass.report_stopped(contexts):
            self._finish(by_name[AppName(report.status.app)], report)

    def _release(self, apps: Sequence[AppName]) -> None:
        for app in apps:
            self._watchdog.end(app)
        with self._idle:
            self._busy -= set(apps)
            self._cared_for -= set(apps)
            self._idle.notify_all()

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait until no app has a job, at most so long; says whether it came to that."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._busy, seconds)

    def stop(self) -> None:
        """Wait until every job has ended at its next safe step; none is begun any more."""
        # Releases first: no new one is begun while the last steps of care are waited for.
        self._releases.shutdown(wait=True, cancel_futures=True)
        self._care.shutdown(wait=True, cancel_futures=True)


def _tell_failure(work: Callable[[], None]) -> None:
    """Do a job; a mistake in it is logged, where the pool would keep it to itself."""
    try:
        work()
    except Exception as exc:
        log.error("failed", what="job", error=f"{type(exc).__name__}: {exc}", traceback=traceback.format_exc())
        raise
