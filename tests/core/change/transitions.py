"""Builds docs/transitions.md from the code, so that the page cannot tell another story than the program.

`python -m tests.core.change.transitions >docs/transitions.md` writes the page anew; a test compares both.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any

from reconciler.core.change import outcome, transaction
from reconciler.core.change.transaction import AfterFailure
from reconciler.model.hold import HoldReason
from reconciler.model.journal import Change, Failure, Journal, Step
from reconciler.model.memory import Memory
from reconciler.model.result import Result, ResultKind, held
from tests.builders import NOW, journal, memory, release

COMMAND = "python -m tests.core.change.transitions >docs/transitions.md"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A kind of change that has a way of its own. `name`: as the page calls it."""

    name: str
    kind: Change
    stateful: bool = True
    snapshot: str | None = "s"
    more: dict[str, Any] = field(default_factory=dict)

    def journal(self, **changes: Any) -> Journal:
        """A change of this shape from release A to release B."""
        origin = self.kind in (Change.UPGRADE, Change.ROLLBACK)
        fields: dict[str, Any] = {
            "stateful": self.stateful,
            "snapshot": self.snapshot,
            "origin": release("A") if origin else None,
            "target": release("B"),
        }
        return journal(self.kind, **(fields | self.more | changes))


UPGRADE = Shape(name="upgrade of an app with data", kind=Change.UPGRADE)
SHAPES = (
    UPGRADE,
    Shape(name="upgrade of an app without data", kind=Change.UPGRADE, stateful=False, snapshot=None),
    Shape(name="first deploy", kind=Change.DEPLOY, snapshot=None),
    Shape(name="first deploy onto data that no record explains", kind=Change.DEPLOY, more={"snapshot_first": True}),
    Shape(name="heal", kind=Change.HEAL, snapshot=None, more={"target": release("A")}),
    # `engine.live.reconcile.roll_back` notes the cause as a failure, so that the release is blamed.
    Shape(
        name="ordered rollback of an app with data",
        kind=Change.ROLLBACK,
        more={"failure": Failure(step=Step.VERIFY, reason="asked for")},
    ),
    Shape(
        name="ordered rollback of an app without data",
        kind=Change.ROLLBACK,
        stateful=False,
        snapshot=None,
        more={"failure": Failure(step=Step.VERIFY, reason="asked for")},
    ),
)

NEVER_FAIL = (Step.OPENED, Step.COMMIT, Step.RECORD)
"""What these cannot do they raise: the journal stays, and the next pass resumes there."""

K = ResultKind
_RESULTS = (
    (Result(kind=K.NOOP_HEALTHY), "the wanted release runs and answers; nothing was done"),
    (Result(kind=K.NOOP_IDLE), "a canonical is undeployed, as it is when idle; nothing was done"),
    (Result(kind=K.DEPLOYED, about="B"), "an app that was absent runs and answers"),
    (Result(kind=K.HEALED, about="A"), "services had moved away from known-good and were deployed again"),
    (Result(kind=K.UPGRADED, about="A", to="B"), "the newer release settled and answered; it is known-good"),
    (Result(kind=K.RECONFIGURED, about="A"), "the same release settled and answered with changed settings"),
    (Result(kind=K.ADOPTED, about="A"), "what ran and answered is on record as known-good; nothing was touched"),
    (Result(kind=K.CONVERGING, about="A"), "the services are still starting; the next pass looks again"),
    (held(HoldReason.MAJOR, "A", "B"), "a release waits, or what runs does; the words after `held-` say why"),
    (Result(kind=K.ROLLED_BACK, about="B", to="A"), "B failed, or the operator ordered it; A runs with its data"),
    (Result(kind=K.ROLLBACK_FAILED, about="B", to="A"), "A did not come back either, or its data is not back yet"),
    (Result(kind=K.ROLLBACK_REFUSED, about="B"), "the way back is not whole; nothing was touched"),
    (Result(kind=K.DEPLOY_FAILED, about="B"), "a first deploy failed; there is nothing to go back to"),
    (Result(kind=K.ABORTED, about="A", to="B"), "a change was stopped before B was tried; it is tried again"),
    (Result(kind=K.STALLED, about="B"), "too many restarts did not end an operation; a human is asked"),
    (Result(kind=K.UNHEALTHY, about="A"), "it does not answer as required, and nothing that a pass may do helps"),
    (Result(kind=K.UNMANAGED, about="A"), "services run that no record explains, and they are not to be adopted"),
    (Result(kind=K.NO_RELEASE), "nothing is on record, and the recipe has no release that is wanted"),
    (
        Result(kind=K.RECIPE, about="A"),
        "it runs and answers; its recipe does not tell what release is wanted",
    ),
    (Result(kind=K.UNKNOWN), "the engine cannot be seen, or this was not foreseen; nothing was done"),
    (Result(kind=K.ERROR), "something stopped this app's pass; the others went on"),
    (Result(kind=K.BUSY), "another process works on the app, or changes the version of another one"),
    (Result(kind=K.IN_USE), "a run or an operator uses the canonical"),
    (Result(kind=K.SEEDING), "a canonical is cold; a run that warms it was asked for, now or a moment ago"),
    (Result(kind=K.RESTORED, about="A"), "a canonical's data was put back"),
    (Result(kind=K.RESTORE_FAILED), "a canonical's data could not be put back, so it is not lent"),
)
MEANING = {example.kind: (example, meaning) for example, meaning in _RESULTS}
"""An example of each kind of result, and what it says to an operator."""


