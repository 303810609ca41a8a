"""A live app looked at, assessed, planned for and gated; nothing done yet. Effects: reads, and first-seen tags."""

from dataclasses import dataclass, replace

from reconciler.core.live import gate, pause, plan
from reconciler.core.live.upgrade_facts import UpgradeFacts
from reconciler.core.release.facts import AppFacts
from reconciler.engine.context import Context
from reconciler.engine.live import care
from reconciler.engine.live.assess import assess_app
from reconciler.engine.live.preflight import collect_upgrade_facts
from reconciler.engine.live.prepare import find_last_holds
from reconciler.engine.release.facts import collect_facts
from reconciler.model.action import Action, Deploy, Nothing, Plan
from reconciler.model.hold import Hold, HoldReason
from reconciler.model.observed import World
from reconciler.model.release import KnownGood
from reconciler.model.result import held
from reconciler.model.status import Assessment, Status


@dataclass(frozen=True, kw_only=True)
class PlannedApp:
    """A live app looked at and planned for, nothing done yet. `upgrade` None: nothing that the gate guards."""

    facts: AppFacts
    assessment: Assessment
    plan: Plan
    upgrade: UpgradeFacts | None = None

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is to be done: the app needs nothing, or is held."""
        return isinstance(self.plan.action, Nothing) or bool(self.plan.holds)


def plan_app(context: Context, world: World, fetch_problem: str | None = None, *, remember: bool = True) -> PlannedApp:
    """Observe, assess, plan and gate one app. Reads only, but for first-seen tags if `remember` (needs the lock).

    Raises:
        StateError, ObserveError: it cannot be judged.
    """
    facts = collect_facts(context, world, fetch_problem, remember=remember)
    # A change that was interrupted is finished first: its journal names its own stack.
    if facts.journal is None and facts.known is not None and facts.known.stack not in ("", context.stack):
        return _hold_another_stack(context, facts, facts.known)
    assessment, facts = assess_app(context, facts)
    first = plan.choose_action(facts, assessment, context.ports.clock.now())
    first = care.refuse(context, facts, first) or first
    chosen = Plan(action=first, steps=plan.steps_of(first, context.spec))
    paused = pause.find_hold_of_care(facts.memory, first, context.ports.clock.now())
    if paused is not None:
        return PlannedApp(facts=facts, assessment=assessment, plan=replace(chosen, holds=(paused,)))
    upgrade: UpgradeFacts | None = None
    # The gate is asked about each option on its own: a hold of the newest release says nothing about the
    # others.
    for option in plan.list_options(facts, assessment, first):
        found, holds = _ask_gate(context, facts, assessment, option)
        if found.existing and isinstance(option, Deploy):
            option = replace(option, snapshot_first=True, found_data=bool(found.leftover))
        if not holds:
            upgrade = found
            chosen = Plan(action=option, steps=plan.steps_of(option, context.spec))
            break
        if upgrade is None:  # the best of them is the one that people are told about
            upgrade = found
            shown = first if isinstance(first, Nothing) else option
            chosen = Plan(action=shown, holds=holds, steps=plan.steps_of(shown, context.spec))
    return PlannedApp(facts=facts, assessment=assessment, plan=chosen, upgrade=upgrade)


def _hold_another_stack(context: Context, facts: AppFacts, known: KnownGood) -> PlannedApp:
    reason = f"the spec names stack {context.stack}, but known-good and its data belong to stack {known.stack}"
    assessment = Assessment(status=Status.UNKNOWN, reason=f"{reason}; set stack: {known.stack}")
    nothing = Plan(action=Nothing(result=held(HoldReason.STACK_CHANGED), ok=False))
    return PlannedApp(facts=facts, assessment=assessment, plan=nothing)


def _ask_gate(
    context: Context, facts: AppFacts, assessment: Assessment, action: Action
) -> tuple[UpgradeFacts, tuple[Hold, ...]]:
    upgrade = collect_upgrade_facts(context, facts, assessment, action)
    holds = gate.decide(facts, upgrade, context.settings.notes_patterns, context.ports.clock.now())
    return upgrade, holds or find_last_holds(context, facts, upgrade)
