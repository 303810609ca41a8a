"""Looks at a stack, one after the other, with the time in which the engine answered.

Effects: reads; notes disturbances.

A deadline counts answered time only: while dockerd is restarted or frozen, or no node takes tasks, nothing is learnt of
an app.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from reconciler.core.change import disturbances
from reconciler.engine.context import StepContext
from reconciler.model.disturbance import Disturbance
from reconciler.model.errors import ObserveError
from reconciler.model.observed import StackObs

POLL_S = 0.1
SLOW_S = 3.0
"""A look takes milliseconds; one that took this long met an engine that was stopped for that time."""


class Looks:
    """The looks of one step.

    `answered_s`: seconds in which looks followed each other and a node took tasks. `disturbances`: how many were
    noticed after the first look.
    """

    def __init__(self, at: StepContext, patience_s: float) -> None:
        self.answered_s = 0.0
        self.disturbances = 0
        self._at = at
        self._patience_s = patience_s
        self._away_s = 0.0
        self._last = at.ports.clock.monotonic()
        self._away_since: datetime | None = None
        self._has_looked = False
        self._last_disturbed: datetime | None = None
        self._known = at.ports.disturbances.read()

    def take(self) -> StackObs | None:
        """Look once; None: the engine did not answer, and the caller comes again.

        Raises:
            ObserveError: it has not answered, or no node took a task, for as long as the deadline. Unknown, so the
                journal stays.
        """
        clock = self._at.ports.clock
        began, wall = clock.monotonic(), clock.now()
        try:
            stack = self._at.ports.engine.observe_stack(self._at.stack)
        except ObserveError as exc:
            # The moment before the call: the engine was away from some time within it.
            self._away_since = self._away_since or wall
            self._count(usable=False, why=str(exc))
            return None
        # An answer that came late: the process was stopped in between, and its tasks' times with it.
        if clock.monotonic() - began > SLOW_S:
            self._away_since = self._away_since or wall
        if self._away_since is not None:
            away = Disturbance(began=self._away_since, ended=clock.now(), what="the engine did not answer")
            self._record([away])
            self._at.tell(f"{away.what} for {(away.ended - away.began).total_seconds():.0f} s")
            self._count(usable=False, why="the engine did not answer")
            self._away_since = None
        else:
            self._count(usable=stack.can_run, why="no node takes tasks: drained, paused or down")
        noticed = disturbances.notice(stack, clock.now())
        if noticed:
            self._record(noticed)
        stack = replace(stack, disturbances=self._known)
        last = disturbances.find_last(stack)
        self.disturbances += self._has_looked and last != self._last_disturbed
        self._has_looked, self._last_disturbed = True, last
        return stack

    def _record(self, found: Sequence[Disturbance]) -> None:
        self._known = self._at.ports.disturbances.note(found)

    def _count(self, *, usable: bool, why: str) -> None:
        now = self._at.ports.clock.monotonic()
        spent, self._last = now - self._last, now
        if usable:
            self.answered_s += spent
            # Only an unbroken stretch counts against the patience; a flapping engine does answer.
            self._away_s = 0.0
            return
        self._away_s += spent
        if self._away_s > self._patience_s:
            raise ObserveError(f"{why}; waited {self._away_s:.0f} s")