def build() -> str:
    """The whole page."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "# Transitions"
    yield ""
    yield f"Made from `reconciler/core/change`; do not edit it, but run `{COMMAND}`."
    yield "A is the release that ran before a change, B the one that the change is about."
    yield from _section(
        "The way forward",
        "The journal names a step before it is done. After the last one it is closed.",
        ("change", "steps"),
        (
            (shape.name, _way(transaction.forward(shape.journal())) or "none: all of it is a way back")
            for shape in SHAPES
        ),
    )
    yield ""
    yield f"An {UPGRADE.name}, whole:"
    yield ""
    yield from _diagram()
    yield from _section(
        "Where a failure leads",
        f"A step that failed turns the change round. {_join(NEVER_FAIL)} do not fail: what they cannot do is an error"
        " of the pass, the journal stays, and the next pass resumes there.",
        ("change", "fails at", "the way back"),
        _failures(),
    )
    yield ""
    yield "And on the way back:"
    yield ""
    yield from _table(("fails at", "what then"), _failures_of_the_way_back())
    yield from _section(
        "Where a crash resumes",
        "B stands: every service of B is there and carries its bundle. Else B may be half there, or not at all."
        " A change that stops once more before B was handed to the engine turns back, with nothing to restore; so does"
        " one that stops in deploy when B was.",
        ("stopped at", "change", "B stands", "B does not stand"),
        _crashes(),
    )
    yield from _section(
        "How a change ends",
        "In this table each failure is the release's own. What is learnt: a release in quarantine is not tried again"
        " until it or the settings change; a fault of the host lengthens the wait before the next try. A way back whose"
        " data part failed is not over: this is how its pass ends, and the next pass goes on with it.",
        ("change", "failed at", "way back", "result", "alert", "learnt"),
        _ends(),
    )
    yield from _section(
        "Results",
        "The first word of a result line is a promise to scripts and metrics.",
        ("result", "text", "what it says"),
        ((f"`{kind}`", f"`{MEANING[kind][0]}`", MEANING[kind][1]) for kind in ResultKind),
    )
    yield ""


def _section(title: str, text: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield from ("", f"## {title}", "", text, "")
    yield from _table(head, rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---' for _ in head)} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _way(steps: Sequence[Step]) -> str:
    return ", ".join(steps)


def _join(steps: Sequence[Step]) -> str:
    return f"{', '.join(f'`{step}`' for step in steps[:-1])} and `{steps[-1]}`"


def _turned(shape: Shape, step: Step) -> Journal:
    # Before the release is tried only the host can fail, but for a stop that had to be a clean one (`remember`).
    before = step in (Step.UNDEPLOY, Step.QUIESCE, Step.SNAPSHOT)
    return shape.journal(step=step, failure=Failure(step=step, reason="broken", fault="host" if before else "app"))


def _forward_that_fails(shape: Shape) -> list[Step]:
    return [step for step in transaction.forward(shape.journal()) if step not in NEVER_FAIL]


def _failures() -> Iterator[tuple[str, str, str]]:
    for shape in SHAPES:
        steps = _forward_that_fails(shape)
        turns = [
            step for step in steps if transaction.after_failure(shape.journal(step=step)) is AfterFailure.TURN_BACK
        ]
        if turns != steps:
            raise AssertionError("a step of a way forward does not turn back; the page has no words for that")
        for way, same in groupby(turns, key=lambda step: _way(transaction.back(_turned(shape, step)))):
            yield shape.name, _way(list(same)), way


def _failures_of_the_way_back() -> Iterator[tuple[str, str]]:
    back = [step for step in Step if step.startswith("back-")]
    for leads_to, same in groupby(back, key=lambda step: transaction.after_failure(UPGRADE.journal(step=step))):
        yield _way(list(same)), leads_to


def _crashes() -> Iterator[tuple[str, str, str, str]]:
    """One row per step and answer; kinds of change that agree share it."""
    for step in Step:
        answers: dict[tuple[str, str], list[str]] = {}
        for kind in Change:
            if step in _steps_of(kind):
                answer = (_resumes(kind, step, stands=True), _resumes(kind, step, stands=False))
                answers.setdefault(answer, []).append(kind)
        for (stands, fallen), kinds in answers.items():
            yield step, ", ".join(kinds), stands, fallen


def _steps_of(kind: Change) -> set[Step]:
    """Every step that a change of this kind may come through."""
    shapes = [shape for shape in SHAPES if shape.kind is kind]
    found = {Step.OPENED, Step.RECORD}
    for shape in shapes:
        found |= {*transaction.forward(shape.journal())}
        turned = [shape.journal(), *(_turned(shape, step) for step in _forward_that_fails(shape))]
        found |= {step for one in turned for step in transaction.back(one)}
    return found


def _resumes(kind: Change, step: Step, *, stands: bool) -> str:
    shape = next(shape for shape in SHAPES if shape.kind is kind)
    found, failure = transaction.resume(shape.journal(step=step, failure=None), candidate_stands=stands)
    if failure is not None:
        return "turns back"
    return "does it again" if found is step else f"goes on at {found}"


def _ends() -> Iterator[tuple[str, ...]]:
    for shape in SHAPES:
        yield from _ends_of(shape)


def _ends_of(shape: Shape) -> Iterator[tuple[str, ...]]:
    if shape.kind is not Change.ROLLBACK:
        yield (shape.name, "-", "-", *_end(shape.journal(step=Step.RECORD)))
        stopped = Failure(step=Step.OPENED, reason=transaction.INTERRUPTED, fault="host")
        if transaction.resume(shape.journal(), candidate_stands=False)[1] is not None:
            yield (shape.name, Step.OPENED, "-", *_end(shape.journal(step=Step.RECORD, failure=stopped)))
    failed = [_turned(shape, step) for step in _forward_that_fails(shape)] or [shape.journal()]
    for well in (True, False):
        ways = [one for one in failed if well or len(transaction.back(one)) > 1]
        for end, same in groupby(ways, key=lambda one: _end(_closed(one, well=well))):
            steps = [one.failure.step for one in same if one.failure is not None]
            where = "ordered" if shape.kind is Change.ROLLBACK else _way(steps)
            took_a_way = len(transaction.back(failed[0])) > 1
            yield (shape.name, where, ("went well" if well else "failed") if took_a_way else "none", *end)


def _closed(one: Journal, *, well: bool) -> Journal:
    last = transaction.back(one)[-2:][0]
    failure = None if well else Failure(step=last, reason="broken")
    return one.model_copy(update={"step": Step.RECORD, "back_failure": failure})


def _end(one: Journal) -> tuple[str, str, str]:
    alert = outcome.alert(one, NOW)
    told = f"`{alert.reason}`, {alert.severity}" if alert else "none"
    return f"`{outcome.result(one)}`", told, _learnt(outcome.remember(one, memory(), NOW))


def _learnt(found: Memory) -> str:
    words = ["quarantine"] if found.quarantine else []
    words += ["a host fault"] if found.host_faults else []
    return ", ".join(words) or "nothing"


def _diagram() -> Iterator[str]:
    """The ways of an upgrade with data, as mermaid draws them: an arrow for each transition."""
    one = UPGRADE.journal()
    way = (Step.OPENED, *transaction.forward(one), Step.RECORD)
    edges = dict.fromkeys(pairwise(way), "")
    for step in _forward_that_fails(UPGRADE):
        back = transaction.back(_turned(UPGRADE, step))
        edges[(step, back[0])] = "fails"
        for a, b in pairwise(back):
            edges[(a, b)] = _told_apart(edges.get((a, b)), a, b)
        for a in back[:-1]:
            after = transaction.after_failure(UPGRADE.journal(step=a))
            edges[(a, a if after is AfterFailure.KEEP else Step.RECORD)] = _tell(after, a, back)
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield "    [*] --> opened"
    for (a, b), text in edges.items():
        yield f"    {_id(a)} --> {_id(b)}{f': {text}' if text else ''}"
    yield "    record --> [*]"
    yield "```"


def _told_apart(before: str | None, a: Step, b: Step) -> str:
    """The way back parts once: with the data to restore, and with the data still its own."""
    if before:
        return before
    if a is Step.BACK_QUIESCE:
        return "B was tried" if b is Step.BACK_RESTORE else "B was not tried"
    return ""


def _tell(after: AfterFailure, step: Step, back: Sequence[Step]) -> str:
    if after is AfterFailure.KEEP:
        return "fails, is kept for the next pass"
    return "done or failed" if back[back.index(step) + 1] is Step.RECORD else "fails"


def _id(step: Step) -> str:
    return step.replace("-", "_")


if __name__ == "__main__":
    sys.stdout.write(build())
