"""Ask the app itself, often enough in a row and from the same tasks. Effects: HTTP requests."""

from dataclasses import replace

from reconciler.engine.change.steps import settle
from reconciler.engine.context import DONE, Before, Judge, StepContext, StepResult
from reconciler.model.app import HealthSpec
from reconciler.model.errors import ObserveError
from reconciler.model.probe import Probe, ProbeAnswer
from reconciler.model.release import Bundle
from reconciler.model.settling import Failed, Fault, Settled


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
    """Probe until `successes` good answers in a row came while the same tasks ran; a failing task ends it at once."""
    clock, domain, health = at.ports.clock, judge.domain, judge.health
    # The tasks have been up for long enough when settling ended; here only their identity counts.
    wanted = replace(settle.expect(at, bundle, health), min_healthy_s=0.0)
    began = clock.monotonic()
    good, carrying, answer = 0, frozenset[str](), ProbeAnswer(ok=False, code=0, detail="not asked yet")
    while True:
        try:
            # A look before each probe: an answer may come from an old task, or from one that is crashing
            # right now.
            verdict = settle.watch(at, wanted, before, stop=lambda _: True)
        except ObserveError:
            verdict = None
        if isinstance(verdict, Failed):
            host = verdict.fault is Fault.HOST
            return at.fail(verdict.reason, *verdict.evidence, host=host)
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
        if clock.monotonic() - began > health.deadline:
            # Without the engine we do not know whose answers these were: unknown, never failed (I14).
            if verdict is None:
                raise ObserveError("the engine has not answered until the deadline")
            return at.fail(
                f"not healthy within {health.deadline:g} s: {answer.detail}",
                f"{health.scheme}://{domain}{health.path} at {health.address}:{health.probe_port}",
            )
        clock.wait(health.interval if good else max(health.interval, settle.POLL_S))
