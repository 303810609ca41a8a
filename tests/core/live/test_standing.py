"""Which conditions a pass finds, and which open alerts it sees to be over: one row per pair of alert and pass."""

from typing import Any

import pytest

from reconciler.core import conditions
from reconciler.core.conditions import Condition
from reconciler.core.live import standing
from reconciler.core.live.standing import PassEnd, Standing
from reconciler.core.live.upgrade_facts import UpgradeFacts
from reconciler.model.action import Outcome
from reconciler.model.alert import Alert
from reconciler.model.app import Kind
from reconciler.model.hold import Hold
from reconciler.model.hold import HoldReason as H
from reconciler.model.ids import AppName
from reconciler.model.memory import HostFaults, Quarantine
from reconciler.model.result import Result, ResultKind, held
from reconciler.model.snapshot import DrillRecord
from reconciler.model.status import Assessment, Status
from tests.builders import NOW, facts, journal, known, memory, service, spec, stack, task

APP = AppName("notes")
V1, V2, V3 = "1.0.0+5.0.0", "1.0.1+5.0.1", "1.0.2+5.0.2"
COMMIT = "c" * 40
HERE = stack(service(), task())
FAULTS = HostFaults(count=1, last_at=NOW, reason="no leader")
QUARANTINE = (Quarantine(version=V2, commit=COMMIT, desired="d", reason="exit 3", at=NOW),)
K = ResultKind


def hold(reason: H, clears_when: str = "it clears") -> Hold:
    return Hold(reason=reason, detail="why", clears_when=clears_when)


def outcome(kind: ResultKind = K.NOOP_HEALTHY, *holds: H, **changes: Any) -> Outcome:
    """How the pass ended; `holds` name why it waits."""
    result = held(holds[0], V1, V2) if holds else Result(kind=kind)
    return Outcome(app=APP, result=result, holds=tuple(map(hold, holds)), **changes)


def gate(version: str = V2) -> UpgradeFacts:
    """The gate was asked about that version."""
    return UpgradeFacts(version=version, commit=COMMIT, notes={version: "read this"})


def end(status: Status = Status.IN_SYNC, **changes: Any) -> PassEnd:
    """A quiet pass over an app that runs V1, but for `changes`; those that are facts go there."""
    own = ("outcome", "memory", "upgrade", "holds", "drill", "in_use", "left", "open")
    fields = {name: changes.pop(name) for name in own if name in changes}
    app = facts(**{"known": known(), "running": V1, "stack": HERE} | changes)
    base: dict[str, Any] = {"outcome": outcome(), "memory": memory()}
    return PassEnd(facts=app, assessment=Assessment(status=status, reason="why"), **(base | fields))


def told(condition: Condition, *, target: str | None = None) -> Alert:
    return condition.alert(NOW, ["seen"], origin=V1, target=target)


HELD = told(conditions.Held(app=APP, hold=H.MAJOR, version=V2), target=V2)
UNHEALTHY = told(conditions.NotWell(app=APP, kind="unhealthy", version=V1))
UNMANAGED = told(conditions.NotWell(app=APP, kind="unmanaged", version=V1))
NO_RELEASE = told(conditions.NotWell(app=APP, kind="no-release", version=""))
UNKNOWN = told(conditions.NotWell(app=APP, kind="unknown", version=V1))
REFUSED = told(conditions.NotWell(app=APP, kind="rollback-refused", version=V1))
VOLUMES = told(conditions.NotWell(app=APP, kind="held-volumes-changed", version=V1))
STACK = told(conditions.NotWell(app=APP, kind="held-stack-changed", version=V1))
RECIPE = told(conditions.RecipeUnreadable(app=APP))
ERROR = told(conditions.PassFailed(app=APP, error_class="ActError"))
STATE = told(conditions.RecordUnreadable(app=APP, path="memory.json"))
ROLLBACK = told(conditions.ReleaseRolledBack(app=APP, version=V2, commit=COMMIT), target=V2)
FIRST = told(conditions.FirstDeployFailed(app=APP, version=V2, commit=COMMIT), target=V2)
BACK_FAILED = told(conditions.RollbackFailed(app=APP, version=V2, commit=COMMIT), target=V2)
ABORTED = told(conditions.ChangeAborted(app=APP, version=V2, commit=COMMIT), target=V2)
STALLED = told(conditions.ChangeStalled(app=APP, op_id="op-1"), target=V2)
DRILL = told(conditions.DrillFailed(app=APP, snapshot="s1"))
RESTORE = told(conditions.RestoreFailed(app=APP))
LEFT = told(conditions.RemovalFailed(app=APP, path="/v/.ci-warm-trash-1"))
PROMOTION = told(conditions.PromotionFailed(app=APP))

