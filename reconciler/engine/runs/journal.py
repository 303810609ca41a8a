"""A run as a line of history. Pure."""

from reconciler.model.reports import HistoryLine
from reconciler.model.runs import Run


def line(run: Run) -> HistoryLine:
    """One line per run, keyed by its name."""
    return HistoryLine(
        ts=run.finished_at or run.started_at, op_id=f"run-{run.run}", app=run.app, action=str(run.mode),
        from_version=run.base.version if run.base else None, to_version=run.head.version, commit=run.head.commit,
        result=f"{run.mode}-{run.result}:{run.head.version}", elapsed_seconds=run.elapsed_seconds,
        phases={str(stage.stage): stage.elapsed_seconds for stage in run.stages if stage.elapsed_seconds},
        actor=run.actor, message=f"level {run.level}, mode={run.mode}, confidence={run.confidence}",
    )  # fmt: skip
