"""One app looked at, assessed, planned for and gated; nothing done yet. Effects: reads, and first-seen tags."""

from dataclasses import dataclass, replace

from reconciler.core.canonical import status
from reconciler.core.live import gate, plan
from reconciler.engine.canonical import reconcile
from reconciler.engine.context import Context
from reconciler.engine.live import preflight as candidates
from reconciler.engine.release import facts as release_facts
from reconciler.engine.release.facts import Facts
from reconciler.model.action import Action, Deploy, Nothing, Plan
from reconciler.model.app import Kind
from reconciler.model.canonical import Canonical
from reconciler.model.hold import Hold
from reconciler.model.observed import World
from reconciler.model.release import KnownGood
from reconciler.model.status import Assessment, Status


@dataclass(frozen=True, kw_only=True)
class Considered:
    """An app looked at and planned for, nothing done yet. `studied` None: nothing that the gate guards."""

    facts: Facts
    assessment: Assessment
    plan: Plan
    studied: candidates.Studied | None = None
    canonical: Canonical | None = None


def consider(context: Context, world: World, fetch_problem: str | None = None, *, remember: bool = True) -> Considered:
    """Observe, assess, plan and gate one app. Reads only, but for first-seen tags if `remember` (needs the lock).

    Raises:
        StateError, ObserveError: it cannot be judged.
    """
    if context.spec.kind is Kind.CANONICAL:
        return _canonical(reconcile.consider(context, world, fetch_problem, remember=remember))
    facts = release_facts.gather(context, world, fetch_problem, remember=remember)
    # A change that was interrupted is finished first: its journal names its own stack.
    if facts.journal is None and facts.known is not None and facts.known.stack not in ("", context.stack):
        return _another_stack(context, facts, facts.known)
    assessment, facts = release_facts.assessed(context, facts)
    situation = plan.Situation(
        spec=context.spec,
        assessment=assessment,
        known=facts.known,
        journal=facts.journal,
        candidate=facts.choice.candidate,
        running=facts.running,
        desired=facts.desired,
        healthy=facts.answer is None or facts.answer.ok,
    )
    first = plan.choose(situation, context.ports.clock.now())
    chosen = Plan(action=first, steps=plan.steps_of(first, context.spec))
    studied: candidates.Studied | None = None
    for option in plan.options(situation, first):
        looked, holds = _gate(context, facts, assessment, option)
        if looked.leftover and isinstance(option, Deploy):
            option = replace(option, snapshot_first=True)
        if not holds:
            studied = looked
            chosen = Plan(action=option, steps=plan.steps_of(option, context.spec))
            break
        if studied is None:  # the best of them is the one that people are told about
            studied = looked
            shown = first if isinstance(first, Nothing) else option
            chosen = Plan(action=shown, holds=holds, steps=plan.steps_of(shown, context.spec))
    return Considered(facts=facts, assessment=assessment, plan=chosen, studied=studied)


def _canonical(seen: reconcile.Considered) -> Considered:
    """What a pass would do with a canonical; it is `tend` that does it."""
    result, steps = status.outlook(seen.judged)
    plan_ = Plan(action=Nothing(result=result, ok=not result.startswith(("held", "no-"))), steps=steps)
    return Considered(facts=seen.facts, assessment=seen.assessment, plan=plan_, canonical=seen.canonical)


def _another_stack(context: Context, facts: Facts, known: KnownGood) -> Considered:
    reason = f"the spec names stack {context.stack}, but known-good and its data belong to stack {known.stack}"
    assessment = Assessment(status=Status.UNKNOWN, reason=f"{reason}; set stack: {known.stack}")
    nothing = Plan(action=Nothing(result="held-stack-changed", ok=False))
    return Considered(facts=facts, assessment=assessment, plan=nothing)


def _gate(
    context: Context, facts: Facts, assessment: Assessment, action: Action
) -> tuple[candidates.Studied, tuple[Hold, ...]]:
    studied = candidates.study(context, facts, assessment, action)
    patterns = context.settings.notes_patterns
    return studied, gate.decide(context.spec, facts.memory, studied.candidate, patterns, context.ports.clock.now())
