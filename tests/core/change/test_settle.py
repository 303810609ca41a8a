"""The settle oracle: a row per way in which Swarm can look finished and is not."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.change import settle
from reconciler.core.change.jobs import Roles
from reconciler.core.change.settle import Expected, Progress
from reconciler.model.journal import ServiceMark
from reconciler.model.observed import ContainerObs, ServiceMode, StackObs, TaskObs
from reconciler.model.settling import Failed, Fault, Moving, Settled, Settling
from tests.builders import IMAGE, expected, service, stack, task, update

WANT = expected()


def run(looks: Sequence[tuple[float, StackObs]], want: Expected = WANT, **given: Any) -> Settling:
    """Feed looks until one verdict is final; the last verdict otherwise."""
    state, verdict = Progress(began=0.0, moved_at=0.0), None
    for at, seen in looks:
        state, verdict = settle.step(state, want, given.get("marks", {}), given.get("old", frozenset()), seen, at)
        if not isinstance(verdict, Moving):
            return verdict
    assert verdict is not None
    return verdict


def steady(*parts: Any, until: float = 3.0) -> list[tuple[float, StackObs]]:
    return [(0.5, stack(*parts)), (until, stack(*parts))]


def test_settles_when_the_same_tasks_ran_long_enough() -> None:
    assert run([(0.5, stack(service(), task()))]) == Moving(waiting_for="the same tasks running for 2 s")
    assert run(steady(service(), task())) == Settled(task_ids=frozenset({"task-app-running"}))


OLD = "2026-01-01T00:00:00Z"
MARK = {"app": ServiceMark(version_index=9, update_started_at=OLD)}
SETTLED = [
    ("an old rollback_completed is not ours", [service(update=update("rollback_completed", OLD)), task()], MARK),
    ("an old pause is not ours", [service(update=update("paused", OLD)), task()], MARK),
    ("our completed update", [service(update=update("completed")), task()], MARK),
    (
        "an old failed task of another spec",
        [service(), task(), task("failed", template_fingerprint="t-1", error="x")],
        {},
    ),
    ("0 replicas, nothing runs", [service(replicas=0, running=0)], {}),
    ("global on its one node", [service(mode=ServiceMode.GLOBAL, replicas=0, desired=1), task()], {}),
    ("a finished one-shot", [service(restart_condition="on-failure"), task("complete", desired_state="shutdown")], {}),
    ("a finished job", [service(mode=ServiceMode.REPLICATED_JOB), task("complete", desired_state="complete")], {}),
]


@pytest.mark.parametrize(("name", "parts", "marks"), SETTLED, ids=[row[0] for row in SETTLED])
def test_is_settled(name: str, parts: list[Any], marks: dict[str, ServiceMark]) -> None:
    assert isinstance(run(steady(*parts), marks=marks), Settled), name


def container(**changes: Any) -> ContainerObs:
    return ContainerObs(**({"id": "c", "task_id": "task-app-running", "state": "running"} | changes))


STARTING = task("starting", id="task-app-running")
FAILED = [
    ("service missing", [], "service app is missing"),
    ("silent rollback", [service(update=update("rollback_completed")), task()], "swarm answered rollback_completed"),
    ("rollback begun", [service(update=update("rollback_started")), task()], "swarm answered rollback_started"),
    ("paused", [service(update=update("paused")), task("failed", error="exit 3")], "paused for service app: exit 3"),
    ("labels rolled back", [service(labels={"ci-warm.bundle": "old"}), task()], "does not carry what was sent"),
    ("another image", [service(image="other"), task()], "runs another image"),
    ("invalid mount", [service(), task("rejected", error="invalid mount config for type")], "invalid mount"),
    ("exit at once", [service(), task("failed", error="task: non-zero exit (3)")], "non-zero exit (3)"),
    ("exit of the container", [service(), task(), container(state="exited", exit_code=3)], "non-zero exit (3)"),
    ("unhealthy before it is killed", [service(), STARTING, container(health="unhealthy")], "unhealthy"),
    ("ends by itself although it should run", [service(), task("complete", exit_code=0)], "ended by itself"),
]


@pytest.mark.parametrize(("name", "parts", "reason"), FAILED, ids=[row[0] for row in FAILED])
def test_fails_at_once_with_the_reason(name: str, parts: list[Any], reason: str) -> None:
    verdict = run([(0.1, stack(*parts))], marks=MARK)
    assert isinstance(verdict, Failed), name
    assert reason in verdict.reason
    assert verdict.fault is Fault.APP


KILLED = task("failed", id="killed", error="task: non-zero exit (137)")
LOST = task("orphaned", id="lost")


def test_a_pause_for_what_the_release_did_not_do_is_no_verdict() -> None:
    assert isinstance(run(steady(service(update=update("paused")), KILLED, task()), marks=MARK), Settled)
    waiting = run(steady(service(update=update("paused")), KILLED, task("starting")), marks=MARK)
    assert waiting == Moving(waiting_for="service app 0/1 (starting)")


@pytest.mark.parametrize(("failed", "fault"), [(KILLED, Fault.UNKNOWN), (LOST, Fault.HOST)])
def test_a_pause_that_leaves_tasks_of_the_old_release_is_an_end_that_blames_nobody(
    failed: TaskObs, fault: Fault
) -> None:
    old = task(id="old", template_fingerprint="template-1")
    parts: list[Any] = [service(update=update("paused")), failed, task(), old]
    verdict = run([(0.1, stack(*parts))], marks=MARK)
    assert isinstance(verdict, Failed)
    assert verdict.fault is fault


def test_a_pause_for_tasks_that_are_killed_again_and_again_is_the_releases() -> None:
    killed = [task("failed", id=f"k{n}", error="task: non-zero exit (137)") for n in range(3)]
    parts: list[Any] = [service(update=update("paused")), *killed, task("starting")]
    verdict = run([(0.1, stack(*parts))], marks=MARK)
    assert isinstance(verdict, Failed)
    assert verdict.fault is Fault.APP


def test_swarms_own_way_back_is_an_end_whoever_is_at_fault() -> None:
    verdict = run([(0.1, stack(service(update=update("rollback_completed")), KILLED, task()))], marks=MARK)
    assert isinstance(verdict, Failed)
    assert verdict.fault is Fault.UNKNOWN


def test_old_tasks_still_running_are_not_ours() -> None:
    old = task(id="old", template_fingerprint="template-1")
    assert run(steady(service(), old)) == Moving(waiting_for="service app 0/1 (no task yet)")


def test_a_start_first_update_is_not_over_while_the_old_task_runs() -> None:
    parts = [service(), task(), task(id="old", template_fingerprint="template-1")]
    assert run(steady(*parts)) == Moving(waiting_for="1 old tasks of service app to end")


def test_a_restart_loop_shown_as_running_never_settles() -> None:
    looks = [(at * 1.5, stack(service(), task(id=f"t{at}"))) for at in range(20)]
    assert isinstance(run(looks), Moving)


def test_a_momentary_green_is_not_enough() -> None:
    looks = [
        (0.1, stack(service(), task())),
        (0.6, stack(service(), task("failed", id="task-app-running", error="exit 3"))),
    ]
    assert isinstance(run(looks), Failed)


EVERYWHERE = ServiceMode.GLOBAL
UNFINISHED_GLOBAL = [
    ("no task yet, and the engine's own figure is 0", [service(mode=EVERYWHERE, replicas=0, desired=0)], "0/1"),
    ("on one node of two", [service(mode=EVERYWHERE, replicas=0, desired=2), task()], "1/2"),
    (
        "one waits for its restart, which the engine's own figure leaves out",
        [service(mode=EVERYWHERE, replicas=0, desired=1), task(), task("ready", id="second", desired_state="ready")],
        "1/2",
    ),
]


@pytest.mark.parametrize(("name", "parts", "have"), UNFINISHED_GLOBAL, ids=[row[0] for row in UNFINISHED_GLOBAL])
def test_a_global_service_is_waited_for_on_every_node(name: str, parts: list[Any], have: str) -> None:
    verdict = run(steady(*parts))
    assert isinstance(verdict, Moving)
    assert verdict.waiting_for.startswith(f"service app {have} (")


def test_an_update_under_way_is_waited_for() -> None:
    assert run(steady(service(update=update("updating")), task()), marks=MARK) == Moving(
        waiting_for="the update of service app"
    )


def test_failed_tasks_from_before_our_write_do_not_count() -> None:
    parts = [service(), task(), task("failed", error="exit 3")]
    assert isinstance(run(steady(*parts), old=frozenset({"task-app-failed"})), Settled)


@pytest.mark.parametrize(("state", "limit"), [("pending", 10), ("new", 5)])
def test_tasks_that_wait_for_the_host_are_a_host_fault(state: str, limit: float) -> None:
    waiting = stack(service(), task(state, error="no suitable node"))
    assert isinstance(run([(0.1, waiting), (limit, waiting)]), Moving)
    verdict = run([(0.1, waiting), (limit + 0.2, waiting)])
    assert isinstance(verdict, Failed)
    assert verdict.fault is Fault.HOST
    assert "no suitable node" in verdict.evidence[0]


def test_a_global_service_that_fits_no_node_is_a_host_fault() -> None:
    nowhere = stack(service(mode=EVERYWHERE, replicas=0, desired=0))
    assert isinstance(run([(0.1, nowhere), (10, nowhere)]), Moving)
    verdict = run([(0.1, nowhere), (10.2, nowhere)])
    assert isinstance(verdict, Failed) and verdict.fault is Fault.HOST
    somewhere = stack(service(mode=EVERYWHERE, replicas=0, desired=1))
    assert isinstance(run([(0.1, somewhere), (10.2, somewhere)]), Moving)


def test_a_service_among_others_may_crash_until_the_one_it_needs_is_up() -> None:
    want = replace(WANT, services={"app": IMAGE, "db": IMAGE}, max_restarts=2)
    crashed = [task("failed", id=f"f{n}", error="no db yet") for n in range(2)]
    parts: list[Any] = [service(), service("db"), task(), task(of="db"), *crashed]
    assert isinstance(run(steady(*parts), want), Settled)
    crashed.append(task("failed", id="f3", error="no db yet"))
    assert isinstance(run([(0.1, stack(*parts, *crashed))], want), Failed)


def test_gives_up_when_nothing_moves_and_at_the_cap() -> None:
    waiting = stack(service(), task("starting"))
    stuck = run([(0.0, waiting), (61.0, waiting)])
    assert isinstance(stuck, Failed)
    assert "nothing moved for 60 s" in stuck.reason
    moving = [(at * 30.0, stack(service(version_index=at), task("starting"))) for at in range(6)]
    capped = run(moving)
    assert isinstance(capped, Failed)
    assert "not settled within 120 s" in capped.reason


def test_partly_deployed_stacks_fail() -> None:
    want = replace(WANT, services={"app": IMAGE, "db": IMAGE})
    verdict = run([(0.1, stack(service(), task()))], want)
    assert isinstance(verdict, Failed)
    assert verdict.reason == "service db is missing"


BESIDE = replace(WANT, services={"app": IMAGE, "migrate": IMAGE}, roles=Roles(main="app"), max_restarts=2)
LISTED = replace(BESIDE, roles=Roles(main="app", listed=frozenset({"migrate"})))
JOB_MODES = (ServiceMode.REPLICATED_JOB, ServiceMode.GLOBAL_JOB)
ONCE = {"restart_condition": "none"}
FIRST = {"of": "migrate", "slot": "1"}


def job(state: str, **changes: Any) -> TaskObs:
    return task(state, **({**FIRST, "desired_state": "shutdown" if state != "running" else "running"} | changes))


JOBS = [
    pytest.param(ONCE, [job("running")], BESIDE, "job migrate to complete, 0/1 (running)", id="runs once, runs"),
    pytest.param(ONCE, [job("complete", exit_code=0)], BESIDE, "", id="runs once, done"),
    pytest.param(
        {"restart_condition": "none", "replicas": 2},
        [job("complete"), job("running", slot="2")],
        BESIDE,
        "job migrate to complete, 1/2 (running)",
        id="runs once, one of two done",
    ),
    pytest.param(
        {"mode": ServiceMode.GLOBAL, "replicas": 0, "desired": 0, "restart_condition": "none"},
        [job("complete", slot="n1"), job("running", slot="n2")],
        BESIDE,
        "job migrate to complete, 1/2 (running)",
        id="runs once on each node, done on one",
    ),
    *(
        pytest.param(
            {"mode": mode},
            [job("running", desired_state="complete")],
            BESIDE,
            "job migrate to complete, 0/1 (running)",
            id=f"{mode} runs",
        )
        for mode in JOB_MODES
    ),
    *(
        pytest.param({"mode": mode}, [job("complete", desired_state="complete")], BESIDE, "", id=f"{mode} done")
        for mode in JOB_MODES
    ),
    pytest.param(
        {"mode": ServiceMode.REPLICATED_JOB, "job_iteration": 7},
        [job("complete", desired_state="complete")],
        BESIDE,
        "job migrate to complete, 0/1 (no task yet)",
        id="done in an earlier run of the job",
    ),
    pytest.param({"restart_condition": "on-failure"}, [job("running")], BESIDE, "", id="on-failure runs"),
    pytest.param({"restart_condition": "on-failure"}, [job("complete")], BESIDE, "", id="on-failure done"),
    pytest.param(
        {"restart_condition": "on-failure"},
        [job("running")],
        LISTED,
        "job migrate to complete, 0/1 (running)",
        id="on-failure listed as a job runs",
    ),
    pytest.param(
        {"restart_condition": "on-failure"},
        [job("failed", error="no db yet"), job("complete")],
        LISTED,
        "",
        id="on-failure listed as a job, done at the second try",
    ),
]


@pytest.mark.parametrize(("changes", "tasks", "want", "missing"), JOBS)
def test_a_job_is_done_when_it_completed(
    changes: dict[str, Any], tasks: list[TaskObs], want: Expected, missing: str
) -> None:
    verdict = run(steady(service(), task(), service("migrate", **changes), *tasks), want)
    assert verdict == Moving(waiting_for=missing) if missing else isinstance(verdict, Settled)


REFUSED = [
    pytest.param(ONCE, "task: non-zero exit (3)", 3, BESIDE, Fault.APP, id="runs once"),
    pytest.param(ONCE, "task: non-zero exit (137)", 137, BESIDE, Fault.UNKNOWN, id="runs once and was killed"),
    *(
        pytest.param({"mode": mode}, "task: non-zero exit (3)", 3, BESIDE, Fault.APP, id=mode.value)
        for mode in JOB_MODES
    ),
]


@pytest.mark.parametrize(("changes", "error", "code", "want", "fault"), REFUSED)
def test_a_failed_job_is_a_failure_at_once(
    changes: dict[str, Any], error: str, code: int, want: Expected, fault: Fault
) -> None:
    failed = job("failed", error=error, exit_code=code)
    verdict = run([(0.1, stack(service(), task(), service("migrate", **changes), failed))], want)
    assert isinstance(verdict, Failed)
    assert verdict.reason == f"job migrate failed with exit code {code}: {error}"
    assert (verdict.service, verdict.fault) == ("migrate", fault)


def test_a_job_is_told_with_the_code_of_its_container_before_its_task_knows() -> None:
    ended = ContainerObs(id="c", task_id="task-migrate-running", state="exited", exit_code=3)
    seen = stack(service(), task(), service("migrate", **ONCE), job("running", exit_code=0), ended)
    verdict = run([(0.1, seen)], BESIDE)
    assert isinstance(verdict, Failed)
    assert verdict.reason == "job migrate failed with exit code 3: task: non-zero exit (3)"


def test_a_job_that_swarm_repeats_may_fail_as_often_as_the_spec_says() -> None:
    want = replace(BESIDE, roles=Roles(main="app", retries=1))
    repeated = service("migrate", mode=ServiceMode.REPLICATED_JOB)
    failed = [job("failed", id=f"f{n}", error="no db yet", exit_code=1) for n in range(2)]
    assert isinstance(run([(0.1, stack(service(), task(), repeated, failed[0]))], want), Moving)
    assert isinstance(run([(0.1, stack(service(), task(), repeated, *failed))], want), Failed)


def test_a_job_at_work_moves_until_the_deadline() -> None:
    seen = stack(service(), task(), service("migrate", restart_condition="none"), job("running"))
    looks = [(at, seen) for at in (0.1, 40.0, 80.0, 119.0)]
    assert isinstance(run(looks, BESIDE), Moving)
    verdict = run([*looks, (121.0, seen)], BESIDE)
    assert isinstance(verdict, Failed)
    assert verdict.reason == "not settled within 120 s"


def test_the_main_service_is_no_job_whatever_its_restart_policy() -> None:
    parts = [service(restart_condition="none"), service("migrate"), task(of="migrate")]
    assert isinstance(run(steady(*parts, task()), BESIDE), Settled)
    assert isinstance(run(steady(*parts, task("complete", exit_code=0)), BESIDE), Moving)
