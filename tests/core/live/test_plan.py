"""The one next action of an app, what the gate is asked about, and the steps that people are shown."""

from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.live import plan
from reconciler.model.action import Action, Adopt, Deploy, Heal, Nothing, Resume, RollBack, Upgrade
from reconciler.model.app import AppSpec
from reconciler.model.hold import HoldReason
from reconciler.model.ids import OpId
from reconciler.model.probe import ProbeAnswer
from reconciler.model.release import Fallback
from reconciler.model.result import Result, ResultKind
from reconciler.model.settling import Fault
from reconciler.model.status import Assessment, Status
from tests.builders import NOW, facts, journal, known, release, service, spec, stack, task

OLD, V1, V2 = "0.9.0+4.0.0", "1.0.0+5.0.0", "1.0.1+5.0.1"
BACK = Fallback(release=release(OLD), snapshot="s")
BAKE = spec(upgrade={"bake": 120})
BAD = ProbeAnswer(ok=False, code=503, detail="503")
S = Status


def committed(seconds_ago: float, *, back: Fallback | None = BACK) -> dict[str, Any]:
    """An app whose release was committed then, with two minutes of bake."""
    return {"spec": BAKE, "known": known(fallback=back, at=NOW - timedelta(seconds=seconds_ago))}


def nothing(kind: ResultKind, about: str = "", *, ok: bool = False) -> Nothing:
    return Nothing(result=Result(kind=kind, about=about), ok=ok)


LATE = "never well since its commit, and no pass came within its bake watch"
FELL = stack(service(), task(state="failed", at=NOW - timedelta(seconds=110), created_at=NOW - timedelta(seconds=120)))
FORGOTTEN = stack(service(), task(state="failed", at=NOW, created_at=NOW - timedelta(seconds=1)))
"""The engine remembers a few tasks: one before them may have run all the time."""
STOOD = stack(service(), task(created_at=NOW - timedelta(seconds=120)))


def go_back(why: str = "unhealthy within 120 s of its commit") -> RollBack:
    return RollBack(origin=V1, target=OLD, reason=f"{why}: why")


