"""What a finished change is called, what it tells people, what it teaches, and what is known-good after it."""

from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.change import outcome
from reconciler.model.alert import Severity
from reconciler.model.hold import HoldReason
from reconciler.model.journal import Change, Failure, Journal, Step
from reconciler.model.memory import Approval, HostFaults, Memory, Quarantine
from reconciler.model.release import Fallback, KnownGood
from reconciler.model.result import Result, ResultKind, held
from tests.builders import NOW, journal, known, memory, release

S = Step
OLD, V1, V2 = "0.9.0+4.0.0", "1.0.0+5.0.0", "1.0.1+5.0.1"
UPGRADE, DEPLOY, HEAL, ROLLBACK = Change.UPGRADE, Change.DEPLOY, Change.HEAL, Change.ROLLBACK
LATER = NOW + timedelta(minutes=5)


def ended(kind: Change, failed: Step | None = None, back: Step | None = None, **changes: Any) -> Journal:
    """A change that is over. `failed`: where it turned back; `back`: where the way back failed, too."""
    fault = changes.pop("fault", "app")
    fields: dict[str, Any] = {"step": S.RECORD}
    if failed is not None:
        fields["failure"] = Failure(step=failed, reason="broken", evidence=("exit 3",), fault=fault)
    if back is not None:
        fields["back_failure"] = Failure(step=back, reason="still broken", evidence=("exit 4",))
    return journal(kind, **(fields | changes))


SAME: dict[str, Any] = {"target": release(V1, bundle="c" * 64)}

RESULTS = [
    pytest.param(ended(UPGRADE), f"upgraded:{V1}->{V2}", id="upgrade"),
    pytest.param(ended(UPGRADE, **SAME), f"reconfigured:{V1}", id="the same release with other settings"),
    pytest.param(ended(UPGRADE, S.OPENED), f"aborted:{V1}->{V2}", id="upgrade stopped at once"),
    pytest.param(ended(UPGRADE, S.SNAPSHOT), f"aborted:{V1}->{V2}", id="upgrade failed before the candidate"),
    pytest.param(ended(UPGRADE, S.DEPLOY), f"rolled-back:{V2}->{V1}", id="upgrade failed with the candidate"),
    pytest.param(ended(UPGRADE, S.VERIFY), f"rolled-back:{V2}->{V1}", id="upgrade did not answer"),
    pytest.param(ended(UPGRADE, S.VERIFY, **SAME), f"rolled-back:{V1}->{V1}", id="other settings did not answer"),
    pytest.param(
        ended(UPGRADE, S.VERIFY, S.BACK_VERIFY), f"rollback-failed:{V2}->{V1}", id="upgrade and its way back failed"
    ),
    pytest.param(
        ended(UPGRADE, S.SNAPSHOT, S.BACK_VERIFY), f"rollback-failed:{V2}->{V1}", id="an abort whose way back failed"
    ),
    pytest.param(ended(DEPLOY), f"deployed:{V2}", id="first deploy"),
    pytest.param(ended(DEPLOY, S.QUIESCE), f"aborted:{V2}", id="first deploy failed before the candidate"),
    pytest.param(ended(DEPLOY, S.SETTLE), f"deploy-failed:{V2}", id="first deploy failed"),
    pytest.param(ended(DEPLOY, S.SETTLE, S.BACK_RESTORE), f"deploy-failed:{V2}", id="first deploy, and data stuck"),
    pytest.param(ended(HEAL), f"healed:{V2}", id="heal"),
    pytest.param(ended(HEAL, reason=outcome.ABSENT), f"deployed:{V2}", id="a heal that brought the whole app back"),
    pytest.param(ended(HEAL, S.VERIFY), f"unhealthy:{V2}", id="heal did not help"),
    pytest.param(ended(HEAL, S.QUIESCE), f"unhealthy:{V2}", id="heal was never tried"),
    pytest.param(ended(ROLLBACK, S.VERIFY), f"rolled-back:{V2}->{V1}", id="ordered rollback"),
    pytest.param(ended(ROLLBACK, S.VERIFY, S.BACK_VERIFY), f"rollback-failed:{V2}->{V1}", id="ordered rollback failed"),
]


@pytest.mark.parametrize(("one", "line"), RESULTS)
def test_what_a_change_came_to(one: Journal, line: str) -> None:
    assert str(outcome.result(one)) == line


