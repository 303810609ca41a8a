"""What an app's situation is called: one row per situation."""

from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.live import assess
from reconciler.model.observed import ServiceMode, StackObs
from reconciler.model.probe import ProbeAnswer
from reconciler.model.status import Status
from tests.builders import NOW, QUICK, facts, journal, known, memory, service, spec, stack, task

RECORD = known(services={"app": "spec-1"}, desired="d")
WITH_JOB = known(services={"app": "spec-1", "migrate": "spec-2"}, desired="d")
OK = ProbeAnswer(ok=True, code=200, detail="200")
BAD = ProbeAnswer(ok=False, code=503, detail="503 instead of 200")
PORT = "host-mode port already in use on 1 node"
UP = stack(service(), task())
STARTING = stack(service(), task("preparing"))
WAITS = stack(service(host_ports=frozenset({443})), task("pending", error=PORT))


def of(*states: str, **changes: Any) -> StackObs:
    """One service, as `changes` say, with a task in each state."""
    ended = ("complete", "failed", "shutdown")
    tasks = [task(state, desired_state="shutdown" if state in ended else "running") for state in states]
    return stack(service(**changes), *tasks)


def just_ended(seconds_ago: float, **changes: Any) -> StackObs:
    """A task that the engine still wants to run."""
    return stack(service(**changes), task("failed", error="x", at=NOW - timedelta(seconds=seconds_ago)))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"candidate": "1.0.1+5.0.1"}, "a newer release: 1.0.1+5.0.1 is wanted"),
        ({"candidate": "0.9.0+5.0.0"}, "an older release: 0.9.0+5.0.0 is wanted"),
        ({"desired": "e", "candidate": "1.0.0+5.0.0"}, "the settings changed: 1.0.0+5.0.0 is wanted"),
    ],
    ids=["newer", "older, by a pin", "settings"],
)
def test_what_is_wanted_is_called_by_its_name(changes: dict[str, Any], why: str) -> None:
    seen = facts(**({"known": RECORD, "desired": "d", "stack": UP, "answer": OK, "memory": memory()} | changes))
    assert assess.assess(seen, NOW).reason == why


def beside(*states: str, since_s: float = 5, **changes: Any) -> StackObs:
    """A service called migrate, as `changes` say, beside the main one."""
    at = NOW - timedelta(seconds=since_s)
    fields = {"spec_fingerprint": "spec-2"} | changes
    ends = "complete" if service(**changes).mode.is_job else "running"
    tasks = [
        task(state, of="migrate", desired_state=ends if state == "running" else "shutdown", at=at) for state in states
    ]
    return stack(service(), task(), service("migrate", **fields), *tasks)


