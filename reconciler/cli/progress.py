"""What a command is doing and how far it is: log lines, and bars on a terminal. Effects: stderr.

Called by the engine's hooks, from any thread. Short work shows nothing but its steps.
"""

import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler import logs
from reconciler.core import pace
from reconciler.engine import lines
from reconciler.model.moved import Amount, Counted

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LONG_S = 2.0
"""What takes less is not shown."""
_WIDE, _BAR, _HEAD = 70, 16, 8


class Shown:
    """What is under way now. `doing`: kept up to date, by app."""

    def __init__(self, doing: dict[str, str]) -> None:
        self.doing = doing
        self._bars = Bars() if sys.stderr.isatty() and logs.uses_colour() else None
        self._sink = self._bars.tell if self._bars else lines.Lines(_log, time.monotonic, LONG_S).tell

    def step(self, name: str, text: str) -> None:
        """What is done now, in words: the hook that the ports carry."""
        self.doing[name] = text
        logs.Log().info("step", app=name, doing=text)

    def tell(self, amount: Amount) -> None:
        """How far it is: the other hook."""
        if amount.over and isinstance(amount, Counted):
            self.doing.pop(amount.app, None)
        else:
            percent = None if amount.over else pace.share(amount)
            self.doing[amount.app] = amount.doing if percent is None else f"{amount.doing}, {percent} %"
        self._sink(amount)

    def fresh_line(self) -> str:
        """What to write before a line that must not wait for a lock: it takes the place of a bar that stands there."""
        return "\r\x1b[2K" if self._bars and self._bars.is_drawn else ""


def _log(amount: Amount, words: pace.Words) -> None:
    logs.Log().info("step", app=amount.app, doing=amount.doing, **lines.fields(words))


class _Bar:
    """One thing that is under way, on a terminal."""

    def __init__(self, amount: Amount, now: float, task: "TaskID | None" = None) -> None:
        self.amount, self.began, self.task = amount, now, task
        self._first = self._last = pace.begin(amount.done, now)
        self._told = now

    def follow(self, amount: Amount, now: float) -> None:
        """It has come further."""
        self._last = pace.follow_amount(self._first, self._last, amount, now)
        self.amount, self._told = amount, now

    def text(self, now: float, width: int) -> str:
        """As it is now: what nothing was told about since slows down, and a time left that was told passes."""
        amount, head = self.amount, f"{self.amount.app}: {self.amount.doing}"
        if isinstance(amount, Counted):
            left = pace.left_s(amount, self._last)
            passing = replace(amount, left_s=None if left is None else max(0.0, left - (now - self._told)))
            words = pace.describe(passing, self._first)
            figures = f"{words.line()}, {pace.describe_span(now - self.began)} so far"
        else:
            words = pace.describe(amount, pace.follow(self._last, amount.done, now))
            figures = f"{words.share}, {words.line()}" if words.share else words.line()
        return fit(head, figures, words.short(), width)


def fit(head: str, figures: str, short: str, width: int) -> str:
    """Both in one line, `short` for `figures` where it is narrow, and nothing but that where it is very narrow."""
    chosen = figures if len(figures) + 2 * _HEAD + 2 <= width else short
    room = width - len(chosen) - 2
    if room < _HEAD:
        return chosen[:width]
    return f"{head if len(head) <= room else head[: room - 1] + '…'}  {chosen}"


class Bars:
    """A line for each app that has something under way for long; gone when it is over. rich is loaded for the first."""

    def __init__(self) -> None:
        self._bars: dict[str, _Bar] = {}
        self._long: set[str] = set()
        self._shown: Progress | None = None
        self._lock = threading.Lock()

    @property
    def is_drawn(self) -> bool:
        """Whether there is a bar on the terminal now."""
        return self._shown is not None

    def tell(self, amount: Amount) -> None:
        """Show it, if it takes long."""
        with self._lock:
            self._tell(amount, time.monotonic())

    def _tell(self, amount: Amount, now: float) -> None:
        bar = self._bars.get(amount.app)
        if amount.over:
            self._end(self._bars.pop(amount.app, None))
            return
        if bar is None:
            bar = self._bars[amount.app] = _Bar(amount, now)
        elif bar.amount.doing != amount.doing and not isinstance(amount, Counted):
            bar = self._bars[amount.app] = _Bar(amount, now, bar.task)
        else:
            bar.follow(amount, now)
        # The parts of something long are shown at once, and what is counted takes long by its nature.
        if now - bar.began < LONG_S and amount.app not in self._long and not isinstance(amount, Counted):
            return
        self._long.add(amount.app)
        if self._shown is None:
            self._shown = self._start()
        if bar.task is None:
            bar.task = self._shown.add_task("", name=amount.app)
        # What is counted moves seldom, and its last step may be followed by its end at once.
        at_once = isinstance(amount, Counted)
        self._shown.update(bar.task, completed=amount.done, total=pace.total(amount), refresh=at_once)

    def _end(self, bar: _Bar | None) -> None:
        if bar is None or bar.task is None or self._shown is None:
            return
        self._shown.remove_task(bar.task)
        if not any(other.task is not None for other in self._bars.values()):
            self._shown.stop()
            self._shown = None

    def _start(self) -> "Progress":
        from rich.console import Console
        from rich.progress import BarColumn, Progress, ProgressColumn, Task
        from rich.text import Text

        console, bars = Console(stderr=True), self._bars

        class Line(ProgressColumn):
            """What a bar says."""

            def render(self, task: Task) -> Text:
                """As wide as the terminal is now."""
                bar = bars.get(task.fields["name"])
                width = console.width - (_BAR + 2 if console.width >= _WIDE else 0)
                return Text(bar.text(time.monotonic(), width) if bar else "", no_wrap=True, overflow="crop")

        columns = (Line(), BarColumn(_BAR)) if console.width >= _WIDE else (Line(),)
        # stdout is the result's: a program may read it while people look at stderr.
        made = Progress(*columns, console=console, transient=True, redirect_stdout=False, refresh_per_second=4)
        made.start()
        return made
