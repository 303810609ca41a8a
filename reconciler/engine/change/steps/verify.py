"""Ask the app itself, often enough in a row and from the same tasks. Effects: HTTP requests."""

from dataclasses import replace

from reconciler.engine.change.looks import POLL_S, Looks
from reconciler.engine.change.steps import settle
from reconciler.engine.context import DONE, Before, Judge, StepContext, StepResult
from reconciler.model.app import HealthSpec
from reconciler.model.probe import Probe, ProbeAnswer
from reconciler.model.release import Bundle
from reconciler.model.settling import Failed, Settled


def probe_of(domain: str, health: HealthSpec) -> Probe:
    """The health request of an app."""
    return Probe(
        scheme=health.scheme,
        host=domain,
        address=health.address,
        port=health.probe_port,
        path=health.path,
        status=health.status,
        body=health.body,
        tls_verify=health.tls_verify,
        ca_file=health.ca_file,
        timeout_s=health.timeout,
    )


def verify(at: StepContext, bundle: Bundle, judge: Judge, before: Before) -> StepResult:
    """Probe until `successes` good answers in a row came while the same tasks ran; a failing task ends it at once.

    Raises:
        ObserveError: the engine has not answered, or no node took tasks, until the deadline: the journal stays.
    """
    clock, domain, health = at.ports.clock, judge.domain, judge.health
    # The tasks have been up for long enough when settling ended; here only their identity counts.
    wanted = replace(settle.expect(at, bundle, health), min_healthy_s=0.0)
    looks = Looks(at, health.deadline)
    began, disturbances = 0.0, looks.disturbances
    good, carrying, answer = 0, frozenset[str](), ProbeAnswer(ok=False, code=0, detail="not asked yet")
    while True:
        # A look before each probe: an answer may come from an old task, or from one that is crashing right now.
        verdict = settle.watch(at, wanted, before, looks, stop=lambda _: True)
        if isinstance(verdict, Failed):
            return settle.fail(at, bundle, verdict)
        if looks.disturbances > disturbances:
            # What runs was started anew, and has its whole time again.
            began, disturbances = looks.answered_s, looks.disturbances
        tasks = verdict.task_ids if isinstance(verdict, Settled) else frozenset[str]()
        if tasks != carrying or not isinstance(verdict, Settled):
            # Another task may have taken over; answers of the one before it say nothing about this one.
            good, carrying = 0, tasks
        else:
            answer = at.ports.prober.probe(probe_of(domain, health))
            good = good + 1 if answer.ok else 0
            if not answer.ok:
                at.tell(f"not healthy yet: {answer.detail}")
        if good >= health.successes:
            return DONE
        if looks.answered_s - began > health.deadline:
            return at.fail(
                f"not healthy within {health.deadline:g} s: {answer.detail}",
                f"{health.scheme}://{domain}{health.path} at {health.address}:{health.probe_port}",
            )
        clock.wait(health.interval if good else max(health.interval, POLL_S))