SLOW_JOB = beside("running", restart_condition="none", since_s=31)
LISTS_IT = spec(health={"scheme": "http", **QUICK, "jobs": ["migrate"]})
SITUATIONS = [
    pytest.param({"journal": journal(), "stack": UP}, Status.INTERRUPTED, id="a journal is open, whatever runs"),
    pytest.param({"journal": journal(), "stack": stack()}, Status.INTERRUPTED, id="a journal is open and nothing runs"),
    pytest.param(
        {"journal": journal(), "stack": UP, "answer": BAD}, Status.INTERRUPTED, id="a journal beats a bad answer"
    ),
    pytest.param({"stack": stack()}, Status.ABSENT, id="no service, but a record"),
    pytest.param({"stack": stack(), "known": None}, Status.ABSENT, id="no service and no record"),
    pytest.param({"stack": UP, "known": None}, Status.UNMANAGED, id="services that no record knows"),
    pytest.param(
        {"stack": UP, "known": None, "answer": BAD},
        Status.UNMANAGED,
        id="services that no record knows, and they are ill",
    ),
    pytest.param({"stack": of("running", spec_fingerprint="spec-9")}, Status.DRIFTED, id="a service was changed"),
    pytest.param(
        {"stack": of("failed", spec_fingerprint="spec-9"), "answer": BAD},
        Status.DRIFTED,
        id="drift beats illness, for healing may cure it",
    ),
    pytest.param(
        {"stack": of("running", spec_fingerprint="spec-9"), "candidate": "1.0.1+5.0.1"},
        Status.DRIFTED,
        id="drift beats a newer release",
    ),
    pytest.param({"stack": WAITS, "taken_ports": frozenset({80})}, Status.DRIFTED, id="waits for a port that is free"),
    pytest.param(
        {"stack": WAITS, "taken_ports": frozenset({443})}, Status.FAILED, id="waits for a port that a task has"
    ),
    pytest.param(
        {"stack": WAITS, "taken_ports": None}, Status.FAILED, id="waits for a port and it cannot be told who has it"
    ),
    pytest.param({"stack": STARTING}, Status.UNVERIFIED, id="its first task is on the way"),
    pytest.param({"stack": of("ready")}, Status.UNVERIFIED, id="its task is ready to start"),
    pytest.param({"stack": STARTING, "answer": BAD}, Status.UNVERIFIED, id="on the way and does not answer yet"),
    pytest.param({"stack": of()}, Status.FAILED, id="no task at all"),
    pytest.param({"stack": of("shutdown")}, Status.FAILED, id="its only task was shut down"),
    pytest.param(
        {"stack": stack(service(), task("failed", error="exit 3"), task("starting"))},
        Status.UNVERIFIED,
        id="a new task is on the way after one that failed",
    ),
    pytest.param(
        {"stack": stack(service(replicas=2), task(), task("starting"))},
        Status.UNVERIFIED,
        id="the second replica is on the way",
    ),
    pytest.param(
        {"stack": stack(service(), task(desired_state="shutdown"))},
        Status.FAILED,
        id="what runs is about to be shut down",
    ),
    pytest.param({"stack": of(replicas=0)}, Status.IN_SYNC, id="scaled to nothing by its release"),
    pytest.param(
        {"stack": of("running", mode=ServiceMode.GLOBAL, replicas=0, desired=1)},
        Status.IN_SYNC,
        id="a global service runs where it should",
    ),
    pytest.param(
        {"stack": of("failed", mode=ServiceMode.GLOBAL, replicas=0, desired=1)},
        Status.FAILED,
        id="a global service failed on its node",
    ),
    pytest.param({"stack": beside(mode=ServiceMode.REPLICATED_JOB)}, Status.IN_SYNC, id="a job has no task any more"),
    pytest.param({"stack": beside("complete", mode=ServiceMode.GLOBAL_JOB)}, Status.IN_SYNC, id="a job completed"),
    pytest.param({"stack": beside("failed", mode=ServiceMode.GLOBAL_JOB)}, Status.FAILED, id="a global job failed"),
    pytest.param(
        {"stack": beside("failed", mode=ServiceMode.REPLICATED_JOB)}, Status.FAILED, id="a replicated job failed"
    ),
    pytest.param(
        {"stack": beside("running", mode=ServiceMode.REPLICATED_JOB)}, Status.UNVERIFIED, id="a job is at work"
    ),
    pytest.param(
        {"stack": beside("running", restart_condition="none")},
        Status.UNVERIFIED,
        id="a task that runs once is at work, and is waited for",
    ),
    pytest.param({"stack": SLOW_JOB}, Status.FAILED, id="a job is at work for longer than settling waits"),
    pytest.param(
        {"stack": beside("complete", restart_condition="none")}, Status.IN_SYNC, id="a task that runs once is done"
    ),
    pytest.param(
        {"stack": beside("complete", restart_condition="none", replicas=2)},
        Status.FAILED,
        id="one of two tasks that run once is done",
    ),
    pytest.param(
        {"stack": beside("failed", "complete", restart_condition="on-failure")},
        Status.IN_SYNC,
        id="a task that restarts on failure is done",
    ),
    pytest.param(
        {"stack": beside("running", restart_condition="on-failure")},
        Status.IN_SYNC,
        id="a task that restarts on failure may run for ever",
    ),
    pytest.param(
        {"stack": beside("running", restart_condition="on-failure"), "spec": LISTS_IT},
        Status.UNVERIFIED,
        id="a task that restarts on failure and is listed as a job must complete",
    ),
    pytest.param(
        {"stack": of("complete", restart_condition="none")}, Status.FAILED, id="a main service that ended is not done"
    ),
    pytest.param(
        {"stack": of("complete", restart_condition="on-failure")},
        Status.FAILED,
        id="nor is one that restarts on failure",
    ),
    pytest.param(
        {"stack": of("complete", restart_condition="any")}, Status.FAILED, id="a task that must not end has ended"
    ),
    pytest.param(
        {"stack": of("failed", restart_condition="none")}, Status.FAILED, id="a task that runs once has failed"
    ),
    pytest.param({"stack": just_ended(1)}, Status.UNVERIFIED, id="it ended, and the engine is about to start it anew"),
    pytest.param({"stack": just_ended(3600)}, Status.FAILED, id="it ended, and the engine has not seen to it"),
    pytest.param(
        {"stack": just_ended(1, restart_condition="none")}, Status.FAILED, id="it ended, and is not started anew"
    ),
    pytest.param({"stack": UP, "answer": BAD}, Status.FAILED, id="runs and does not answer"),
    pytest.param(
        {"stack": UP, "answer": BAD, "candidate": "1.0.1+5.0.1"}, Status.FAILED, id="illness beats a newer release"
    ),
    pytest.param({"stack": UP, "answer": OK}, Status.IN_SYNC, id="runs and answers"),
    pytest.param({"stack": UP, "answer": None}, Status.IN_SYNC, id="runs and was not asked"),
    pytest.param({"stack": UP, "answer": OK, "candidate": "1.0.0+5.0.0"}, Status.IN_SYNC, id="the wanted release runs"),
    pytest.param(
        {"stack": UP, "answer": OK, "candidate": "1.0.1+5.0.1"}, Status.OUT_OF_SYNC, id="a newer release is wanted"
    ),
    pytest.param(
        {"stack": UP, "answer": OK, "candidate": "0.9.0+4.0.0"}, Status.OUT_OF_SYNC, id="an older release is pinned"
    ),
    pytest.param({"stack": UP, "answer": OK, "desired": "e"}, Status.OUT_OF_SYNC, id="the settings changed"),
    pytest.param({"stack": UP, "answer": OK, "desired": ""}, Status.IN_SYNC, id="today's settings cannot be read"),
    pytest.param(
        {"stack": UP, "answer": OK, "recipe_problem": "the forge is away"},
        Status.IN_SYNC,
        id="the recipe cannot be read",
    ),
]


