"""What the stages of a run add up to: the level, its cap, and the result. Pure."""

from collections.abc import Sequence

from reconciler.model.testrun import RunResult, SkipCause, StageOutcome, StageResult


def reached(stages: Sequence[StageResult]) -> int:
    """Stages passed in a row from the first on; a declared skip neither counts nor breaks the row."""
    level = 0
    for stage in stages:
        if stage.result == "passed":
            level += 1
        elif stage.result != "skipped":
            break
    return level


def cap(stages: Sequence[StageResult]) -> int:
    """The highest level that the stages which ran could reach: what was not asked for ends the row."""
    level = 0
    for stage in stages:
        # A stage behind a failure could have been reached; one that was not asked for never could.
        if stage.result is StageOutcome.NOT_RUN and stage.cause is not SkipCause.EARLIER_STAGE:
            break
        level += stage.result != "skipped"
    return level


def result(stages: Sequence[StageResult], deploys: int, expected: int) -> RunResult:
    """Green only if nothing failed and nothing that should have been tried was left out."""
    kinds = {stage.result for stage in stages}
    # Red before error: a check that failed is a verdict, whatever the host did afterwards. After an error the
    # count of deploys says nothing, as the run was cut short.
    if "failed" in kinds or (deploys != expected and "error" not in kinds):
        return RunResult.RED
    if "error" in kinds:
        return RunResult.ERROR
    if any(stage.cause is SkipCause.BROKEN_BASE for stage in stages):
        return RunResult.PARTIAL
    return RunResult.GREEN if "passed" in kinds else RunResult.PARTIAL
