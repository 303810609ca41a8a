"""Wait until nothing can write to the volumes. Effects: removes the stack's own dead containers."""

from reconciler.engine.context import DONE, StepResult, Work, failed
from reconciler.model.errors import ActError
from reconciler.model.records import Change
from reconciler.ports import Holder

_POLL_S = 0.05


def act(work: Work) -> StepResult:
    """Wait for every container of the stack, and every other that mounts its volumes, to be gone or dead.

    A heal lets those live that a service still wants: it only waits for strays of a service that was removed.
    At the deadline nothing is done to foreign containers: the step fails.
    """
    ports, journal = work.ports, work.journal
    deadline = ports.clock.monotonic() + work.context.settings.limits.quiesce
    while True:
        blocking = [
            holder for holder in ports.engine.holders(work.stack, journal.volumes) if _blocks(holder, journal.kind)
        ]
        if not blocking:
            return DONE
        try:
            ports.engine.remove_dead([holder for holder in blocking if holder.of_stack])
        except ActError as exc:
            return failed(journal.step, str(exc), host=True)
        if ports.clock.monotonic() > deadline:
            names = ", ".join(f"{holder.name} ({holder.state})" for holder in blocking)
            return failed(
                journal.step,
                "a container still holds the volumes",
                f"after {work.context.settings.limits.quiesce:g} s: {names}",
                host=True,
            )
        ports.clock.wait(_POLL_S)


def _blocks(holder: Holder, change: Change) -> bool:
    return not (change is Change.HEAL and holder.owned)
