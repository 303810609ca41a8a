"""Checks beside the health request: a page that answers while nothing works behind it is not a good release."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from reconciler.model.health import HealthSpec
from reconciler.model.probe import ProbeAnswer
from reconciler.model.settling import Fault
from tests.fakes.world import Behaviour, Host

V1, V2 = "1.0.0+5.0.0", "1.0.1+5.0.1"
FINE = ProbeAnswer(ok=True, code=0, detail="fine")
DOWN = ProbeAnswer(ok=False, code=1, detail="ended with 1: no login")
PROGRAM = "/opt/log-in"
LOGIN: dict[str, Any] = {"name": "login", "run": [PROGRAM]}


def with_checks(host: Host, *checks: dict[str, Any]) -> None:
    """The operator writes these checks into the spec."""
    [spec] = host.specs
    health = HealthSpec.model_validate({**spec.health.model_dump(), "checks": list(checks)})
    host.specs[0] = spec.model_copy(update={"health": health})


def host_with(tmp_path: Path, *checks: dict[str, Any], bake: str = "0s") -> Host:
    host = Host(tmp_path, upgrade={"bake": bake})
    with_checks(host, *checks)
    host.release(V1)
    assert host.result() == f"deployed:{V1}"
    return host


def fail_once_migrated(host: Host) -> None:
    """The login fails as soon as the second release has had the data."""

    def look(_probe: object) -> None:
        host.prober.answers[PROGRAM] = DOWN if host.engine.schema() == "2" else FINE

    host.prober.on_probe = look


def test_a_release_that_answers_and_does_not_work_is_taken_back(tmp_path: Path) -> None:
    host = host_with(tmp_path, LOGIN)
    fail_once_migrated(host)
    host.release(V2, Behaviour(schema=2))
    assert host.result() == f"rolled-back:{V2}->{V1}"
    assert host.engine.schema() == "1"
    assert "check login: ended with 1: no login" in str(host.alerts()[0].evidence)


def test_one_that_is_not_required_is_told_and_fails_nothing(tmp_path: Path) -> None:
    host = host_with(tmp_path, {**LOGIN, "required": False})
    fail_once_migrated(host)
    host.release(V2, Behaviour(schema=2))
    [report] = host.reconcile()
    assert str(report.outcome.result) == f"upgraded:{V1}->{V2}"
    assert "check login: ended with 1: no login (not required)" in report.outcome.evidence
    assert "check login" in host.history()[-1].message


def baking(tmp_path: Path, *checks: dict[str, Any]) -> Host:
    """V2 was taken an hour ago, and is still being watched."""
    host = host_with(tmp_path, *checks, bake="1d")
    host.release(V2, Behaviour(schema=2))
    assert host.result() == f"upgraded:{V1}->{V2}"
    host.clock.seconds += 3600
    return host


def test_one_that_fails_in_the_bake_watch_takes_the_release_back(tmp_path: Path) -> None:
    host = baking(tmp_path, LOGIN)
    fail_once_migrated(host)
    assert host.result() == f"rolled-back:{V2}->{V1}"
    assert host.engine.schema() == "1"


def test_one_that_cannot_be_asked_takes_nothing_back(tmp_path: Path) -> None:
    host = baking(tmp_path, LOGIN)
    host.prober.answers[PROGRAM] = ProbeAnswer(ok=False, code=0, detail="not there", fault=Fault.UNKNOWN)
    assert host.result() == f"unhealthy:{V2}"
    assert host.engine.schema() == "2"


def test_one_that_is_new_in_the_spec_and_wrong_costs_no_release(tmp_path: Path) -> None:
    host = baking(tmp_path)
    with_checks(host, LOGIN)
    host.prober.answers[PROGRAM] = DOWN
    assert host.result() == f"unhealthy:{V2}"
    assert host.engine.schema() == "2"


def test_checks_are_asked_once_with_the_last_of_several_answers(tmp_path: Path) -> None:
    host = Host(tmp_path, health={"successes": 3})
    with_checks(host, LOGIN, {"name": "port", "tcp": {"port": 5432}})
    host.release(V1)
    assert host.result() == f"deployed:{V1}"
    assert host.prober.asked == [PROGRAM, "127.0.0.1:5432"]


def test_a_check_in_a_service_that_is_not_there_holds_the_release(tmp_path: Path) -> None:
    host = Host(tmp_path)
    with_checks(host, {"name": "db", "exec": {"service": "db", "run": ["pg_isready"]}})
    host.release(V1)
    assert host.result() == f"held-recipe:{V1}"
    assert "health.checks.db: there is no service db" in str(host.alerts()[0].evidence)


def test_the_committed_check_that_cannot_be_asked_any_more_takes_nothing_back(tmp_path: Path) -> None:
    """The program was renamed and the spec changed with a mistake in it: no answer is the release's."""
    host = baking(tmp_path, LOGIN)
    with_checks(host, {"name": "login", "run": ["/opt/log-in-2"]})
    host.prober.answers["/opt/log-in-2"] = DOWN
    host.prober.answers[PROGRAM] = ProbeAnswer(ok=False, code=0, detail="not there", fault=Fault.UNKNOWN)
    assert host.result() == f"unhealthy:{V2}"
    assert host.engine.schema() == "2"


def test_one_that_could_not_be_asked_for_a_while_blames_no_release(tmp_path: Path) -> None:
    """What came last was the app's, and still: the release had not its whole time."""
    host = host_with(tmp_path, LOGIN)
    away = ProbeAnswer(ok=False, code=0, detail="not there", fault=Fault.UNKNOWN)

    def look(_probe: object) -> None:
        early = host.clock.seconds < 30
        host.prober.answers[PROGRAM] = FINE if host.engine.schema() == "1" else away if early else DOWN

    host.prober.on_probe = look
    host.clock.seconds = 0
    host.release(V2, Behaviour(schema=2))
    assert host.result() == f"rolled-back:{V2}->{V1}"
    assert host.ports().store.memory(host.specs[0].app).quarantine == ()


def test_secrets_in_what_a_command_says_are_masked_everywhere(tmp_path: Path) -> None:
    host = host_with(tmp_path, {"name": "db", "exec": {"service": "app", "run": ["psql"]}})
    host.engine.says = "FATAL: postgres://app:hunter2hunter2@db/app password=hunter2hunter2"
    host.engine.fails_commands = True
    assert host.result() == f"unhealthy:{V1}"
    host.engine.fails_commands = False
    host.release(V2, Behaviour(schema=2))
    host.engine.on_undeploy = lambda: setattr(host.engine, "fails_commands", True)
    assert host.result() == f"rollback-failed:{V2}->{V1}"
    texts = [path.read_text() for path in (host.root / "state").rglob("*.json*") if path.is_file()]
    assert any("FATAL" in text for text in texts)
    assert not any("hunter2" in text for text in texts)


def test_an_app_that_dies_of_its_checks_is_not_upgraded(tmp_path: Path) -> None:
    host = host_with(tmp_path, LOGIN)
    host.release(V2, Behaviour(schema=2))

    def die(what: str) -> None:
        for running in host.engine.services.values() if host.engine.schema() == "2" else ():
            ended = (replace(task, state="failed", error="task: non-zero exit (1)") for task in running.tasks)
            running.tasks[:] = ended

    host.prober.on_check = die
    assert host.result() == f"rolled-back:{V2}->{V1}"
