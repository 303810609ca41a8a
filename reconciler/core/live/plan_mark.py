"""What a plan rests on, as digests: when one of them moves, the plan is of a world that is no more. Pure.

Called by `engine.operate.plan` when a plan is made, and again before it is done.
"""

from collections.abc import Mapping

from reconciler.core.live.upgrade_facts import UpgradeFacts
from reconciler.core.release.digest import digest
from reconciler.core.release.facts import AppFacts
from reconciler.model.action import Plan
from reconciler.model.settings import Settings

SAYS = {
    "settings": "the settings moved",
    "spec": "its spec moved",
    "records": "what is on record of it moved",
    "stack": "what runs moved",
    "release": "the release that would be taken moved",
    "action": "something else would be done now",
}
"""What each digest is of, in the words of a refusal."""


def mark(settings: Settings, facts: AppFacts, plan: Plan, upgrade: UpgradeFacts | None) -> Mapping[str, str]:
    """A digest of each thing that the plan of one app rests on."""
    known, journal = facts.known, facts.journal
    images = [(one.reference, one.digest) for one in upgrade.images_new] if upgrade is not None else []
    return {
        "settings": digest(settings.model_dump(mode="json")),
        "spec": digest(facts.spec.model_dump(mode="json")),
        "records": digest([known.release.bundle if known else "", journal.op_id if journal else ""]),
        # Not tasks: they come and go while nothing is changed.
        "stack": digest(sorted([one.name, one.id, one.image, one.spec_fingerprint] for one in facts.stack.services)),
        "release": digest([upgrade.version, upgrade.commit, images] if upgrade is not None else []),
        "action": digest([type(plan.action).__name__, plan.steps, sorted(hold.reason for hold in plan.holds)]),
    }


def find_moved(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """What moved between two marks, in words; () means nothing."""
    return tuple(text for key, text in SAYS.items() if before.get(key) != now.get(key))
