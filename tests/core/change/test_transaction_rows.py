"""The order of a change, row by row: what follows a step, where a failure leads, where a crash resumes."""

from typing import Any

import pytest

from reconciler.core.change import transaction
from reconciler.core.change.transaction import AfterFailure
from reconciler.model.journal import Change, Failure, Journal, Step
from tests.builders import journal

S = Step
DATA = (S.BACK_UNDEPLOY, S.BACK_QUIESCE, S.BACK_RESTORE)
DOWN = (S.BACK_UNDEPLOY, S.BACK_QUIESCE)
UP = (S.BACK_DEPLOY, S.BACK_SETTLE, S.BACK_VERIFY)
CANDIDATE = (S.DEPLOY, S.SETTLE, S.VERIFY)


def fail(step: Step) -> Failure:
    return Failure(step=step, reason="broken")


def change(kind: Change, **changes: Any) -> Journal:
    """A journal; `failed` names the step where it turned back."""
    failed = changes.pop("failed", None)
    return journal(kind, failure=fail(failed) if failed else None, **changes)


UPGRADE, DEPLOY, HEAL, ROLLBACK = Change.UPGRADE, Change.DEPLOY, Change.HEAL, Change.ROLLBACK

WAYS = [
    pytest.param(UPGRADE, {}, "undeploy quiesce snapshot deploy settle verify commit record", id="upgrade with data"),
    pytest.param(UPGRADE, {"stateful": False}, "deploy settle verify commit record", id="upgrade without data"),
    pytest.param(DEPLOY, {}, "quiesce deploy settle verify commit record", id="first deploy"),
    pytest.param(DEPLOY, {"stateful": False}, "quiesce deploy settle verify commit record", id="first, without data"),
    pytest.param(
        DEPLOY, {"snapshot_first": True}, "quiesce snapshot deploy settle verify commit record", id="first on old data"
    ),
    pytest.param(HEAL, {}, "quiesce deploy settle verify commit record", id="heal"),
    pytest.param(HEAL, {"stateful": False}, "quiesce deploy settle verify commit record", id="heal without data"),
    pytest.param(
        ROLLBACK,
        {"snapshot": "s"},
        "back-undeploy back-quiesce back-restore back-deploy back-settle back-verify record",
        id="ordered rollback with data",
    ),
    pytest.param(
        ROLLBACK, {"stateful": False}, "back-deploy back-settle back-verify record", id="ordered rollback without data"
    ),
]


@pytest.mark.parametrize(("kind", "changes", "way"), WAYS)
def test_every_step_is_followed_by_the_next_until_the_record(kind: Change, changes: dict[str, Any], way: str) -> None:
    one, walked = change(kind, **changes), []
    while (step := transaction.following(one)) is not None:
        walked.append(str(step))
        one = one.model_copy(update={"step": step})
    assert walked == way.split()


