"""What a forge is told of a test: one comment, and for a cold run a status. Pure."""

from reconciler.core.testrun import trigger
from reconciler.model.asked_test import AskedTest
from reconciler.model.forge import CommitStatus
from reconciler.model.testrun import Run, RunMode, RunResult, StageOutcome, StageResult

CONTEXT = "ci-warm/cold"
"""The only one that we set: a quick run says too little to gate anything."""
_STATES = {
    RunResult.RUNNING: "pending",
    RunResult.GREEN: "success",
    RunResult.RED: "failure",
    RunResult.PARTIAL: "failure",
}
_SHOWN = 300
_SAFE = {char: f"\\{char}" for char in "\\`*_[]()|#!~"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "@\u200b"}
"""What Markdown, HTML and mentions are made of, as it is only text."""
_AGAIN = frozenset((RunResult.ABORTED, RunResult.DIED))
"""Ends that say nothing of the head: the daemon asks for the test again when it is back."""


def is_over(asked: AskedTest, run: Run | None) -> bool:
    """Say whether nothing more comes of it."""
    if asked.why or asked.stopped:
        return run is None or run.result is not RunResult.RUNNING
    return run is not None and run.result is not RunResult.RUNNING and run.result not in _AGAIN


def write_comment(asked: AskedTest, run: Run | None, page: str = "") -> str:
    """Markdown. `page`: address of the page, '' if there is none."""
    if run is None:
        return f"{_head(asked, 'lower' if asked.mode is RunMode.QUICK else 'full')}\n\n{_waiting(asked)}\n"
    lines = [_head(asked, run.confidence), "", f"**{_end(asked, run)}** at `{run.head.commit[:12]}`", ""]
    lines += ["| stage | result | seconds | |", "| --- | --- | --- | --- |", *map(_row, run.stages)]
    link = f"[{run.run}]({page.rstrip('/')}/runs/{run.run})" if page else f"`{run.run}`"
    return "\n".join([*lines, "", f"Run {link}. `{trigger.WORD} {trigger.STOP}` stops it.", ""])


def make_status(asked: AskedTest, run: Run | None, page: str = "") -> CommitStatus | None:
    """The status of the commit that is tested; None: a quick run has none, and nothing is tested yet."""
    if run is None or run.mode is not RunMode.COLD or asked.mode is not RunMode.COLD:
        return None
    state = _STATES.get(run.result, "error")
    link = f"{page.rstrip('/')}/runs/{run.run}" if page else ""
    return CommitStatus(commit=run.head.commit, state=state, context=CONTEXT, text=_end(asked, run), link=link)  # type: ignore[arg-type] # they are those of the table


def _head(asked: AskedTest, confidence: str) -> str:
    return f"ci-warm: {asked.mode} test of `{_plain(asked.app)}`, confidence {confidence}"


def _waiting(asked: AskedTest) -> str:
    if asked.why:
        return f"**not tested**: {_plain(asked.why)}"
    return "**stopped** before it began" if asked.stopped else "**waits** for a place"


def _end(asked: AskedTest, run: Run) -> str:
    if run.result in _AGAIN:
        return "stopped" if asked.stopped else "interrupted; it is tried again"
    return {RunResult.RUNNING: "running", RunResult.ERROR: "error: the host is at fault"}.get(run.result, run.result)


def _row(stage: StageResult) -> str:
    why = stage.reason if stage.result is not StageOutcome.PASSED else ""
    return f"| {stage.stage} | {stage.result} | {stage.elapsed_seconds:.1f} | {_plain(why)[:_SHOWN]} |"


def _plain(text: str) -> str:
    """Words of an app or a recipe: no table, link, mention or markup of the forge is made of them."""
    return "".join(_SAFE.get(char, char) for char in " ".join(text.split()))
