"""The app's lock for what an operator asks for. Effects: pauses, one lock."""

from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.engine.context import Context
from reconciler.state.locks import wait_until_free

_POLL_S = 0.1


@contextmanager
def hold(context: Context, what: str, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the app's lock, waiting up to `wait_s` seconds for it.

    Raises:
        LockBusy: another process still holds it.
        Interrupted: asked to stop while waiting.
    """
    ports = context.ports
    held = wait_until_free(ports.clock, wait_s, _POLL_S, lambda: ports.locks.acquire(context.app, f"ci-warm {what}"))
    try:
        yield
    finally:
        held.release()
