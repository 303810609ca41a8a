"""A run in words: the summary that people read, and its line of history. Pure."""

from collections.abc import Sequence

from reconciler.model.history import HistoryLine
from reconciler.model.testrun import Run, StageResult


def summary(run: Run) -> str:
    """`summary.txt`: one line per stage, versions before and after, deploys, level and result."""
    confidence = "" if run.confidence == "full" else f"  confidence={run.confidence}"
    lines = [
        f"{run.app} {run.run}  mode={run.mode}{confidence}",
        f"head  {run.head.version} ({run.head.kind} {run.head.name}, {run.head.commit[:8]})",
        f"base  {run.base.version} ({run.base_reason})"
        if run.base
        else f"base  none: {run.base_reason or 'not asked'}",
        *[_line(stage) for stage in run.stages],
    ]
    if run.version_before or run.version_after:
        lines.append(f"version {run.version_before or '-'} -> {run.version_after or '-'}")
    lines.append(f"deploy-count = {run.deploys} (expect {run.deploys_expected})")
    lines += [f"note: {note}" for note in run.notes]
    if run.realm:
        lines.append(f"realm {run.realm} on the live Keycloak")
    if run.promotion:
        lines.append(f"{'promoted' if run.promoted else 'not promoted'}: {run.promotion}")
    lines += [f"LEFT BEHIND: {name}" for name in run.leftovers]
    if run.kept_until is not None and not run.torn_down:
        lines.append(f"kept until {run.kept_until:%Y-%m-%d %H:%M} UTC; ci-warm runs reap {run.run} removes it now")
    lines.append(f"level {run.level} of {run.level_cap}, {run.elapsed_seconds:.1f} s")
    lines.append(result_line(run))
    return "\n".join(lines) + "\n"


def result_line(run: Run) -> str:
    """The one line that a pipeline looks for."""
    return f"RUN RESULT: {run.app} {run.mode}-{run.result}:{run.head.version}"


def history_line(run: Run) -> HistoryLine:
    """One line per run, keyed by its name."""
    return HistoryLine(
        ts=run.finished_at or run.started_at,
        op_id=f"run-{run.run}",
        app=run.app,
        action=str(run.mode),
        from_version=run.base.version if run.base else None,
        to_version=run.head.version,
        commit=run.head.commit,
        result=f"{run.mode}-{run.result}:{run.head.version}",
        elapsed_seconds=run.elapsed_seconds,
        phases={str(stage.stage): stage.elapsed_seconds for stage in run.stages if stage.elapsed_seconds},
        actor=run.actor,
        message=f"level {run.level}, mode={run.mode}, confidence={run.confidence}",
    )


def _line(stage: StageResult) -> str:
    text = f"  {stage.stage:<8} {stage.result:<8} {stage.elapsed_seconds:7.1f} s"
    if stage.reason:
        text += f"  {stage.reason}"
    lines = [text, *[f"             {line}" for line in _first_lines(stage.evidence)]]
    for check in stage.checks:
        kind = "" if check.required else " (wanted)"
        state = "ok " if check.passed else "NOT"
        lines.append(f"             {state} {check.name}{kind}  {check.elapsed_seconds:.1f} s  {check.detail}".rstrip())
    return "\n".join(lines)


def _first_lines(evidence: Sequence[str]) -> list[str]:
    return [line for text in evidence[:5] for line in text.strip().splitlines()[-5:]]
