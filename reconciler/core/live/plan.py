"""The one next action for an app. Pure: takes the assessment and the gate's answer, gives a plan."""

from datetime import UTC, datetime

from reconciler.core.change import data_version, transaction
from reconciler.core.live import wellness
from reconciler.core.release import versions
from reconciler.core.release.facts import AppFacts
from reconciler.model.action import Action, Adopt, Deploy, Heal, Nothing, Resume, RollBack, Upgrade
from reconciler.model.app import AppSpec
from reconciler.model.hold import Hold, HoldReason
from reconciler.model.ids import OpId
from reconciler.model.journal import Change, Journal
from reconciler.model.release import KnownGood, Release
from reconciler.model.result import Result, ResultKind, held
from reconciler.model.settling import Fault
from reconciler.model.status import Assessment, Status


def choose_action(facts: AppFacts, assessment: Assessment, now: datetime) -> Action:  # noqa: C901 - a row per status
    """Pick the next action, before the gate is asked.

    Raises nothing; a situation that was not foreseen is `Nothing` with its own result line.
    """
    known, candidate = facts.known, facts.candidate
    if facts.away and facts.journal is None:
        version = facts.running or (known.release.version if known is not None else "")
        return Nothing(result=held(HoldReason.ELSEWHERE, version), ok=False, evidence=facts.away)
    match assessment.status:
        case Status.INTERRUPTED if facts.journal is not None:
            return _refuse_old_journal(facts, facts.journal) or Resume(op_id=OpId(facts.journal.op_id))
        case Status.ABSENT if known is not None:
            return _refuse_newer_data(facts, known) or Deploy(target=known.release.version, known_good=True)
        case Status.ABSENT if candidate is not None:
            return Deploy(target=candidate.text, known_good=False)
        case Status.ABSENT:
            return Nothing(result=Result(kind=ResultKind.NO_RELEASE), ok=False, evidence=_list_recipe_problem(facts))
        case Status.UNMANAGED:
            return _choose_unmanaged(facts, assessment)
        case Status.DRIFTED if known is not None:
            return _refuse_newer_data(facts, known) or Heal(drift=assessment.evidence)
        case Status.FAILED if known is not None:
            return _choose_failed(facts, assessment, known, now)
        case Status.OUT_OF_SYNC if known is not None:
            return _choose_upgrade(facts, known)
        case Status.UNVERIFIED if known is not None:
            return Nothing(result=Result(kind=ResultKind.CONVERGING, about=known.release.version))
        case Status.IN_SYNC if known is not None and facts.recipe_problem:
            # Not "nothing to do": whether there is something to do could not be seen.
            result = Result(kind=ResultKind.RECIPE, about=known.release.version)
            return Nothing(result=result, ok=False, evidence=_list_recipe_problem(facts))
        case Status.IN_SYNC if known is not None:
            return Nothing(result=Result(kind=ResultKind.NOOP_HEALTHY))
        case _:
            return Nothing(result=Result(kind=ResultKind.UNKNOWN, about=assessment.status), ok=False)


def _list_recipe_problem(facts: AppFacts) -> tuple[str, ...]:
    return (facts.recipe_problem,) if facts.recipe_problem else ()


def _refuse_newer_data(facts: AppFacts, known: KnownGood) -> Nothing | None:
    """Known-good is not put on data that a newer release wrote: an old state folder, or a foreign hand."""
    version = known.release.version
    newer = data_version.find_newer(facts.stamps.values(), version, stateful=facts.spec.stateful)
    if not newer:
        return None
    text = data_version.describe(newer, version)
    return Nothing(result=held(HoldReason.DATA_NEWER, version), ok=False, evidence=(text,))


def _refuse_old_journal(facts: AppFacts, journal: Journal) -> Nothing | None:
    """A change is not gone on with on data that a release wrote which is newer than both of its own.

    It was over long ago: its journal came back with a copy of the records, or with an app that was renamed back.
    """
    own = [journal.target.version, *([journal.origin.version] if journal.origin else [])]
    newer = tuple(facts.stamps.values())
    for version in own:
        newer = data_version.find_newer(newer, version, stateful=journal.stateful)
    if not newer:
        return None
    text = f"a change to {journal.target.version} is on record as under way: {data_version.describe(newer, own[0])}"
    return Nothing(result=held(HoldReason.DATA_NEWER, own[0]), ok=False, evidence=(text,))


def _choose_upgrade(facts: AppFacts, known: KnownGood) -> Action:
    """The wanted release; an older one that a human approved is gone back to, with the data that belongs to it."""
    version = known.release.version
    target = facts.candidate.text if facts.candidate else version
    approved = any(one.version == target and one.used_at is None for one in facts.memory.approvals)
    back = known.fallback
    if approved and back is not None and data_version.may_go_back(known, target):
        return RollBack(origin=version, target=target, reason=f"pinned to {target}, which was approved")
    return Upgrade(origin=version, target=target, reconfigure=target == version)


