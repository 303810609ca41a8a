"""How long a run will still take, judged by the last one like it. Pure."""

from collections.abc import Sequence

from reconciler.model.testrun import Run, RunResult
from reconciler.model.tests import Stage

_WHOLE = frozenset({RunResult.GREEN, RunResult.PARTIAL})


def choose_like(run: Run, reports: Sequence[Run]) -> Run | None:
    """Choose the newest run of this recipe and mode that did all that is asked of this one; None: there is none.

    `reports`: newest first. One that went wrong ended early, so its times tell nothing.
    """
    alike = (one for one in reports if (one.app, one.mode) == (run.app, run.mode) and one.result in _WHOLE)
    return next((one for one in alike if one.run != run.run and set(one.asked) >= set(run.asked)), None)


def left_s(like: Run | None, asked: Sequence[Stage]) -> float | None:
    """Seconds that these stages and what comes after the last took; None: not known.

    What a run spends outside of its stages is nearly all teardown and promotion, so it counts until the end.
    """
    if like is None:
        return None
    spent = {stage.stage: stage.elapsed_seconds for stage in like.stages}
    around = max(0.0, like.elapsed_seconds - sum(spent.values()))
    return around + sum(spent.get(stage, 0.0) for stage in asked)