BACK = [
    pytest.param(UPGRADE, {"failed": S.OPENED}, (), id="upgrade: stopped before anything was touched"),
    pytest.param(UPGRADE, {"failed": S.UNDEPLOY}, (*DOWN, *UP), id="upgrade: the old one did not go"),
    pytest.param(UPGRADE, {"failed": S.QUIESCE}, (*DOWN, *UP), id="upgrade: something still writes"),
    pytest.param(UPGRADE, {"failed": S.SNAPSHOT}, (*DOWN, *UP), id="upgrade: no snapshot, nothing to restore"),
    pytest.param(UPGRADE, {"failed": S.SNAPSHOT, "snapshot": "s"}, (*DOWN, *UP), id="upgrade: data is still its own"),
    pytest.param(UPGRADE, {"failed": S.DEPLOY, "snapshot": "s"}, (*DATA, *UP), id="upgrade: deploy failed"),
    pytest.param(UPGRADE, {"failed": S.SETTLE, "snapshot": "s"}, (*DATA, *UP), id="upgrade: did not settle"),
    pytest.param(UPGRADE, {"failed": S.VERIFY, "snapshot": "s"}, (*DATA, *UP), id="upgrade: did not answer"),
    pytest.param(UPGRADE, {"failed": S.VERIFY}, (*DOWN, *UP), id="upgrade: no volumes, so no snapshot"),
    pytest.param(UPGRADE, {"failed": S.VERIFY, "stateful": False}, UP, id="upgrade without data: in place"),
    pytest.param(
        UPGRADE, {"failed": S.VERIFY, "stateful": False, "snapshot": "s"}, UP, id="upgrade without data never restores"
    ),
    pytest.param(UPGRADE, {"failed": S.OPENED, "stateful": False}, (), id="upgrade without data: stopped at once"),
    pytest.param(DEPLOY, {"failed": S.OPENED}, (), id="first deploy: stopped at once"),
    pytest.param(DEPLOY, {"failed": S.QUIESCE}, DOWN, id="first deploy: something still writes"),
    pytest.param(DEPLOY, {"failed": S.VERIFY}, DOWN, id="first deploy: nothing to go back to"),
    pytest.param(DEPLOY, {"failed": S.VERIFY, "stateful": False}, DOWN, id="first deploy without data goes away, too"),
    pytest.param(
        DEPLOY,
        {"failed": S.VERIFY, "snapshot_first": True, "snapshot": "s"},
        DATA,
        id="first deploy: old data come back",
    ),
    pytest.param(
        DEPLOY, {"failed": S.SNAPSHOT, "snapshot_first": True}, DOWN, id="first deploy: old data were not touched"
    ),
    pytest.param(HEAL, {"failed": S.QUIESCE}, (), id="heal: something still writes"),
    pytest.param(HEAL, {"failed": S.VERIFY, "snapshot": "s"}, (), id="heal never touches data"),
    pytest.param(ROLLBACK, {"snapshot": "s"}, (*DATA, *UP), id="rollback: its whole way is a way back"),
    pytest.param(ROLLBACK, {"failed": S.VERIFY, "snapshot": "s"}, (*DATA, *UP), id="rollback with the cause noted"),
    pytest.param(ROLLBACK, {}, (*DOWN, *UP), id="rollback without a snapshot"),
    pytest.param(ROLLBACK, {"stateful": False}, UP, id="rollback without data"),
]


@pytest.mark.parametrize(("kind", "changes", "steps"), BACK)
def test_how_far_it_came_decides_the_way_back(kind: Change, changes: dict[str, Any], steps: tuple[Step, ...]) -> None:
    assert transaction.back(change(kind, **changes)) == (*steps, S.RECORD)


RESTORES = [
    pytest.param(UPGRADE, {}, False, id="nothing has failed"),
    pytest.param(UPGRADE, {"failed": S.DEPLOY}, True, id="the candidate may have begun to write"),
    pytest.param(UPGRADE, {"failed": S.SETTLE}, True, id="the candidate has run"),
    pytest.param(UPGRADE, {"failed": S.VERIFY}, True, id="the candidate has answered wrongly"),
    pytest.param(UPGRADE, {"failed": S.SNAPSHOT}, False, id="the candidate was never there"),
    pytest.param(UPGRADE, {"failed": S.VERIFY, "snapshot": None}, False, id="no snapshot"),
    pytest.param(UPGRADE, {"failed": S.VERIFY, "stateful": False}, False, id="no data"),
    pytest.param(ROLLBACK, {}, True, id="an ordered rollback always"),
    pytest.param(ROLLBACK, {"stateful": False}, False, id="an ordered rollback without data"),
    pytest.param(ROLLBACK, {"snapshot": None}, False, id="an ordered rollback without a snapshot"),
]


@pytest.mark.parametrize(("kind", "changes", "restores"), RESTORES)
def test_data_come_back_only_where_the_candidate_may_have_written(
    kind: Change, changes: dict[str, Any], restores: bool
) -> None:
    assert transaction.needs_restore(change(kind, **({"snapshot": "s"} | changes))) is restores


