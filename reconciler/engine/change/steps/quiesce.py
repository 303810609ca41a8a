"""Wait until nothing can write to the volumes. Effects: removes the stack's own dead containers."""

from collections.abc import Sequence

from reconciler.engine.context import DONE, StepContext, StepResult
from reconciler.model.errors import ActError
from reconciler.model.journal import Change
from reconciler.ports.node import Holder

_POLL_S = 0.05


def quiesce(
    at: StepContext, volumes: Sequence[str], *, change: Change = Change.UPGRADE, data_is_untouched: bool = False
) -> StepResult:
    """Wait for every container of the stack, and every other that mounts its volumes, to be gone or dead.

    A heal lets those live that a service still wants: it only waits for strays of a service that was removed.
    At the deadline nothing is done to foreign containers: the step fails. `data_is_untouched`: on the way back, where
    nothing is to be restored; a stranger may then keep what it held before.
    """
    ports, patience = at.ports, at.limits.quiesce
    deadline = ports.clock.monotonic() + patience
    while True:
        # Looked at before the deadline is: a host that was asleep or frozen meanwhile gets one more look.
        found = blocking(ports.node.containers.holders(at.stack, volumes), change)
        if not found:
            return DONE
        try:
            # Our own alone, and only dead ones: they count as holders until they are removed, in any state
            # (ADR 0006).
            ports.node.containers.remove_dead([holder for holder in found if holder.of_stack])
        except ActError as exc:
            return at.fail(str(exc), host=True)
        if ports.clock.monotonic() > deadline:
            if data_is_untouched and not any(holder.of_stack for holder in found):
                return DONE  # the prior is better up than down
            names = ", ".join(f"{holder.name} ({holder.state})" for holder in found)
            return at.fail("a container still holds the volumes", f"after {patience:g} s: {names}", host=True)
        ports.clock.wait(_POLL_S)


def blocking(holders: Sequence[Holder], change: Change = Change.UPGRADE) -> list[Holder]:
    """Who could still write: every container of the stack, and strangers that are not dead (docs/adr/0006)."""
    dead = ("exited", "dead")
    return [
        holder
        for holder in holders
        if not (change is Change.HEAL and holder.owned) and (holder.of_stack or holder.state not in dead)
    ]
