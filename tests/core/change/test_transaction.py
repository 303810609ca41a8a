"""The order of a change: what follows, what a failure leads to, where a crash resumes."""

import pytest

from reconciler.core.change import transaction
from reconciler.core.change.transaction import AfterFailure, back, following, forward
from reconciler.model.journal import Change, Failure, Journal, Step
from tests.builders import journal

S = Step
BACK = (S.BACK_DEPLOY, S.BACK_SETTLE, S.BACK_VERIFY, S.RECORD)


def fail(step: Step, reason: str = "broken") -> Failure:
    return Failure(step=step, reason=reason)


def test_a_stateful_upgrade_snapshots_before_it_deploys() -> None:
    steps = forward(journal())
    assert steps == (S.UNDEPLOY, S.QUIESCE, S.SNAPSHOT, S.DEPLOY, S.SETTLE, S.VERIFY, S.COMMIT)


def test_a_stateless_upgrade_is_in_place() -> None:
    one = journal(stateful=False)
    assert forward(one) == (S.DEPLOY, S.SETTLE, S.VERIFY, S.COMMIT)
    assert back(one.model_copy(update={"failure": fail(S.SETTLE)})) == BACK


@pytest.mark.parametrize("step", [S.DEPLOY, S.SETTLE, S.VERIFY])
def test_a_failed_candidate_brings_data_and_version_back(step: Step) -> None:
    one = journal(failure=fail(step), snapshot="s")
    assert back(one) == (S.BACK_UNDEPLOY, S.BACK_QUIESCE, S.BACK_RESTORE, *BACK)


@pytest.mark.parametrize("step", [S.UNDEPLOY, S.QUIESCE, S.SNAPSHOT])
def test_before_the_deploy_the_prior_is_redeployed_without_restoring(step: Step) -> None:
    assert back(journal(failure=fail(step), snapshot="s")) == (S.BACK_UNDEPLOY, S.BACK_QUIESCE, *BACK)


def test_a_first_deploy_that_fails_goes_away_again() -> None:
    one = journal(Change.DEPLOY, failure=fail(S.VERIFY))
    assert back(one) == (S.BACK_UNDEPLOY, S.BACK_QUIESCE, S.RECORD)


def test_a_failed_heal_touches_nothing_more() -> None:
    assert back(journal(Change.HEAL, failure=fail(S.VERIFY))) == (S.RECORD,)


def test_an_ordered_rollback_restores_and_redeploys() -> None:
    one = journal(Change.ROLLBACK, snapshot="s")
    assert following(one) is S.BACK_UNDEPLOY
    assert back(one) == (S.BACK_UNDEPLOY, S.BACK_QUIESCE, S.BACK_RESTORE, *BACK)


def walk(one: Journal) -> list[Step]:
    steps = []
    while (step := following(one)) is not None:
        steps.append(step)
        one = one.model_copy(update={"step": step})
    return steps


def test_every_way_ends_with_the_record() -> None:
    for kind in Change:
        for stateful in (True, False):
            for failed_at in (None, *_CANDIDATE):
                one = journal(kind, stateful=stateful, snapshot="s")
                if failed_at is not None:
                    one = one.model_copy(update={"failure": fail(failed_at)})
                    one = one.model_copy(update={"step": back(one)[0]})
                steps = walk(one)
                assert (steps or [one.step])[-1] is S.RECORD, (kind, stateful, failed_at)
                assert len(steps) == len(set(steps))


_CANDIDATE = (S.DEPLOY, S.SETTLE, S.VERIFY)


def test_an_unfinished_data_part_keeps_the_journal() -> None:
    for step in (S.BACK_UNDEPLOY, S.BACK_QUIESCE, S.BACK_RESTORE):
        assert transaction.after_failure(journal(step=step)) is AfterFailure.KEEP
    for step in BACK[:3]:
        assert transaction.after_failure(journal(step=step)) is AfterFailure.RECORD
    for step in forward(journal()):
        assert transaction.after_failure(journal(step=step)) is AfterFailure.TURN_BACK


@pytest.mark.parametrize(
    ("step", "stands", "goes_on_at", "turns_back"),
    [
        (S.OPENED, False, None, True),
        (S.UNDEPLOY, True, S.UNDEPLOY, False),
        (S.QUIESCE, False, S.QUIESCE, False),
        (S.SNAPSHOT, False, S.SNAPSHOT, False),
        (S.DEPLOY, False, None, True),
        (S.DEPLOY, True, S.SETTLE, False),
        (S.SETTLE, True, S.SETTLE, False),
        (S.VERIFY, True, S.SETTLE, False),
        (S.VERIFY, False, None, True),
        (S.COMMIT, True, S.COMMIT, False),
        (S.BACK_RESTORE, False, S.BACK_RESTORE, False),
        (S.BACK_SETTLE, False, S.BACK_DEPLOY, False),
        (S.BACK_VERIFY, False, S.BACK_DEPLOY, False),
        (S.RECORD, False, S.RECORD, False),
    ],
)
def test_resumes_by_what_the_world_says(step: Step, stands: bool, goes_on_at: Step | None, turns_back: bool) -> None:
    found, failure = transaction.resume(journal(step=step, sent=step is not S.SNAPSHOT), candidate_stands=stands)
    assert (failure is not None) is turns_back
    if goes_on_at is not None:
        assert found is goes_on_at


def test_being_stopped_is_no_verdict_on_the_release() -> None:
    _, failure = transaction.resume(journal(step=S.DEPLOY, sent=True), candidate_stands=False)
    assert failure is not None and failure.fault == "host"
    assert transaction.is_abort(journal(failure=fail(S.SNAPSHOT)))
    assert not transaction.is_abort(journal(failure=fail(S.SETTLE)))
    assert not transaction.is_abort(journal())