@pytest.mark.parametrize(
    ("result", "line"),
    [
        pytest.param(Result(kind=ResultKind.NOOP_HEALTHY), "noop-healthy", id="a word alone"),
        pytest.param(Result(kind=ResultKind.DEPLOYED, about=V1), f"deployed:{V1}", id="about a version"),
        pytest.param(Result(kind=ResultKind.UPGRADED, about=V1, to=V2), f"upgraded:{V1}->{V2}", id="from and to"),
        pytest.param(held(HoldReason.MAJOR, V1, V2), f"held-major:{V1}->{V2}", id="a held upgrade"),
        pytest.param(held(HoldReason.MAJOR, None, V2), f"held-major:{V2}", id="a held first deploy"),
        pytest.param(held(HoldReason.STATE, V1), f"held-state:{V1}", id="what runs is held"),
        pytest.param(held(HoldReason.STATE), "held-state", id="held and no version known"),
    ],
)
def test_the_text_of_a_result(result: Result, line: str) -> None:
    assert str(result) == line


ALERTS = [
    pytest.param(ended(UPGRADE), None, id="upgrade went well"),
    pytest.param(ended(UPGRADE, S.OPENED), None, id="stopped before anything was touched"),
    pytest.param(ended(DEPLOY, S.OPENED), None, id="first deploy stopped at once"),
    pytest.param(ended(HEAL), None, id="heal went well"),
    pytest.param(ended(UPGRADE, S.UNDEPLOY), ("aborted", "warning", True), id="aborted, and what was there runs"),
    pytest.param(ended(UPGRADE, S.SETTLE), ("rollback", "warning", True), id="rolled back"),
    pytest.param(ended(UPGRADE, S.SETTLE, fault="host"), ("rollback", "warning", True), id="rolled back for the host"),
    pytest.param(ended(UPGRADE, S.SETTLE, S.BACK_SETTLE), ("rollback-failed", "critical", False), id="nothing runs"),
    pytest.param(
        ended(UPGRADE, S.SNAPSHOT, S.BACK_SETTLE), ("rollback-failed", "critical", False), id="aborted and nothing runs"
    ),
    pytest.param(
        ended(UPGRADE, S.SETTLE, S.BACK_RESTORE), ("rollback-failed", "critical", False), id="its data is not back"
    ),
    pytest.param(ended(DEPLOY, S.QUIESCE), ("aborted", "warning", False), id="first deploy aborted"),
    pytest.param(ended(DEPLOY, S.VERIFY), ("deploy-failed", "critical", False), id="first deploy failed"),
    pytest.param(ended(HEAL, S.VERIFY), ("unhealthy", "critical", False), id="heal did not help"),
    pytest.param(ended(HEAL, S.QUIESCE, fault="host"), ("unhealthy", "critical", False), id="heal could not be tried"),
    pytest.param(ended(ROLLBACK, S.VERIFY), ("rollback", "warning", True), id="ordered rollback"),
    pytest.param(
        ended(ROLLBACK, S.VERIFY, S.BACK_DEPLOY), ("rollback-failed", "critical", False), id="ordered rollback failed"
    ),
]


@pytest.mark.parametrize(("one", "told"), ALERTS)
def test_what_people_are_told_of_a_change(one: Journal, told: tuple[str, str, bool] | None) -> None:
    found = outcome.alert(one, NOW)
    assert (found and (found.reason, found.severity, found.recovered)) == told
    if found is not None:
        assert (found.op_id, found.attempted, found.to_version) == ("op-1", one.target.version, one.target.version)
        assert found.last_good == found.from_version == (one.origin.version if one.origin else None)


@pytest.mark.parametrize(
    ("one", "evidence"),
    [
        pytest.param(ended(UPGRADE, S.SETTLE), ("settle: broken", "exit 3"), id="the cause, then its details"),
        pytest.param(
            ended(UPGRADE, S.SETTLE, S.BACK_SETTLE),
            ("settle: broken", "back-settle: still broken", "exit 3", "exit 4"),
            id="both causes, then both details",
        ),
        pytest.param(
            ended(ROLLBACK, S.VERIFY, actor="alice"), ("rolled back by alice: broken", "exit 3"), id="who ordered it"
        ),
        pytest.param(
            ended(UPGRADE, S.SETTLE, resumes=2), ("settle: broken", "exit 3", "resumed 2 times"), id="how often resumed"
        ),
    ],
)
def test_the_evidence_begins_with_the_cause(one: Journal, evidence: tuple[str, ...]) -> None:
    found = outcome.alert(one, NOW)
    assert found is not None and found.evidence == evidence


def test_a_heal_that_did_not_help_is_the_same_condition_as_an_app_found_ill() -> None:
    first, second = (
        outcome.alert(ended(HEAL, step, op_id=op), NOW) for step, op in ((S.VERIFY, "a"), (S.QUIESCE, "b"))
    )
    assert first is not None and second is not None
    assert first.fingerprint == second.fingerprint == f"notes|unhealthy|{V2}"