STANDS, OVER = True, False
UPGRADED = outcome(K.UPGRADED, changed=True)
ROLLED_BACK = outcome(K.ROLLED_BACK, changed=True, ok=False)
BUSY = outcome(K.BUSY)
CANONICAL = spec(kind=Kind.CANONICAL)


def drill(*problems: str, snapshot: str = "s1") -> DrillRecord:
    return DrillRecord(app=APP, snapshot=snapshot, at=NOW, problems=problems)


ILL = [
    pytest.param(UNHEALTHY, end(Status.FAILED, outcome=outcome(K.UNHEALTHY, ok=False)), STANDS, id="ill: still ill"),
    pytest.param(UNHEALTHY, end(Status.IN_SYNC), OVER, id="ill: it answers"),
    pytest.param(UNHEALTHY, end(Status.OUT_OF_SYNC), OVER, id="ill: it answers, and a newer one is wanted"),
    pytest.param(UNHEALTHY, end(Status.UNVERIFIED), STANDS, id="ill: it is starting, so it is not known"),
    pytest.param(UNHEALTHY, end(Status.INTERRUPTED), STANDS, id="ill: a change is under way"),
    pytest.param(UNHEALTHY, end(Status.UNKNOWN), STANDS, id="ill: it could not be seen"),
    pytest.param(UNHEALTHY, end(Status.DRIFTED, outcome=BUSY), STANDS, id="ill: another process works on it"),
    pytest.param(UNHEALTHY, end(Status.ABSENT), STANDS, id="ill: it is gone"),
    pytest.param(UNHEALTHY, end(Status.FAILED, outcome=UPGRADED), OVER, id="ill: a change that went well proved it"),
    pytest.param(UNHEALTHY, end(Status.OUT_OF_SYNC, outcome=ROLLED_BACK), STANDS, id="ill: a change failed"),
    pytest.param(UNKNOWN, end(Status.IN_SYNC), OVER, id="unseen: seen and well"),
    pytest.param(UNKNOWN, end(Status.FAILED), STANDS, id="unseen: seen and ill"),
    pytest.param(REFUSED, end(Status.IN_SYNC), OVER, id="rollback refused: it answers without"),
    pytest.param(REFUSED, end(Status.FAILED), STANDS, id="rollback refused: it is still ill"),
    pytest.param(BACK_FAILED, end(Status.FAILED), STANDS, id="way back failed: still ill"),
    pytest.param(BACK_FAILED, end(Status.IN_SYNC), OVER, id="way back failed: it answers"),
    pytest.param(
        BACK_FAILED, end(Status.DRIFTED, outcome=outcome(K.HEALED, changed=True)), OVER, id="way back: healed"
    ),
    pytest.param(VOLUMES, end(Status.ABSENT, outcome=outcome(K.HELD, ok=False)), STANDS, id="volumes gone: still gone"),
    pytest.param(
        VOLUMES, end(Status.ABSENT, outcome=outcome(K.DEPLOYED, changed=True)), OVER, id="volumes: it is back"
    ),
]

