"""Ask the app itself, often enough in a row and from the same tasks. Effects: HTTP requests."""

from dataclasses import replace

from reconciler.core import redact
from reconciler.core.change import silence
from reconciler.engine.change.ask import ask
from reconciler.engine.change.looks import POLL_S, Looks
from reconciler.engine.change.steps import settle
from reconciler.engine.context import Before, Done, Judge, StepContext, StepResult
from reconciler.model.errors import IngressAwayError
from reconciler.model.probe import ProbeAnswer
from reconciler.model.release import Bundle
from reconciler.model.settling import Failed, Fault, Settled


def verify(at: StepContext, bundle: Bundle, judge: Judge, before: Before) -> StepResult:
    """Ask until `successes` good answers in a row came while the same tasks ran; a failing task ends it at once.

    Raises:
        ObserveError: the engine has not answered, or no node took tasks, until the deadline: the journal stays.
        IngressAwayError: what stands before the app took no connection until the deadline: the journal stays.
    """
    clock, domain, health = at.ports.clock, judge.domain, judge.health
    # The tasks have been up for long enough when settling ended; here only their identity counts.
    wanted = replace(settle.expect(at, bundle, health), min_healthy_s=0.0)
    looks = Looks(at, health.deadline)
    began, disturbances = 0.0, looks.disturbances
    good, carrying, bad = 0, frozenset[str](), ProbeAnswer(ok=False, code=0, detail="not asked yet")
    remarks, fault, mask = tuple[str, ...](), Fault.APP, redact.for_document(bundle.doc).mask
    while True:
        # A look before each probe: an answer may come from an old task, or from one that is crashing right now.
        verdict = settle.watch(at, wanted, before, looks, stop=lambda _: True)
        if isinstance(verdict, Failed):
            return at.fail_by(verdict.fault, verdict.reason, *verdict.evidence)
        if looks.disturbances > disturbances:
            # What runs was started anew, and has its whole time again.
            began, disturbances, fault = looks.answered_s, looks.disturbances, Fault.APP
        tasks = verdict.task_ids if isinstance(verdict, Settled) else frozenset[str]()
        if tasks != carrying or not isinstance(verdict, Settled):
            # Another task may have taken over; answers of the one before it say nothing about this one.
            good, carrying = 0, tasks
        elif good >= health.successes:
            return Done(updates={"remarks": remarks})
        else:
            # The checks once, with the last answer: some are dear.
            last = good + 1 >= health.successes
            asked = health if last else health.model_copy(update={"checks": ()})
            answer = silence.weigh(ask(at.ports, at.stack, domain, asked, mask), bundle.doc)
            good, remarks = good + 1 if answer.ok else 0, answer.remarks
            if not answer.ok:
                bad, fault = answer, answer.fault if fault is Fault.APP else fault
                at.tell(f"not healthy yet: {bad.detail}")
        if good >= health.successes:
            if not health.checks:
                return Done(updates={"remarks": remarks})
            continue  # checks take long, and may do harm: what carries the app is looked at once more
        if looks.answered_s - began > health.deadline:
            return _give_up(at, judge, bad, fault)
        clock.wait(health.interval if good else max(health.interval, POLL_S))


def _give_up(at: StepContext, judge: Judge, bad: ProbeAnswer, fault: Fault) -> StepResult:
    health = judge.health
    reason = f"not healthy within {health.deadline:g} s: {bad.detail}"
    if silence.is_before_the_app(bad):
        raise IngressAwayError(reason)
    where = f"{health.scheme}://{judge.domain}{health.path} at {health.address}:{health.probe_port}"
    return at.fail_by(fault, reason, where)
