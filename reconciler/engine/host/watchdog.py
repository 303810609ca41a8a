"""Signs of life: the service manager hears one only while the work moves on. Effects: words to the service manager.

Each stretch of work says how long it may take; when that is over and nothing has moved, the watchdog is left to bite.
"""

from collections.abc import Callable

from reconciler import logs
from reconciler.core import pace
from reconciler.engine import lines
from reconciler.engine.lines import Lines
from reconciler.model.moved import Amount
from reconciler.ports.clock import Stop
from reconciler.ports.notifier import Notifier

PASS_S = 600.0
"""A pass may take this long without a step: engine calls and probes have deadlines of their own, far shorter."""
EXTEND_S = 60.0


class Watchdog:
    """Shared by the loop and the workers, which say what they expect, and the thread that speaks for them.

    Each app that is worked on is expected by itself: a long snapshot of one must not hide that the loop hangs.
    """

    def __init__(self, notifier: Notifier, monotonic: Callable[[], float], stop: Stop) -> None:
        self.notifier = notifier
        self.step_s = 7200.0
        self._monotonic = monotonic
        self._stop = stop
        self._loop_until = monotonic() + PASS_S
        self._until: dict[str, float] = {}
        self._lines = Lines(self._say, monotonic)

    def expect(self, seconds: float) -> None:
        """What the loop does now takes at most this long, or says so again."""
        self._loop_until = self._monotonic() + seconds

    def begin(self, app: str) -> None:
        """An app is worked on beside the loop from now on."""
        self._until[app] = self._monotonic() + self.step_s

    def end(self, app: str) -> None:
        """It is not any more."""
        self._until.pop(app, None)

    def is_alive(self) -> bool:
        """Say whether all work is within what was expected."""
        now = self._monotonic()
        return now <= self._loop_until and all(now <= until for until in list(self._until.values()))

    def progress(self, app: str, text: str) -> None:
        """One step of a change: the hook that the ports carry."""
        self._renew(app)
        self.notifier.status(f"{app}: {text}")
        logs.Log().info("step", app=app, doing=text)

    def tell(self, amount: Amount) -> None:
        """What takes long has come further, which is a sign of life as a step is: the other hook of the ports."""
        self._renew(amount.app)
        self._lines.tell(amount)

    def _say(self, amount: Amount, words: pace.Words) -> None:
        self.notifier.status(f"{amount.app}: {amount.doing}: {words.line()}")
        logs.Log().info("step", app=amount.app, doing=amount.doing, **lines.fields(words))

    def _renew(self, app: str) -> None:
        if app in self._until:
            self.begin(app)
        else:
            self.expect(self.step_s)

    def beat(self) -> None:
        """Called every few seconds, from a thread of its own."""
        if not self.is_alive():
            return
        self.notifier.alive()
        if self._stop.is_set():
            # The step that is being finished is safe to finish and unsafe to kill.
            self.notifier.extend(EXTEND_S)