@pytest.mark.parametrize(("changes", "status"), SITUATIONS)
def test_each_situation_has_its_status(changes: dict[str, Any], status: Status) -> None:
    record = WITH_JOB if changes["stack"].service("migrate") else RECORD
    assert assess.assess(facts(**{"known": record, "desired": "d"} | changes), NOW).status is status


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param(
            {"journal": journal(), "stack": UP}, "upgrade 1.0.1+5.0.1 stopped at step opened", id="interrupted"
        ),
        pytest.param(
            {"stack": STARTING}, "still starting: service app has 0/1 tasks running: no error on record", id="starting"
        ),
        pytest.param(
            {"stack": UP, "answer": BAD}, "the app does not answer as required: 503 instead of 200", id="no answer"
        ),
        pytest.param({"stack": UP, "desired": "e"}, "the settings changed: 1.0.0+5.0.0 is wanted", id="settings"),
        pytest.param({"stack": UP, "candidate": "1.0.1+5.0.1"}, "a newer release: 1.0.1+5.0.1 is wanted", id="release"),
        pytest.param(
            {"stack": UP, "candidate": "1.0.1+5.0.1", "desired": "e"},
            "a newer release: 1.0.1+5.0.1 is wanted",
            id="release and settings",
        ),
        pytest.param({"stack": UP}, "1.0.0+5.0.0 runs and answers", id="in sync"),
        pytest.param(
            {"stack": WAITS, "taken_ports": frozenset()},
            "service app waits for a host port that is free: the engine has forgotten it",
            id="forgotten",
        ),
    ],
)
def test_the_reason_tells_what_is_so(changes: dict[str, Any], reason: str) -> None:
    assert assess.assess(facts(**{"known": RECORD, "desired": "d"} | changes), NOW).reason == reason


def test_the_last_error_of_a_service_is_the_one_that_is_told() -> None:
    first = task("rejected", error="exit 1", at=NOW - timedelta(minutes=1), desired_state="shutdown")
    last = task("failed", error="exit 2", desired_state="shutdown")
    for order in ((first, last), (last, first)):
        found = assess.assess(facts(known=RECORD, desired="d", stack=stack(service(), *order), answer=BAD), NOW)
        assert found.reason == "service app has 0/1 tasks running: exit 2"
        assert found.evidence == (found.reason, "503 instead of 200")


def test_services_without_a_record_show_what_could_explain_them() -> None:
    found = assess.assess(facts(stack=UP, running="1.0.0+5.0.0", answer=BAD), NOW)
    assert found.evidence == ("version by label: 1.0.0+5.0.0", "probe: 503 instead of 200")
    assert assess.assess(facts(stack=UP), NOW).evidence[0] == "version by label: none"


def test_the_order_of_services_does_not_matter() -> None:
    record = known(services={"app": "spec-1", "db": "spec-1"}, desired="d")
    app, db = service(), service("db")
    tasks = (task("preparing"), task("failed", of="db", error="exit 1", desired_state="shutdown"))
    found = [
        assess.assess(facts(known=record, desired="d", stack=stack(*services, *tasks)), NOW)
        for services in ((app, db), (db, app))
    ]
    assert [one.status for one in found] == [Status.UNVERIFIED, Status.UNVERIFIED]
    assert all("db" in one.reason and "app" in one.reason for one in found)