AFTER = {
    AfterFailure.TURN_BACK: (S.OPENED, S.UNDEPLOY, S.QUIESCE, S.SNAPSHOT, S.DEPLOY, S.SETTLE, S.VERIFY),
    AfterFailure.KEEP: (S.BACK_UNDEPLOY, S.BACK_QUIESCE, S.BACK_RESTORE),
    AfterFailure.RECORD: (S.BACK_DEPLOY, S.BACK_SETTLE, S.BACK_VERIFY),
}


@pytest.mark.parametrize(
    ("step", "leads_to"), [pytest.param(step, leads, id=step) for leads, steps in AFTER.items() for step in steps]
)
def test_where_a_failure_leads(step: Step, leads_to: AfterFailure) -> None:
    assert transaction.after_failure(journal(step=step)) is leads_to


GOES_ON, TURNS = False, True
CRASHES = [
    pytest.param(UPGRADE, S.OPENED, False, S.OPENED, TURNS, id="upgrade opened: the wish may have changed"),
    pytest.param(UPGRADE, S.OPENED, True, S.OPENED, TURNS, id="upgrade opened: whatever stands"),
    pytest.param(DEPLOY, S.OPENED, False, S.OPENED, TURNS, id="deploy opened: the wish may have changed"),
    pytest.param(HEAL, S.OPENED, False, S.OPENED, GOES_ON, id="heal opened"),
    pytest.param(ROLLBACK, S.OPENED, False, S.OPENED, GOES_ON, id="rollback opened"),
    pytest.param(UPGRADE, S.UNDEPLOY, False, S.UNDEPLOY, GOES_ON, id="undeploying"),
    pytest.param(UPGRADE, S.QUIESCE, True, S.QUIESCE, GOES_ON, id="quiescing"),
    pytest.param(UPGRADE, S.SNAPSHOT, True, S.SNAPSHOT, GOES_ON, id="in the snapshot"),
    pytest.param(UPGRADE, S.DEPLOY, False, S.DEPLOY, TURNS, id="half deployed"),
    pytest.param(UPGRADE, S.DEPLOY, True, S.SETTLE, GOES_ON, id="deployed and not journaled"),
    pytest.param(UPGRADE, S.SETTLE, False, S.SETTLE, TURNS, id="settling, and something is gone"),
    pytest.param(UPGRADE, S.SETTLE, True, S.SETTLE, GOES_ON, id="settling"),
    pytest.param(UPGRADE, S.VERIFY, False, S.VERIFY, TURNS, id="verifying, and something is gone"),
    pytest.param(UPGRADE, S.VERIFY, True, S.SETTLE, GOES_ON, id="verifying: settles anew"),
    pytest.param(HEAL, S.QUIESCE, True, S.QUIESCE, GOES_ON, id="heal, quiescing"),
    pytest.param(HEAL, S.DEPLOY, True, S.SETTLE, GOES_ON, id="heal, deployed"),
    pytest.param(UPGRADE, S.COMMIT, False, S.COMMIT, GOES_ON, id="committing is never taken back"),
    pytest.param(UPGRADE, S.RECORD, False, S.RECORD, GOES_ON, id="recording"),
    pytest.param(UPGRADE, S.BACK_UNDEPLOY, False, S.BACK_UNDEPLOY, GOES_ON, id="back: undeploying"),
    pytest.param(UPGRADE, S.BACK_QUIESCE, False, S.BACK_QUIESCE, GOES_ON, id="back: quiescing"),
    pytest.param(
        UPGRADE, S.BACK_RESTORE, True, S.BACK_RESTORE, GOES_ON, id="back: restoring, once more from its start"
    ),
    pytest.param(UPGRADE, S.BACK_DEPLOY, False, S.BACK_DEPLOY, GOES_ON, id="back: deploying"),
    pytest.param(UPGRADE, S.BACK_SETTLE, False, S.BACK_DEPLOY, GOES_ON, id="back: settling, deploys anew"),
    pytest.param(UPGRADE, S.BACK_VERIFY, True, S.BACK_DEPLOY, GOES_ON, id="back: verifying, deploys anew"),
    pytest.param(ROLLBACK, S.BACK_VERIFY, False, S.BACK_DEPLOY, GOES_ON, id="rollback: verifying, deploys anew"),
]


