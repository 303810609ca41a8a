"""A live app assessed, with the probe that this needs. Effects: reads, one probe series."""

from dataclasses import replace

from reconciler.core.live import assess
from reconciler.core.release.facts import AppFacts
from reconciler.engine.change.steps.verify import probe_of
from reconciler.engine.context import Context
from reconciler.model.observed import ServiceMode, StackObs
from reconciler.model.probe import ProbeAnswer
from reconciler.model.status import Assessment, Status

_PROBE_PAUSE_S = 0.5


def probe(context: Context, stack: StackObs) -> ProbeAnswer | None:
    """Ask a running app whether it answers; a bad answer is repeated for a while. None: nothing to ask.

    A service whose tasks are still starting is not asked: that is for the assessment to say.
    """
    if not any(service.mode is ServiceMode.GLOBAL or service.replicas for service in stack.services):
        return None
    clock = context.ports.clock
    deadline = clock.monotonic() + context.settings.limits.steady_probe
    while True:
        answer = context.ports.prober.probe(probe_of(context.spec.domain, context.spec.health))
        if answer.ok or clock.monotonic() >= deadline:
            return answer
        clock.wait(_PROBE_PAUSE_S)


def assess_app(context: Context, facts: AppFacts) -> tuple[Assessment, AppFacts]:
    """Assess without the probe first: what is absent, interrupted, drifted or starting needs none."""
    first = assess.assess(facts)
    if first.status not in (Status.IN_SYNC, Status.OUT_OF_SYNC, Status.UNMANAGED):
        return first, facts
    answer = probe(context, facts.stack)
    if answer is None:
        return first, facts
    probed = replace(facts, answer=answer)
    return assess.assess(probed), probed