def _choose_unmanaged(facts: AppFacts, assessment: Assessment) -> Action:
    """Adopt what answers; an older release that does not, as a way back without data leaves it, goes forward again."""
    if facts.running is None or versions.parse(facts.running) is None:
        nothing = Nothing(result=Result(kind=ResultKind.UNMANAGED, about="unknown-version"), ok=False)
        return (_refuse_newer_data(facts, facts.known) if facts.known is not None else None) or nothing
    if facts.answer is not None and not facts.answer.ok:
        known = facts.known
        if known is not None and data_version.is_newer(known.release.version, facts.running):
            return _refuse_newer_data(facts, known) or Heal(drift=assessment.evidence)
        return Nothing(result=Result(kind=ResultKind.UNHEALTHY, about=facts.running), ok=False)
    return Adopt(version=facts.running)


def _choose_failed(facts: AppFacts, assessment: Assessment, known: KnownGood, now: datetime) -> Action:
    """Up but unhealthy: by its own fault and within the bake watch it goes back; later, newer data would be lost."""
    back = known.fallback
    why = _may_go_back(facts, known, now) if assessment.fault is Fault.APP else None
    if why is not None and back is not None:
        return RollBack(origin=known.release.version, target=back.release.version, reason=f"{why}: {assessment.reason}")
    return Nothing(result=Result(kind=ResultKind.UNHEALTHY, about=known.release.version), ok=False)


def _may_go_back(facts: AppFacts, known: KnownGood, now: datetime) -> str | None:
    """Why data may still be taken back with the release; None: it may not."""
    bake_s = facts.spec.upgrade.bake
    if known.is_watched(bake_s, now):
        return f"unhealthy within {(known.ends_watch(bake_s) - known.at).total_seconds():g} s of its commit"
    if known.baked or now < known.at or bake_s <= 0:
        return None
    # No pass came in time, or none saw it well since. If no task ever lived as long as the watch, nothing was learnt
    # after it that had not been so within it.
    if wellness.find_longest_run_s(facts, now) < bake_s:
        return "never well since its commit, and no pass came within its bake watch"
    return None


def list_options(facts: AppFacts, assessment: Assessment, first: Action) -> tuple[Action, ...]:
    """What the gate is asked about, best first; the first that is open is taken.

    Changed settings need not wait behind a newer release that is held, and they, or a newer release that the operator
    approved, are the way out of a known-good that no longer answers.
    """
    known, candidate = facts.known, facts.candidate
    if facts.away:
        return ()  # nor may new settings be what moves it
    if known is None:
        return (first,) if is_gated(first) else ()
    version = known.release.version
    reconfigure = Upgrade(origin=version, target=version, reconfigure=True)
    if isinstance(first, Upgrade):
        return (first, reconfigure) if facts.settings_moved and not first.reconfigure else (first,)
    if assessment.status is not Status.FAILED or not isinstance(first, Nothing):
        return (first,) if is_gated(first) else ()
    newer = Upgrade(origin=version, target=candidate.text) if candidate and facts.release_moved else None
    return (*((newer,) if newer else ()), *((reconfigure,) if facts.settings_moved else ()))


def is_gated(action: Action) -> bool:
    """Say whether the gate is asked: it guards what takes a release, not what keeps or brings back one."""
    return isinstance(action, Upgrade) or (isinstance(action, Deploy) and not action.known_good)


def steps_of(action: Action, spec: AppSpec) -> tuple[str, ...]:
    """The steps of the way forward in words, for people who ask before it happens."""
    match action:
        case Upgrade():
            shape = _journal_shape(Change.UPGRADE, stateful=spec.stateful)
        case Deploy(snapshot_first=first):
            shape = _journal_shape(Change.DEPLOY, stateful=spec.stateful, snapshot_first=first)
        case Heal():
            shape = _journal_shape(Change.HEAL, stateful=spec.stateful)
        case _:
            return ()
    return ("pull images", *(str(step) for step in transaction.forward(shape)))


def _journal_shape(change: Change, *, stateful: bool, snapshot_first: bool = False) -> Journal:
    nothing = Release(version="", commit="", bundle="")
    return Journal(
        op_id="",
        app="",
        stack="",
        kind=change,
        stateful=stateful,
        target=nothing,
        desired="",
        started_at=datetime.min.replace(tzinfo=UTC),
        snapshot_first=snapshot_first,
    )


def train_hold(stopped_by: str) -> Hold:
    """The hold of every later upgrade in a pass in which one was rolled back."""
    return Hold(
        reason=HoldReason.TRAIN_STOPPED,
        detail=f"{stopped_by} was rolled back in this pass",
        clears_when="the next pass",
    )