STARTS = [
    pytest.param(LEFT, end(left=("/v/.ci-warm-trash-1",)), STANDS, id="leftover: still there, though the app is well"),
    pytest.param(LEFT, end(left=("/v/.ci-warm-trash-2",)), OVER, id="leftover: gone, another one is not"),
    pytest.param(LEFT, end(Status.FAILED), OVER, id="leftover: gone, though the app is ill"),
    pytest.param(LEFT, end(spec=CANONICAL, left=("/v/.ci-warm-trash-1",)), STANDS, id="leftover: of a canonical"),
    pytest.param(UNMANAGED, end(Status.UNMANAGED, known=None), STANDS, id="unmanaged: no record still"),
    pytest.param(UNMANAGED, end(Status.IN_SYNC), OVER, id="unmanaged: a record knows it"),
    pytest.param(
        UNMANAGED,
        end(Status.UNMANAGED, known=None, outcome=outcome(K.ADOPTED, changed=True)),
        OVER,
        id="unmanaged: adopted",
    ),
    pytest.param(NO_RELEASE, end(Status.ABSENT, known=None, stack=stack()), STANDS, id="no release: none still"),
    pytest.param(
        NO_RELEASE, end(Status.ABSENT, known=None, stack=stack(), candidate=V1), OVER, id="no release: one is wanted"
    ),
    pytest.param(NO_RELEASE, end(Status.UNMANAGED, known=None), OVER, id="no release: something runs"),
    pytest.param(NO_RELEASE, end(Status.ABSENT, stack=stack()), OVER, id="no release: a record knows one"),
    pytest.param(
        STACK, end(known=known(stack="other_stack")), STANDS, id="stack changed: data still belongs elsewhere"
    ),
    pytest.param(STACK, end(known=known(stack="notes_example_test")), OVER, id="stack changed: the old name again"),
    pytest.param(STACK, end(known=known(stack="")), OVER, id="stack changed: an old record names none"),
    pytest.param(STACK, end(known=None), OVER, id="stack changed: no record"),
]

PASSED = [
    pytest.param(RECIPE, end(), OVER, id="recipe: it was read"),
    pytest.param(ERROR, end(), OVER, id="error: this pass got through"),
    pytest.param(ERROR, end(Status.FAILED), OVER, id="error: got through, and the app is ill"),
    pytest.param(STATE, end(), OVER, id="record: it was read"),
    pytest.param(STALLED, end(Status.INTERRUPTED, journal=journal()), STANDS, id="stalled: the journal is open"),
    pytest.param(
        STALLED,
        end(Status.INTERRUPTED, journal=journal(), outcome=outcome(K.STALLED, changed=True, ok=False)),
        STANDS,
        id="stalled: and it says so again",
    ),
    pytest.param(STALLED, end(Status.INTERRUPTED, journal=journal(), outcome=UPGRADED), OVER, id="stalled: it went on"),
    pytest.param(STALLED, end(), OVER, id="stalled: no journal any more"),
]

RELEASES = [
    pytest.param(
        ROLLBACK, end(candidate=V2, memory=memory(quarantine=QUARANTINE)), STANDS, id="rollback: in quarantine"
    ),
    pytest.param(ROLLBACK, end(candidate=V2), OVER, id="rollback: the operator said retry"),
    pytest.param(
        ROLLBACK, end(candidate=V3, memory=memory(quarantine=QUARANTINE)), OVER, id="rollback: a newer one is wanted"
    ),
    pytest.param(
        ROLLBACK, end(memory=memory(quarantine=QUARANTINE)), OVER, id="rollback: the recipe wants nothing any more"
    ),
    pytest.param(
        ROLLBACK,
        end(memory=memory(quarantine=QUARANTINE), recipe_problem="away"),
        STANDS,
        id="rollback: what is wanted could not be seen",
    ),
    pytest.param(
        ROLLBACK,
        end(candidate=V2, memory=memory(quarantine=[QUARANTINE[0].model_copy(update={"commit": "e" * 40})])),
        OVER,
        id="rollback: the tag of another commit is in quarantine",
    ),
    pytest.param(
        ROLLBACK, end(candidate=V2, memory=memory(host_faults=FAULTS)), STANDS, id="rollback: waits for the host"
    ),
    pytest.param(
        ROLLBACK,
        end(candidate=V3, memory=memory(host_faults=FAULTS)),
        OVER,
        id="rollback: a newer one waits for the host",
    ),
    pytest.param(
        FIRST,
        end(candidate=V2, known=None, memory=memory(quarantine=QUARANTINE)),
        STANDS,
        id="first deploy: quarantine",
    ),
    pytest.param(FIRST, end(candidate=V2, known=None), OVER, id="first deploy: the operator said retry"),
    pytest.param(
        ABORTED, end(candidate=V2, memory=memory(host_faults=FAULTS)), STANDS, id="aborted: waits for the host"
    ),
    pytest.param(ABORTED, end(candidate=V2), OVER, id="aborted: the host is well"),
    pytest.param(
        ABORTED, end(candidate=V3, memory=memory(host_faults=FAULTS)), OVER, id="aborted: a newer one is wanted"
    ),
    pytest.param(
        ABORTED,
        end(memory=memory(host_faults=FAULTS), recipe_problem="away"),
        STANDS,
        id="aborted: what is wanted could not be seen",
    ),
]