NEXT = [
    pytest.param(S.INTERRUPTED, {"journal": journal()}, Resume(op_id=OpId("op-1")), id="finish what was begun"),
    pytest.param(S.ABSENT, {"known": known()}, Deploy(target=V1, known_good=True), id="bring back what was good"),
    pytest.param(
        S.ABSENT,
        {"known": known(), "candidate": V2},
        Deploy(target=V1, known_good=True),
        id="bring back what was good even when a newer one is wanted",
    ),
    pytest.param(S.ABSENT, {"candidate": V2}, Deploy(target=V2, known_good=False), id="first deploy"),
    pytest.param(S.ABSENT, {}, nothing(ResultKind.NO_RELEASE), id="nothing to deploy"),
    pytest.param(S.UNMANAGED, {"running": V1}, Adopt(version=V1), id="adopt what runs under a version"),
    pytest.param(
        S.UNMANAGED,
        {"running": V1, "answer": ProbeAnswer(ok=True, code=200, detail="200")},
        Adopt(version=V1),
        id="adopt what runs and answers",
    ),
    pytest.param(
        S.UNMANAGED, {"running": V1, "answer": BAD}, nothing(ResultKind.UNHEALTHY, V1), id="never adopt what is ill"
    ),
    pytest.param(
        S.UNMANAGED, {}, nothing(ResultKind.UNMANAGED, "unknown-version"), id="never adopt what has no version"
    ),
    pytest.param(
        S.UNMANAGED,
        {"running": "latest"},
        nothing(ResultKind.UNMANAGED, "unknown-version"),
        id="never adopt what has no version of a recipe",
    ),
    pytest.param(S.DRIFTED, {"known": known()}, Heal(drift=("seen",)), id="heal drift"),
    pytest.param(S.DRIFTED, {"known": known(), "candidate": V2}, Heal(drift=("seen",)), id="heal before upgrading"),
    pytest.param(S.FAILED, committed(0), go_back(), id="ill at once after the commit"),
    pytest.param(S.FAILED, committed(119.9), go_back(), id="ill within the bake"),
    pytest.param(
        S.FAILED, {**committed(120), "stack": STOOD}, nothing(ResultKind.UNHEALTHY, V1), id="ill after a whole bake"
    ),
    pytest.param(
        S.FAILED, {**committed(121), "stack": FELL}, go_back(LATE), id="never well since its commit, and nobody looked"
    ),
    pytest.param(
        S.FAILED,
        {**committed(600), "stack": FORGOTTEN},
        nothing(ResultKind.UNHEALTHY, V1),
        id="perhaps well for minutes since its commit, which the engine has forgotten",
    ),
    pytest.param(
        S.FAILED, committed(121), nothing(ResultKind.UNHEALTHY, V1), id="health names a service that is not there"
    ),
    pytest.param(
        S.FAILED,
        {"spec": BAKE, "known": committed(120)["known"].model_copy(update={"baked": True})},
        nothing(ResultKind.UNHEALTHY, V1),
        id="ill long after a pass saw it well at the end of its bake",
    ),
    pytest.param(S.FAILED, committed(-1), nothing(ResultKind.UNHEALTHY, V1), id="ill and the clock was set back"),
    pytest.param(
        S.FAILED, committed(1, back=None), nothing(ResultKind.UNHEALTHY, V1), id="ill within the bake with no way back"
    ),
    pytest.param(
        S.FAILED,
        {"known": known(fallback=BACK)},
        nothing(ResultKind.UNHEALTHY, V1),
        id="ill and the spec has no bake",
    ),
    pytest.param(
        S.OUT_OF_SYNC, {"known": known(), "candidate": V2}, Upgrade(origin=V1, target=V2), id="take the newer release"
    ),
    pytest.param(
        S.OUT_OF_SYNC,
        {"known": known(), "candidate": OLD},
        Upgrade(origin=V1, target=OLD),
        id="take the pinned release",
    ),
    pytest.param(
        S.OUT_OF_SYNC,
        {"known": known(), "candidate": V1},
        Upgrade(origin=V1, target=V1, reconfigure=True),
        id="take the new settings",
    ),
    pytest.param(
        S.OUT_OF_SYNC,
        {"known": known()},
        Upgrade(origin=V1, target=V1, reconfigure=True),
        id="take the new settings though the recipe is away",
    ),
    pytest.param(
        S.UNVERIFIED, {"known": known()}, nothing(ResultKind.CONVERGING, V1, ok=True), id="wait for what is starting"
    ),
    pytest.param(
        S.IN_SYNC, {"known": known()}, nothing(ResultKind.NOOP_HEALTHY, ok=True), id="leave what is well alone"
    ),
    pytest.param(S.UNKNOWN, {"known": known()}, nothing(ResultKind.UNKNOWN, "unknown"), id="never act blind"),
    pytest.param(S.IDLE, {"known": known()}, nothing(ResultKind.UNKNOWN, "idle"), id="idle is for canonicals alone"),
    pytest.param(S.INTERRUPTED, {}, nothing(ResultKind.UNKNOWN, "interrupted"), id="interrupted without a journal"),
    pytest.param(S.DRIFTED, {}, nothing(ResultKind.UNKNOWN, "drifted"), id="drifted from nothing"),
    pytest.param(S.FAILED, {}, nothing(ResultKind.UNKNOWN, "failed"), id="failed without a record"),
    pytest.param(S.OUT_OF_SYNC, {}, nothing(ResultKind.UNKNOWN, "out-of-sync"), id="out of sync without a record"),
    pytest.param(S.UNVERIFIED, {}, nothing(ResultKind.UNKNOWN, "unverified"), id="unverified without a record"),
    pytest.param(S.IN_SYNC, {}, nothing(ResultKind.UNKNOWN, "in-sync"), id="in sync without a record"),
]


def assessed(status: Status) -> Assessment:
    return Assessment(status=status, reason="why", evidence=("seen",), fault=Fault.APP)


@pytest.mark.parametrize(("status", "changes", "action"), NEXT)
def test_each_situation_has_its_one_next_action(status: Status, changes: dict[str, Any], action: Action) -> None:
    assert plan.choose_action(facts(**changes), assessed(status), NOW) == action


NEWER = Upgrade(origin=V1, target=V2)
SAME = Upgrade(origin=V1, target=V1, reconfigure=True)
ILL = nothing(ResultKind.UNHEALTHY, V1)
MOVED = {"desired": "e"}

