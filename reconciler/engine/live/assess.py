"""A live app assessed, with the probe that this needs. Effects: reads, one probe series."""

from collections.abc import Mapping
from dataclasses import replace

from reconciler.core import redact
from reconciler.core.change import silence
from reconciler.core.live import assess
from reconciler.core.release.facts import AppFacts
from reconciler.engine.change.ask import ask
from reconciler.engine.context import Context
from reconciler.model.health import HealthSpec
from reconciler.model.observed import ServiceMode, StackObs
from reconciler.model.probe import ProbeAnswer
from reconciler.model.release import KnownGood
from reconciler.model.status import Assessment, Status

_PROBE_PAUSE_S = 0.5


def probe(context: Context, stack: StackObs, health: HealthSpec, domain: str) -> ProbeAnswer | None:
    """Ask a running app whether it answers; a bad answer is repeated for a while. None: nothing to ask.

    A service whose tasks are still starting is not asked: that is for the assessment to say.
    """
    if not any(service.mode is ServiceMode.GLOBAL or service.replicas for service in stack.services):
        return None
    clock = context.ports.clock
    # The release's own document only where something is said that may hold secrets of it.
    doc = _read_document(context) if health.checks else {}
    mask = redact.for_app(context.spec.env, doc)
    deadline = clock.monotonic() + context.settings.limits.steady_probe
    while True:
        answer = ask(context.ports, context.stack, domain, health, mask)
        if answer.ok:
            return answer
        if clock.monotonic() >= deadline:
            return silence.weigh(answer, doc or _read_document(context))
        clock.wait(_PROBE_PAUSE_S)


def _read_document(context: Context) -> Mapping[str, object]:
    known = context.ports.store.known_good(context.app)
    return context.ports.store.bundle(context.app, known.release.bundle).doc if known is not None else {}


def assess_app(context: Context, facts: AppFacts) -> tuple[Assessment, AppFacts]:
    """Assess without the probe first: what is absent, interrupted, drifted or starting needs none."""
    now = context.ports.clock.now
    first = assess.assess(facts, now())
    if first.status not in (Status.IN_SYNC, Status.OUT_OF_SYNC, Status.UNMANAGED):
        return first, facts
    answer = probe(context, facts.stack, context.spec.health, context.spec.domain)
    if answer is None:
        return first, facts
    if not answer.ok:
        answer = silence.weigh_paused(answer, context.ports.engine.observe_stack(context.stack))
    probed = replace(facts, answer=answer)
    if not answer.ok and facts.known is not None:
        probed = replace(probed, committed_answer=_ask_as_committed(context, facts, facts.known))
    return assess.assess(probed, now()), probed


def _ask_as_committed(context: Context, facts: AppFacts, known: KnownGood) -> ProbeAnswer | None:
    """Ask as known-good was asked when it was committed, where the spec asks something else today.

    A release is judged by the settings that it was committed with: a typing error in a spec must not cost data.
    """
    bundle = context.ports.store.bundle(context.app, known.release.bundle)
    if not bundle.health:
        return None
    health = HealthSpec.model_validate(bundle.health)
    if (health, bundle.domain) == (context.spec.health, context.spec.domain):
        return None
    return probe(context, facts.stack, health, bundle.domain)