MAJOR, TAG = (hold(H.MAJOR),), (hold(H.TAG_MOVED),)
HOLDS = [
    pytest.param(HELD, end(candidate=V2, upgrade=gate(), holds=MAJOR), STANDS, id="held: the gate says so still"),
    pytest.param(HELD, end(candidate=V2, upgrade=gate(), holds=(*TAG, *MAJOR)), STANDS, id="held: and says more"),
    pytest.param(HELD, end(candidate=V2, upgrade=gate(), outcome=outcome(K.HELD, H.MAJOR)), STANDS, id="held: outcome"),
    pytest.param(HELD, end(candidate=V2, upgrade=gate()), OVER, id="held: the gate is open"),
    pytest.param(HELD, end(candidate=V2, upgrade=gate(), holds=TAG), OVER, id="held: for another reason now"),
    pytest.param(HELD, end(candidate=V2, upgrade=gate(), outcome=UPGRADED), OVER, id="held: it was taken"),
    pytest.param(HELD, end(candidate=V2), STANDS, id="held: the gate was not asked"),
    pytest.param(HELD, end(candidate=V2, upgrade=gate(V1)), STANDS, id="held: the gate was asked about settings alone"),
    pytest.param(HELD, end(Status.FAILED, candidate=V2), STANDS, id="held: illness comes first"),
    pytest.param(HELD, end(candidate=V3), OVER, id="held: a newer one is wanted"),
    pytest.param(
        HELD, end(candidate=V3, upgrade=gate(V3), holds=MAJOR), OVER, id="held: the newer one is held instead"
    ),
    pytest.param(HELD, end(), OVER, id="held: nothing is wanted"),
    pytest.param(HELD, end(known=known(V2), candidate=V2), OVER, id="held: it runs"),
    pytest.param(HELD, end(recipe_problem="away"), STANDS, id="held: what is wanted could not be seen"),
]

CANONICALS = [
    pytest.param(PROMOTION, end(spec=CANONICAL), STANDS, id="promotion: only a promotion ends it"),
    pytest.param(RESTORE, end(spec=CANONICAL, in_use=True), STANDS, id="restore: its data is still dirty"),
    pytest.param(RESTORE, end(spec=CANONICAL), OVER, id="restore: its data is as promised"),
    pytest.param(NO_RELEASE, end(spec=CANONICAL, known=None, stack=stack()), OVER, id="canonical: raised anew if so"),
    pytest.param(DRILL, end(spec=CANONICAL, drill=drill("bad")), STANDS, id="drill of a canonical: still bad"),
    pytest.param(DRILL, end(drill=drill("bad")), STANDS, id="drill: the last one went badly"),
    pytest.param(DRILL, end(drill=drill()), OVER, id="drill: the last one went well"),
    pytest.param(DRILL, end(drill=drill("bad", snapshot="s2")), OVER, id="drill: of another snapshot"),
    pytest.param(DRILL, end(), OVER, id="drill: none on record"),
]


@pytest.mark.parametrize(("alert", "seen", "stands"), [*ILL, *STARTS, *PASSED, *RELEASES, *HOLDS, *CANONICALS])
def test_an_alert_is_over_only_when_the_pass_saw_that_it_is(alert: Alert, seen: PassEnd, stands: bool) -> None:
    assert standing.still_stands(alert, seen) is stands