ASKED = [
    pytest.param(S.OUT_OF_SYNC, {"candidate": V2}, NEWER, (NEWER,), id="a newer release"),
    pytest.param(
        S.OUT_OF_SYNC, {"candidate": V2, **MOVED}, NEWER, (NEWER, SAME), id="a newer release, and else the new settings"
    ),
    pytest.param(S.OUT_OF_SYNC, {"candidate": V1, **MOVED}, SAME, (SAME,), id="new settings alone"),
    pytest.param(S.FAILED, {"candidate": V2}, ILL, (NEWER,), id="out of illness by a newer release"),
    pytest.param(S.FAILED, MOVED, ILL, (SAME,), id="out of illness by new settings"),
    pytest.param(S.FAILED, {"candidate": V2, **MOVED}, ILL, (NEWER, SAME), id="out of illness by either"),
    pytest.param(S.FAILED, {"candidate": V1}, ILL, (), id="ill with nothing new to try"),
    pytest.param(S.FAILED, {"candidate": V2, **MOVED}, go_back(), (), id="a rollback does not ask"),
    pytest.param(S.DRIFTED, {"candidate": V2, **MOVED}, Heal(drift=("x",)), (), id="a heal does not ask"),
    pytest.param(S.INTERRUPTED, {"candidate": V2}, Resume(op_id=OpId("op-1")), (), id="going on does not ask"),
    pytest.param(
        S.ABSENT,
        {"candidate": V2},
        Deploy(target=V1, known_good=True),
        (),
        id="bringing back what was good does not ask",
    ),
    pytest.param(
        S.UNVERIFIED,
        {"candidate": V2, **MOVED},
        nothing(ResultKind.CONVERGING, V1, ok=True),
        (),
        id="starting: not yet",
    ),
    pytest.param(S.IN_SYNC, {}, nothing(ResultKind.NOOP_HEALTHY, ok=True), (), id="nothing to do, nothing to ask"),
    pytest.param(
        S.ABSENT,
        {"known": None, "candidate": V2},
        Deploy(target=V2, known_good=False),
        (Deploy(target=V2, known_good=False),),
        id="a first deploy asks",
    ),
    pytest.param(S.UNMANAGED, {"known": None}, Adopt(version=V1), (), id="adopting touches nothing"),
    pytest.param(
        S.UNMANAGED, {"known": None, "candidate": V2}, nothing(ResultKind.UNHEALTHY, V1), (), id="unmanaged and ill"
    ),
]


@pytest.mark.parametrize(("status", "changes", "first", "asked"), ASKED)
def test_the_gate_is_asked_about_what_takes_a_release_and_about_nothing_else(
    status: Status, changes: dict[str, Any], first: Action, asked: tuple[Action, ...]
) -> None:
    app = facts(**{"known": known(desired="d"), "desired": "d"} | changes)
    assert plan.list_options(app, assessed(status), first) == asked


DATA, PLAIN = spec(), spec(stateful=False)
ANEW = ("pull images", "quiesce", "deploy", "settle", "verify", "commit")


@pytest.mark.parametrize(
    ("action", "app", "steps"),
    [
        pytest.param(
            NEWER,
            DATA,
            ("pull images", "undeploy", "quiesce", "snapshot", "deploy", "settle", "verify", "commit"),
            id="upgrade with data",
        ),
        pytest.param(
            NEWER, PLAIN, ("pull images", "deploy", "settle", "verify", "commit"), id="upgrade without data, in place"
        ),
        pytest.param(Deploy(target=V1, known_good=False), DATA, ANEW, id="first deploy"),
        pytest.param(
            Deploy(target=V1, known_good=False, snapshot_first=True),
            DATA,
            ("pull images", "quiesce", "snapshot", "deploy", "settle", "verify", "commit"),
            id="first deploy on data that no record explains",
        ),
        pytest.param(Heal(drift=("x",)), DATA, ANEW, id="heal"),
        pytest.param(go_back(), DATA, (), id="a way back has no way forward"),
        pytest.param(Adopt(version=V1), DATA, (), id="adopting touches nothing"),
        pytest.param(Resume(op_id=OpId("op-1")), DATA, (), id="going on depends on the journal"),
        pytest.param(nothing(ResultKind.NOOP_HEALTHY, ok=True), DATA, (), id="nothing"),
    ],
)
def test_the_steps_that_people_are_shown(action: Action, app: AppSpec, steps: tuple[str, ...]) -> None:
    assert plan.steps_of(action, app) == steps


def test_a_stopped_train_holds_until_the_next_pass_and_says_why() -> None:
    stopped = plan.train_hold("wiki")
    assert (stopped.reason, stopped.clears_when) == (HoldReason.TRAIN_STOPPED, "the next pass")
    assert stopped.detail == "wiki was rolled back in this pass"