def test_a_stalled_change_is_one_alert_per_operation() -> None:
    found = outcome.stalled_alert(ended(UPGRADE, S.SETTLE, S.BACK_RESTORE, step=S.BACK_RESTORE, resumes=5), NOW)
    assert (found.fingerprint, found.severity, found.recovered) == ("notes|stalled|op-1", Severity.CRITICAL, False)
    assert found.evidence == ("upgrade stopped 5 times at step back-restore", "back-restore: still broken", "exit 4")


APPROVED = Approval(version=V2, reason="read", actor="ops", at=NOW)
USED = APPROVED.model_copy(update={"used_at": NOW})
USED_NOW = APPROVED.model_copy(update={"used_at": LATER})
OTHER = Approval(version="9.0.0+9.0.0", reason="later", actor="ops", at=NOW)
FAULTS = HostFaults(count=2, last_at=NOW, reason="no leader")
ONE_MORE = HostFaults(count=3, last_at=LATER, reason="broken")


def blamed(version: str = V2, *, reason: str = "broken", desired: str = "d") -> Quarantine:
    """The entry of a release, or of `version` from another time."""
    at = LATER if reason == "broken" else NOW
    return Quarantine(version=version, commit=release(version).commit, desired=desired, reason=reason, at=at)


LEARNT = [
    pytest.param(ended(UPGRADE), {"host_faults": FAULTS}, {"host_faults": None}, id="success ends the back-off"),
    pytest.param(ended(HEAL), {"host_faults": FAULTS}, {"host_faults": None}, id="a heal ends the back-off, too"),
    pytest.param(
        ended(UPGRADE), {"approvals": (APPROVED,)}, {"approvals": (USED_NOW,)}, id="success uses the approval"
    ),
    pytest.param(ended(UPGRADE), {"approvals": (USED,)}, {}, id="an approval is used once"),
    pytest.param(ended(UPGRADE), {"approvals": (OTHER,)}, {}, id="another version's approval stands"),
    pytest.param(ended(HEAL), {"approvals": (APPROVED,)}, {}, id="a heal uses no approval"),
    pytest.param(
        ended(UPGRADE, S.OPENED, fault="host"),
        {"approvals": (APPROVED,), "host_faults": FAULTS},
        {},
        id="stopped at once",
    ),
    pytest.param(
        ended(UPGRADE, S.SNAPSHOT, fault="host"),
        {"approvals": (APPROVED,), "host_faults": FAULTS},
        {"host_faults": ONE_MORE},
        id="an abort blames the host and keeps the approval",
    ),
    pytest.param(
        ended(UPGRADE, S.UNDEPLOY),
        {"approvals": (APPROVED,), "host_faults": FAULTS},
        {"quarantine": (blamed(),)},
        id="a stop that had to be clean: the release waits for a word, the approval stands",
    ),
    pytest.param(
        ended(UPGRADE, S.SETTLE, fault="host"),
        {"approvals": (APPROVED,), "host_faults": FAULTS},
        {"host_faults": ONE_MORE},
        id="the host failed the candidate: not in quarantine, the approval stands",
    ),
    pytest.param(
        ended(UPGRADE, S.SETTLE),
        {"approvals": (APPROVED,), "host_faults": FAULTS},
        {"approvals": (USED_NOW,), "quarantine": (blamed(),)},
        id="the release failed: quarantine, and the approval is used",
    ),
    pytest.param(ended(DEPLOY, S.VERIFY), {}, {"quarantine": (blamed(),)}, id="a first release failed"),
    pytest.param(
        ended(ROLLBACK, S.VERIFY), {}, {"quarantine": (blamed(),)}, id="an ordered rollback blames the release"
    ),
    pytest.param(
        ended(UPGRADE, S.SETTLE, S.BACK_SETTLE), {}, {"quarantine": (blamed(),)}, id="the way back says nothing of it"
    ),
    pytest.param(ended(HEAL, S.VERIFY), {"approvals": (APPROVED,)}, {}, id="a heal puts nothing in quarantine"),
    pytest.param(
        ended(HEAL, S.VERIFY, fault="host"),
        {"host_faults": FAULTS},
        {"host_faults": ONE_MORE},
        id="the host failed a heal",
    ),
    pytest.param(
        ended(UPGRADE, S.SETTLE),
        {"quarantine": (blamed(reason="before"), blamed(OLD, reason="before"))},
        {"quarantine": (blamed(OLD, reason="before"), blamed())},
        id="the same release again replaces its entry",
    ),
    pytest.param(
        ended(UPGRADE, S.SETTLE),
        {"quarantine": (blamed(reason="before", desired="other"),)},
        {"quarantine": (blamed(reason="before", desired="other"), blamed())},
        id="with other settings it is another entry",
    ),
]


