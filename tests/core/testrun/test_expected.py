"""How long a run will take is judged by the last one like it that went well."""

from datetime import timedelta

import pytest

from reconciler.core.testrun import expected
from reconciler.model.testrun import Run, RunMode, RunResult, Source, StageOutcome, StageResult
from reconciler.model.tests import STAGES, Stage
from tests.builders import NOW

SPENT = {Stage.INSTALL: 60.0, Stage.UPGRADE: 30.0, Stage.BACKUP: 20.0, Stage.RESTORE: 40.0, Stage.CUSTOM: 10.0}


def run(
    name: str, result: RunResult = RunResult.GREEN, mode: RunMode = RunMode.COLD, asked: tuple[Stage, ...] = STAGES
) -> Run:
    stages = [StageResult(stage=one, result=StageOutcome.PASSED, elapsed_seconds=SPENT[one]) for one in asked]
    return Run(
        run=name,
        mode=mode,
        confidence="full",
        app="notes",
        recipe="r",
        stack="s",
        domain="d",
        asked=asked,
        head=Source(version="1.0.0", commit="c", kind="release"),
        started_at=NOW + timedelta(0),
        elapsed_seconds=180.0,
        result=result,
        stages=tuple(stages),
    )


THIS = run("this", RunResult.RUNNING)


@pytest.mark.parametrize(
    ("reports", "chosen"),
    [
        ([], None),
        ([THIS], None),
        ([run("newer"), run("older")], "newer"),
        ([run("red", RunResult.RED), run("aborted", RunResult.ABORTED), run("older")], "older"),
        ([run("quick", mode=RunMode.QUICK)], None),
        ([run("other").model_copy(update={"app": "wiki"})], None),
        ([run("part", asked=(Stage.INSTALL,)), run("whole")], "whole"),
    ],
)
def test_the_newest_that_did_all_of_it_and_went_well(reports: list[Run], chosen: str | None) -> None:
    found = expected.choose_like(THIS, reports)
    assert (found.run if found else None) == chosen


def test_what_is_left_is_the_stages_to_come_and_what_is_around_them() -> None:
    like = run("before")
    assert expected.left_s(like, STAGES) == 180
    assert expected.left_s(like, (Stage.RESTORE, Stage.CUSTOM)) == 70
    assert expected.left_s(like, ()) == 20
    assert expected.left_s(None, STAGES) is None