@pytest.mark.parametrize(("kind", "step", "stands", "resumes_at", "turns"), CRASHES)
def test_where_a_crash_resumes(kind: Change, step: Step, stands: bool, resumes_at: Step, turns: bool) -> None:
    found, failure = transaction.resume(journal(kind, step=step, sent=True, resumes=1), candidate_stands=stands)
    assert (found, failure is not None) == (resumes_at, turns)
    if failure is not None:
        assert (failure.step, failure.reason, failure.fault) == (step, transaction.INTERRUPTED, "host")


@pytest.mark.parametrize("kind", [UPGRADE, DEPLOY, HEAL])
@pytest.mark.parametrize("step", [S.UNDEPLOY, S.QUIESCE, S.SNAPSHOT, S.DEPLOY])
def test_a_stop_before_the_release_was_sent_is_no_verdict(kind: Change, step: Step) -> None:
    """It goes on; and if that did not get through, it goes back with nothing to restore."""
    assert transaction.resume(journal(kind, step=step, resumes=1), candidate_stands=False) == (step, None)
    again = journal(kind, step=step, resumes=2, stateful=True, snapshot="s")
    _, failure = transaction.resume(again, candidate_stands=False)
    assert failure is not None
    assert not transaction.needs_restore(again.model_copy(update={"failure": failure}))


ABORTS = [
    pytest.param(UPGRADE, None, False, id="nothing has failed"),
    *(
        pytest.param(UPGRADE, step, True, id=f"upgrade failed at {step}")
        for step in (S.OPENED, S.UNDEPLOY, S.QUIESCE, S.SNAPSHOT)
    ),
    *(pytest.param(UPGRADE, step, False, id=f"upgrade failed at {step}") for step in CANDIDATE),
    pytest.param(DEPLOY, S.QUIESCE, True, id="first deploy failed at quiesce"),
    pytest.param(DEPLOY, S.DEPLOY, False, id="first deploy failed at deploy"),
    pytest.param(ROLLBACK, S.VERIFY, False, id="an ordered rollback"),
    pytest.param(ROLLBACK, S.UNDEPLOY, False, id="an ordered rollback is no abort at any step"),
]


@pytest.mark.parametrize(("kind", "failed", "aborts"), ABORTS)
def test_what_ended_before_the_candidate_was_tried_is_no_verdict_on_it(
    kind: Change, failed: Step | None, aborts: bool
) -> None:
    assert transaction.is_abort(change(kind, failed=failed)) is aborts


@pytest.mark.parametrize(
    ("kind", "changes", "step"),
    [
        pytest.param(UPGRADE, {"stateful": False}, S.SNAPSHOT, id="a snapshot where there is no data"),
        pytest.param(DEPLOY, {"failed": S.VERIFY}, S.BACK_DEPLOY, id="a first deploy has nothing to go back to"),
        pytest.param(HEAL, {"failed": S.VERIFY}, S.BACK_UNDEPLOY, id="a heal has no way back"),
        pytest.param(UPGRADE, {}, S.BACK_DEPLOY, id="back, but nothing has failed"),
    ],
)
def test_a_step_that_is_on_no_way_of_its_change_is_a_mistake_of_ours(
    kind: Change, changes: dict[str, Any], step: Step
) -> None:
    with pytest.raises(AssertionError, match="is on no way of this change"):
        transaction.following(change(kind, step=step, **changes))
