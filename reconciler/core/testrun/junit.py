"""A run as JUnit XML, so that any CI shows it. Effects: none; bytes out."""

from xml.etree import ElementTree

from reconciler.core.testrun import summary
from reconciler.model.testrun import Run, RunResult, StageOutcome, StageResult

_CONTROL = {code: None for code in range(32) if code not in (9, 10, 13)}


def document(run: Run) -> bytes:
    """One suite: a case per stage, a case per check that passed, and one for the run.

    One failure per failed stage, however many of its checks failed; the run's own case fails where no stage did and the
    exit is not 0 all the same.
    """
    suite = ElementTree.Element(
        "testsuite",
        name=f"{run.app} {run.mode}",
        time=f"{run.elapsed_seconds:.3f}",
        timestamp=f"{run.started_at:%Y-%m-%dT%H:%M:%S}",
    )
    for stage in run.stages:
        _stage(suite, run, stage)
    told = any(case.find(kind) is not None for case in suite for kind in ("failure", "error"))
    whole = _case(suite, run.app, "run", 0.0)
    if not told:
        _whole(whole, run)
    ElementTree.SubElement(whole, "system-out").text = _clean(summary.summary(run))
    cases = list(suite)
    suite.set("tests", str(len(cases)))
    for kind, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(name, str(sum(case.find(kind) is not None for case in cases)))
    text: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _whole(case: ElementTree.Element, run: Run) -> None:
    if run.result in (RunResult.RED, RunResult.DIED, RunResult.ABORTED):
        _mark(case, "failure", f"{run.result}; deploys {run.deploys}, expected {run.deploys_expected}", "")
    elif run.result is RunResult.ERROR:
        _mark(case, "error", "the host is to blame", "\n".join(run.notes))
    elif run.result is RunResult.PARTIAL:
        _mark(case, "failure", "not everything could be tried", run.base_reason)
    elif run.leftovers:
        _mark(case, "failure", "something of the run is left", "\n".join(run.leftovers))


def _stage(suite: ElementTree.Element, run: Run, stage: StageResult) -> None:
    case = _case(suite, run.app, stage.stage, stage.elapsed_seconds)
    failed = [f"{check.name}: {check.detail}" for check in stage.checks if check.required and not check.passed]
    text = "\n".join(dict.fromkeys([*failed, *stage.evidence]))
    if stage.result is StageOutcome.FAILED:
        _mark(case, "failure", stage.reason, text)
    elif stage.result is StageOutcome.ERROR:
        _mark(case, "error", stage.reason, text)
    elif stage.result in (StageOutcome.SKIPPED, StageOutcome.NOT_RUN):
        _mark(case, "skipped", stage.reason or stage.result, text)
    for check in stage.checks:
        if check.passed or not check.required:
            one = _case(suite, f"{run.app}.{stage.stage}", check.name, check.elapsed_seconds)
            if not check.passed:
                _mark(one, "skipped", check.detail, "")


def _case(suite: ElementTree.Element, group: str, name: str, seconds: float) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=group, name=name, time=f"{seconds:.3f}")


def _mark(case: ElementTree.Element, kind: str, message: str, text: str) -> None:
    found = ElementTree.SubElement(case, kind, message=_clean(message))
    found.text = _clean(text)


def _clean(text: str) -> str:
    """XML knows no control characters."""
    return text.translate(_CONTROL).encode("utf-8", "replace").decode()
