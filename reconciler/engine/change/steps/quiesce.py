"""Wait until nothing can write to the volumes. Effects: removes the stack's own dead containers."""

from collections.abc import Sequence

from reconciler.core.change.transaction import needs_restore
from reconciler.engine.context import DONE, StepResult, Work, failed
from reconciler.model.errors import ActError
from reconciler.model.journal import Change, Step
from reconciler.ports.node import Holder

_POLL_S = 0.05


def act(work: Work) -> StepResult:
    """Wait for every container of the stack, and every other that mounts its volumes, to be gone or dead.

    A heal lets those live that a service still wants: it only waits for strays of a service that was removed.
    At the deadline nothing is done to foreign containers: the step fails.
    """
    ports, journal = work.ports, work.journal
    deadline = ports.clock.monotonic() + work.context.settings.limits.quiesce
    while True:
        found = blocking(ports.engine.holders(work.stack, journal.volumes), journal.kind)
        if not found:
            return DONE
        try:
            ports.engine.remove_dead([holder for holder in found if holder.of_stack])
        except ActError as exc:
            return failed(journal.step, str(exc), host=True)
        if ports.clock.monotonic() > deadline:
            if journal.step is Step.BACK_QUIESCE and not needs_restore(journal) and not any(h.of_stack for h in found):
                return DONE  # a stranger holds untouched data, as it did before: the prior is better up than down
            names = ", ".join(f"{holder.name} ({holder.state})" for holder in found)
            return failed(
                journal.step,
                "a container still holds the volumes",
                f"after {work.context.settings.limits.quiesce:g} s: {names}",
                host=True,
            )
        ports.clock.wait(_POLL_S)


def blocking(holders: Sequence[Holder], change: Change = Change.UPGRADE) -> list[Holder]:
    """Who could still write: every container of the stack, and strangers that are not dead (docs/adr/0006)."""
    dead = ("exited", "dead")
    return [
        holder
        for holder in holders
        if not (change is Change.HEAL and holder.owned) and (holder.of_stack or holder.state not in dead)
    ]
