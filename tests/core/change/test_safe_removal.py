"""Which services Swarm leaves in peace, and of which it deletes tasks."""

from datetime import timedelta

import pytest

from reconciler.core.change import safe_removal
from reconciler.model.observed import TaskObs
from tests.builders import NOW


def task(desired: str, state: str = "running", *, slot: int = 1, for_s: float = 1.0) -> TaskObs:
    return TaskObs(
        id="t",
        service_id="app",
        state=state,
        desired_state=desired,
        template_fingerprint="",
        slot=str(slot),
        at=NOW - timedelta(seconds=for_s),
    )


UP, STEADY, FAILED, GOING = task("running"), task("running", for_s=60), task("shutdown", "failed"), task("remove")


@pytest.mark.parametrize(
    ("limit", "attempts", "kept"), [(5, 0, 5), (0, 0, 0), (-1, 0, None), (5, 1, 2), (5, 10, 11), (-1, 3, 4)]
)
def test_a_policy_that_counts_restarts_says_how_many_are_kept(limit: int, attempts: int, kept: int | None) -> None:
    assert safe_removal.kept(limit, attempts) == kept


@pytest.mark.parametrize(
    ("tasks", "kept", "calm"),
    [
        ([], 5, True),
        ([UP], 5, True),
        ([GOING], 5, False),
        ([GOING], None, False),
        ([*[FAILED] * 2, UP], 5, True),
        ([*[FAILED] * 3, UP], 5, False),
        ([*[FAILED] * 4, STEADY], 5, True),
        ([*[FAILED] * 4, task("ready", "ready", for_s=60)], 5, False),
        ([task("running", slot=slot) for slot in range(9)], 5, True),
        ([*[FAILED] * 9, UP], 12, True),
        ([*[FAILED] * 9, UP], 11, False),
        ([*[FAILED] * 90, UP], None, True),
        ([UP], 2, False),
        ([STEADY], 2, True),
        ([STEADY], 0, True),
        ([UP], 1, False),
    ],
)
def test_calm_is_what_has_room_for_its_next_restarts_or_does_not_restart(
    tasks: list[TaskObs], kept: int | None, calm: bool
) -> None:
    assert safe_removal.is_calm(tasks, kept, NOW) is calm


@pytest.mark.parametrize(
    ("tasks", "kept", "deleting"),
    [
        ([], 5, False),
        ([GOING], 5, True),
        ([GOING], None, True),
        ([FAILED] * 5, 5, False),
        ([FAILED] * 6, 5, True),
        ([FAILED] * 6, 20, False),
        ([FAILED] * 6, None, False),
        ([task("shutdown")] * 2, 0, False),
        ([task("shutdown", "failed", slot=slot) for slot in range(9)], 5, False),
    ],
)
def test_swarm_deletes_what_was_scaled_away_and_what_is_too_much(
    tasks: list[TaskObs], kept: int | None, deleting: bool
) -> None:
    assert safe_removal.being_deleted(tasks, kept) is deleting


def test_a_task_is_wanted_until_it_has_heard_that_it_is_to_end() -> None:
    assert safe_removal.wanted([FAILED, UP]) and safe_removal.wanted([task("ready", "ready")])
    assert not safe_removal.wanted([FAILED, GOING]) and not safe_removal.wanted([])
