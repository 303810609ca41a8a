"""A run in words: the summary that people read. Pure."""

from collections.abc import Sequence

from reconciler.model.runs import Run, StageResult


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
