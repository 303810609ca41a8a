"""Whether what a plan would bring back or heal can be: known before anything is begun. Effects: reads.

The gate guards new releases; this is the same question for known-good and for the way back.
"""

from reconciler.core.release.facts import AppFacts
from reconciler.engine.context import Context
from reconciler.engine.live.way_back import find_way_back_problems
from reconciler.model.action import Action, Deploy, Heal, Nothing, RollBack
from reconciler.model.hold import HoldReason
from reconciler.model.release import KnownGood
from reconciler.model.result import Result, ResultKind, held


def refuse(context: Context, facts: AppFacts, action: Action) -> Nothing | None:
    """What a pass ends with instead of the action; None: nothing is in its way.

    Raises:
        StateError, ObserveError: a record is unreadable, or the engine could not be asked.
    """
    known = facts.known
    if known is None:
        return None
    if isinstance(action, RollBack):
        problems = tuple(find_way_back_problems(context, known, facts.stamps))
        result = Result(kind=ResultKind.ROLLBACK_REFUSED, about=known.release.version)
        return Nothing(result=result, ok=False, evidence=problems) if problems else None
    if isinstance(action, Heal) or (isinstance(action, Deploy) and action.known_good):
        return _refuse_without_volumes(context, known)
    return None


def _refuse_without_volumes(context: Context, known: KnownGood) -> Nothing | None:
    """The engine would make them empty, and an empty app looks healthy."""
    wanted = set(context.ports.store.bundle(context.app, known.release.bundle).volumes.values())
    gone = sorted(wanted - set(context.ports.engine.observe_volumes(sorted(wanted))))
    if not context.spec.stateful or not gone:
        return None
    text = f"volumes {', '.join(gone)} are gone; {_way_to_data(context, known)}"
    return Nothing(result=held(HoldReason.VOLUMES_CHANGED, known.release.version), ok=False, evidence=(text,))


def _way_to_data(context: Context, known: KnownGood) -> str:
    """What an operator can do about data that is gone."""
    manifest = context.ports.node.snapshots.observe(context.app)
    if manifest is not None and manifest.version == known.release.version:
        return f"ci-warm snapshot restore {context.app} brings back those of {manifest.created_at:%Y-%m-%d %H:%M} UTC"
    if known.fallback is not None and known.fallback.snapshot is not None:
        return f"ci-warm rollback {context.app} brings back {known.fallback.release.version} with its data"
    return "there is no snapshot: bring back a backup of your own, or make them empty (docker volume create)"
