"""Which conditions of an app stand after a pass, and which open alerts are over. Pure.

An alert is over only when the pass has *seen* that its condition is gone: a pass that did not look (the gate was not
asked, the recipe could not be read, services are still starting) resolves nothing that it did not look at.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconciler.core import conditions
from reconciler.core.conditions import Held, NotWell, RecipeUnreadable, TagMoved
from reconciler.core.live.upgrade_facts import UpgradeFacts
from reconciler.core.release.facts import AppFacts
from reconciler.model.action import Outcome
from reconciler.model.alert import Alert
from reconciler.model.app import Kind
from reconciler.model.hold import Hold, HoldReason
from reconciler.model.memory import Memory
from reconciler.model.release import KnownGood
from reconciler.model.result import ResultKind
from reconciler.model.snapshot import DrillRecord
from reconciler.model.status import Assessment, Status

QUIET = frozenset(
    {
        HoldReason.COOLDOWN,
        HoldReason.WATCHED,
        HoldReason.WINDOW,
        HoldReason.SUSPENDED,
        HoldReason.TRAIN_STOPPED,
        HoldReason.QUARANTINED,
        HoldReason.UNTESTED,
    }
)
"""Holds that clear by themselves, were asked for, or have an alert of their own already."""


@dataclass(frozen=True, kw_only=True)
class PassEnd:
    """What a pass saw of an app and what came of it.

    `memory`: as it is now, after acting. `upgrade` None: the gate was not asked; `holds`: what it said,
    also where the app's own state is the result. `in_use`: a canonical whose data may
    differ from its snapshot. `left`: paths that could not be removed and are still there. `open`: the app's open
    alerts.
    """

    facts: AppFacts
    assessment: Assessment
    outcome: Outcome
    memory: Memory
    upgrade: UpgradeFacts | None = None
    holds: tuple[Hold, ...] = ()
    drill: DrillRecord | None = None
    in_use: bool = False
    left: Sequence[str] = ()
    open: Sequence[Alert] = ()

    @property
    def answers(self) -> bool:
        """Whether the app was seen to answer as required, at the end of this pass."""
        if self.outcome.changed:
            return self.outcome.ok
        return self.assessment.status in (Status.IN_SYNC, Status.OUT_OF_SYNC)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A condition that this pass found, with what an alert says of it."""

    condition: conditions.Condition
    evidence: Sequence[str]
    origin: str | None = None
    target: str | None = None
    notes: tuple[tuple[str, str], ...] = ()


def find_conditions(end: PassEnd) -> Iterator[Standing]:
    """Every condition that this pass saw and that no transaction tells by itself."""
    facts, outcome = end.facts, end.outcome
    loud = [hold for hold in outcome.holds if hold.reason not in QUIET]
    if loud and end.upgrade is not None:
        version = end.upgrade.version
        yield Standing(
            condition=Held(
                app=facts.spec.app,
                hold=_choose_name(end.open, version, loud),
                version=version,
                waits_for="; ".join(hold.clears_when for hold in loud),
            ),
            evidence=[f"{hold.reason}: {hold.detail}" for hold in outcome.holds],
            origin=facts.origin,
            target=version,
            notes=tuple(end.upgrade.notes.items()),
        )
    # That of the recipe is the alert below.
    if not outcome.changed and not outcome.ok and outcome.result.kind is not ResultKind.RECIPE:
        kind = outcome.result.word
        yield Standing(
            condition=NotWell(app=facts.spec.app, kind=kind, version=facts.origin or facts.running or ""),
            evidence=outcome.evidence,
            origin=facts.running,
        )
    if facts.recipe_problem:
        yield Standing(condition=RecipeUnreadable(app=facts.spec.app), evidence=[facts.recipe_problem])
    if facts.known is not None and not outcome.changed:
        yield from _find_moved_tag(facts, facts.known)


def _find_moved_tag(facts: AppFacts, known: KnownGood) -> Iterator[Standing]:
    """The tag of what runs, moved upstream: what runs is pinned and stays, but a new host would get something else."""
    version, commit = known.release.version, known.release.commit
    now = facts.tags.annotated.get(version)
    if now is not None and now != commit:
        yield Standing(
            condition=TagMoved(app=facts.spec.app, version=version, commit=commit),
            evidence=[f"tag {version}, which runs, was {commit[:12]} when it was deployed and is {now[:12]} now"],
            origin=version,
            target=version,
        )


def _choose_name(open_alerts: Sequence[Alert], version: str, loud: Sequence[Hold]) -> HoldReason:
    """The reason that names the alert of a held version: the one it has already, while that one holds."""
    told = {alert.reason for alert in open_alerts if alert.to_version == version}
    return next((hold.reason for hold in loud if f"held-{hold.reason}" in told), loud[0].reason)


