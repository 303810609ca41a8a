"""Wake services whose tasks Swarm forgot (`core.change.lost_tasks`). Effects: the engine, at most once per patience."""

from reconciler.core.change import lost_tasks
from reconciler.engine.context import StepContext
from reconciler.model.errors import ActError, ObserveError
from reconciler.model.observed import StackObs

_LOOK_EVERY_S = 0.5


class Waker:
    """Looks beyond the stack only while something waits for a host port: that look is of the whole engine."""

    def __init__(self, at: StepContext) -> None:
        self._context = at
        self._state = lost_tasks.NOTHING
        self._next = 0.0

    def see(self, stack: StackObs) -> None:
        """Take one look at the stack; what cannot be seen or done now is for the next one."""
        # Forgotten means: waits for seconds without a break. One look without a waiting task starts the count
        # anew.
        if not lost_tasks.waiting(stack):
            self._state = lost_tasks.NOTHING
            return
        now = self._context.ports.clock.monotonic()
        if now < self._next:
            return
        self._next = now + _LOOK_EVERY_S
        try:
            taken = self._context.ports.engine.look().taken_ports
            self._state, names = lost_tasks.step(self._state, stack, taken, now)
            if names:
                self._context.ports.engine.wake(self._context.stack, names)
                self._context.tell(f"woke {', '.join(names)}: its host port is free")
        except (ActError, ObserveError):
            return