SILENT = (H.COOLDOWN, H.WATCHED, H.WINDOW, H.SUSPENDED, H.TRAIN_STOPPED, H.QUARANTINED, H.UNTESTED)
"""Holds that end by themselves, were asked for, or have an alert of their own."""
FOUND = [
    pytest.param(end(), [], id="all is well"),
    pytest.param(end(outcome=UPGRADED), [], id="a change that went well"),
    pytest.param(end(outcome=ROLLED_BACK), [], id="a change that failed has told it by itself"),
    pytest.param(end(outcome=outcome(K.UNHEALTHY, ok=False)), [f"notes|unhealthy|{V1}"], id="ill"),
    pytest.param(
        end(known=None, running=None, outcome=outcome(K.UNMANAGED, ok=False)), ["notes|unmanaged|"], id="unmanaged"
    ),
    pytest.param(end(outcome=outcome(K.UNKNOWN, ok=False)), [f"notes|unknown|{V1}"], id="not to be judged"),
    pytest.param(
        end(outcome=outcome(K.HELD, H.VOLUMES_CHANGED, ok=False)),
        [f"notes|held-volumes-changed|{V1}"],
        id="held by its own state, the gate was not asked",
    ),
    pytest.param(
        end(upgrade=gate(), outcome=outcome(K.HELD, H.MAJOR)), [f"notes|held-major|{V2}"], id="held for a human"
    ),
    pytest.param(
        end(upgrade=gate(), outcome=outcome(K.HELD, H.MAJOR, H.POLICY)), [f"notes|held-major|{V2}"], id="held for two"
    ),
    pytest.param(
        end(upgrade=gate(), outcome=outcome(K.HELD, H.COOLDOWN, H.POLICY)),
        [f"notes|held-policy|{V2}"],
        id="what clears by itself does not name the alert",
    ),
    pytest.param(
        end(upgrade=gate(), outcome=outcome(K.HELD, H.TAG_MOVED, H.MAJOR), open=[HELD]),
        [f"notes|held-major|{V2}"],
        id="the name that was told stays",
    ),
    pytest.param(
        end(upgrade=gate(), outcome=outcome(K.HELD, H.TAG_MOVED), open=[HELD]),
        [f"notes|held-tag-moved|{V2}"],
        id="a name whose reason is gone does not stay",
    ),
    pytest.param(
        end(upgrade=gate(V3), outcome=outcome(K.HELD, H.TAG_MOVED, H.MAJOR), open=[HELD]),
        [f"notes|held-tag-moved|{V3}"],
        id="the name of another version is not taken over",
    ),
    *(
        pytest.param(end(upgrade=gate(), outcome=outcome(K.HELD, reason)), [], id=f"quiet: {reason}")
        for reason in SILENT
    ),
    *(
        pytest.param(
            end(upgrade=gate(), outcome=outcome(K.HELD, reason)), [f"notes|held-{reason}|{V2}"], id=f"loud: {reason}"
        )
        for reason in H
        if reason not in SILENT
    ),
    pytest.param(end(recipe_problem="away"), ["notes|recipe|"], id="the recipe cannot be read"),
    pytest.param(
        end(recipe_problem="away", outcome=outcome(K.UNHEALTHY, ok=False)),
        [f"notes|unhealthy|{V1}", "notes|recipe|"],
        id="ill, and the recipe cannot be read",
    ),
    pytest.param(
        end(outcome=UPGRADED, recipe_problem="away"), ["notes|recipe|"], id="changed, and the recipe cannot be read"
    ),
]


@pytest.mark.parametrize(("seen", "fingerprints"), FOUND)
def test_the_conditions_that_a_pass_finds(seen: PassEnd, fingerprints: list[str]) -> None:
    assert [found.condition.fingerprint for found in standing.find_conditions(seen)] == fingerprints


def test_a_hold_tells_all_reasons_all_that_clears_them_and_the_notes() -> None:
    both = Outcome(
        app=APP,
        result=held(H.COOLDOWN, V1, V2),
        holds=(hold(H.COOLDOWN, "12:00"), hold(H.MAJOR, "approve"), hold(H.POLICY, "allow")),
    )
    found: list[Standing] = list(standing.find_conditions(end(upgrade=gate(), outcome=both)))
    [one] = found
    assert one.condition.clears_when == "approve; allow"
    assert one.evidence == ["cooldown: why", "major: why", "policy: why"]
    assert (one.origin, one.target, one.notes) == (V1, V2, ((V2, "read this"),))