def still_stands(alert: Alert, end: PassEnd) -> bool:
    """Say whether an open alert, which this pass did not raise again, may still be true."""
    if alert.reason == conditions.DrillFailed.REASON:
        return end.drill is not None and bool(end.drill.problems) and alert.fingerprint == _drill_of(end, end.drill)
    if alert.reason == conditions.RemovalFailed.REASON:
        return find_left_path(alert) in end.left
    if end.facts.spec.kind is Kind.CANONICAL:
        told_by_runs = (conditions.PromotionFailed.REASON, conditions.RunLost.REASON)
        return alert.reason in told_by_runs or (alert.reason == conditions.RestoreFailed.REASON and end.in_use)
    if alert.reason.startswith("held-") and alert.to_version is not None:
        return _still_held(alert, alert.to_version, end)
    return _RULES.get(alert.reason, _does_not_answer)(alert, end)


def find_left_path(alert: Alert) -> str | None:
    """The path that an alert says cannot be removed; None: it is about something else."""
    if alert.reason != conditions.RemovalFailed.REASON:
        return None
    return alert.fingerprint.split("|", 2)[-1]


def _drill_of(end: PassEnd, drill: DrillRecord) -> str:
    return conditions.DrillFailed(app=end.facts.spec.app, snapshot=drill.snapshot).fingerprint


def _still_held(alert: Alert, version: str, end: PassEnd) -> bool:
    """A hold is over when the gate was asked about that version and no longer says so, or does not want it any more."""
    if end.upgrade is not None and end.upgrade.version == version:
        return alert.reason in {f"held-{hold.reason}" for hold in (*end.holds, *end.outcome.holds)}
    if end.facts.recipe_problem:
        return True  # which version is wanted could not be seen
    wanted = end.facts.candidate
    return wanted is not None and wanted.text == version and version != end.facts.origin


def _is_quarantined(alert: Alert, end: PassEnd) -> bool:
    """The release failed here, and nothing newer is wanted, as far as that could be seen."""
    known = {(entry.version, entry.commit) for entry in end.memory.quarantine}
    commit = alert.fingerprint.rpartition("|")[2]
    if (alert.to_version or "", commit) not in known:
        return False
    return _is_wanted(alert, end)


def _waits_for_host(alert: Alert, end: PassEnd) -> bool:
    """The host was at fault, and the same release is tried again later."""
    return end.memory.host_faults is not None and _is_wanted(alert, end)


def _is_refused(alert: Alert, end: PassEnd) -> bool:
    """The release is not taken for now: it waits for a human, or for the host."""
    return _is_quarantined(alert, end) or _waits_for_host(alert, end)


def _is_wanted(alert: Alert, end: PassEnd) -> bool:
    if end.facts.recipe_problem:
        return True
    return end.facts.candidate is not None and end.facts.candidate.text == alert.to_version


def _does_not_answer(_alert: Alert, end: PassEnd) -> bool:
    return not end.answers


def _is_stalled(_alert: Alert, end: PassEnd) -> bool:
    """The journal stays until a human says `retry`, also where a pass had to leave it alone."""
    ended = end.outcome.changed and end.outcome.result.kind is not ResultKind.STALLED
    return end.facts.journal is not None and not ended


def _is_unmanaged(_alert: Alert, end: PassEnd) -> bool:
    unknown = end.facts.known is None or end.facts.runs_another
    return unknown and not end.outcome.changed and bool(end.facts.stack.services)


def _has_no_release(_alert: Alert, end: PassEnd) -> bool:
    return end.facts.candidate is None and end.facts.known is None and not end.facts.stack.services


def _is_of_another_stack(_alert: Alert, end: PassEnd) -> bool:
    known = end.facts.known
    return known is not None and known.stack not in ("", end.facts.spec.stack_name)


def _may_have_moved(_alert: Alert, end: PassEnd) -> bool:
    """Tags were not read, or this pass was about something else; the next one sees."""
    changed = end.outcome.changed and end.outcome.result.kind is not ResultKind.UPGRADED
    return bool(end.facts.recipe_problem) or changed


def _is_over(_alert: Alert, _end: PassEnd) -> bool:
    """This pass got through, and would have raised it again."""
    return False


_RULES: Mapping[str, Callable[[Alert, PassEnd], bool]] = {
    conditions.RecipeUnreadable.REASON: _is_over,
    conditions.TagMoved.REASON: _may_have_moved,
    conditions.PassFailed.REASON: _is_over,
    conditions.RecordUnreadable.REASON: _is_over,
    conditions.ReleaseRolledBack.REASON: _is_refused,
    conditions.FirstDeployFailed.REASON: _is_refused,
    conditions.ChangeAborted.REASON: _is_refused,
    conditions.ChangeStalled.REASON: _is_stalled,
    ResultKind.UNMANAGED: _is_unmanaged,
    ResultKind.NO_RELEASE: _has_no_release,
    f"held-{HoldReason.STACK_CHANGED}": _is_of_another_stack,
}
"""When a live app's alert may still be true, by its reason; all others end when the app is seen to answer."""