@pytest.mark.parametrize(("one", "before", "learnt"), LEARNT)
def test_what_a_change_teaches(one: Journal, before: dict[str, Any], learnt: dict[str, Any]) -> None:
    start = memory({V2: "c" * 40}, **before)
    assert outcome.remember(one, start, LATER) == start.model_copy(update=learnt)


def test_the_quarantine_keeps_the_newest_twenty() -> None:
    old = tuple(blamed(f"0.0.{n}+1.0.0", reason="before") for n in range(20))
    found: Memory = outcome.remember(ended(UPGRADE, S.SETTLE), memory(quarantine=old), LATER)
    assert found.quarantine == (*old[1:], blamed())


SETTLED = {"app": "spec-9"}
BEFORE = known(V1, desired="d0", fallback=Fallback(release=release(OLD), snapshot="s0"), stack="kept")
TARGET = release(V2)


def record(version: str, *, desired: str = "d", fallback: Fallback | None = None, **changes: Any) -> KnownGood:
    """What is on record after a change."""
    fields: dict[str, Any] = {"stack": journal().stack, "services": SETTLED, "at": LATER}
    return known(version, desired=desired, fallback=fallback, **(fields | changes))


def settled(kind: Change, step: Step, **changes: Any) -> Journal:
    changes = {"settled_services": SETTLED, "origin_desired": "d0", "snapshot": "s1", **changes}
    return ended(kind, changes.pop("failed", None), changes.pop("back", None), step=step, **changes)


WAY_BACK = Fallback(release=release(V1), snapshot="s1", desired="d0")

RECORDS = [
    pytest.param(
        settled(UPGRADE, S.COMMIT),
        BEFORE,
        record(V2, fallback=WAY_BACK),
        id="commit: the target, and a way back to before",
    ),
    pytest.param(
        settled(UPGRADE, S.COMMIT, snapshot=None),
        BEFORE,
        record(V2, fallback=WAY_BACK.model_copy(update={"snapshot": None})),
        id="commit without data: a way back without a snapshot",
    ),
    pytest.param(settled(DEPLOY, S.COMMIT), None, record(V2), id="commit of a first deploy: no way back"),
    pytest.param(
        settled(UPGRADE, S.COMMIT, target=release(V1)),
        BEFORE,
        record(V1, fallback=BEFORE.fallback),
        id="commit of the very same bundle: its way back stays",
    ),
    pytest.param(
        settled(UPGRADE, S.COMMIT, **SAME),
        BEFORE,
        record(V1, fallback=WAY_BACK, release=SAME["target"]),
        id="commit of new settings: back to the old ones",
    ),
    pytest.param(
        settled(HEAL, S.COMMIT, target=release(V1)),
        BEFORE,
        BEFORE.model_copy(update={"services": SETTLED}),
        id="commit of a heal: only the services are seen anew",
    ),
    pytest.param(settled(HEAL, S.COMMIT), None, None, id="a heal makes no record where there is none"),
    pytest.param(
        settled(UPGRADE, S.RECORD, failed=S.VERIFY),
        BEFORE,
        BEFORE.model_copy(update={"services": SETTLED}),
        id="rolled back: the prior's services are seen anew",
    ),
    pytest.param(
        settled(UPGRADE, S.RECORD, failed=S.VERIFY, back=S.BACK_SETTLE, settled_services={}),
        BEFORE,
        None,
        id="the prior did not come up: the record stands",
    ),
    pytest.param(
        settled(UPGRADE, S.RECORD, failed=S.VERIFY, origin=release(OLD)),
        BEFORE,
        None,
        id="the record is of another release",
    ),
    pytest.param(settled(DEPLOY, S.RECORD, failed=S.VERIFY), None, None, id="a first deploy that failed leaves none"),
    pytest.param(
        settled(ROLLBACK, S.RECORD, failed=S.VERIFY, origin=release(OLD), target=release(V1)),
        BEFORE,
        record(OLD, desired="d0"),
        id="ordered rollback: the fallback, and no further way back",
    ),
    pytest.param(
        settled(ROLLBACK, S.RECORD, failed=S.VERIFY, back=S.BACK_SETTLE, origin=release(OLD), settled_services={}),
        BEFORE,
        record(OLD, desired="d0", services={}),
        id="ordered rollback failed: the data is the fallback's all the same",
    ),
]


@pytest.mark.parametrize(("one", "before", "after"), RECORDS)
def test_what_is_known_good_after_a_change(one: Journal, before: KnownGood | None, after: KnownGood | None) -> None:
    assert outcome.known_good(one, before, LATER) == after


def test_the_target_of_a_change_is_what_its_commit_records() -> None:
    found = outcome.known_good(settled(UPGRADE, S.COMMIT), BEFORE, LATER)
    assert found is not None and found.release == TARGET and found.desired == "d"
