"""A saved plan is done as it was shown, or refused with one line and nothing touched."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hosts.engine_host import V1, V2, V3, EngineHost, engine_host


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EngineHost]:
    with engine_host(tmp_path / "host", "embedded") as made:
        made.release(V1)
        made.deploy_first()
        made.release(V2, notes="Faster.\nNothing to do.\n")
        yield made


def run(host: EngineHost, *args: str) -> "subprocess.CompletedProcess[str]":
    return host.program.command(*args)


def test_a_plan_says_what_changes_and_is_done_as_it_was_saved(host: EngineHost, tmp_path: Path) -> None:
    host.write_spec(env={"GREETING": "hi"})
    file = str(tmp_path / "plan.json")
    ran = run(host, "plan", "--diff", "--out", file)
    assert ran.returncode == 20, ran.stderr
    assert "  ~ image app " in ran.stdout and ":5.0.0 -> " in ran.stdout and "~ env app.GREETING" in ran.stdout
    assert f"  release notes of {V2}:\n    Faster.\n    Nothing to do.\n" in ran.stdout
    assert "~ image" not in run(host, "plan").stdout
    [line] = json.loads(run(host, "plan", "--json").stdout)
    assert line["notes"] == {V2: "Faster.\nNothing to do."}
    assert (tmp_path / "plan.json").stat().st_mode & 0o777 == 0o600
    ran = run(host, "reconcile", "--plan", file)
    assert f"upgraded:{V1}->{V2}" in ran.stdout, ran.stderr
    again = run(host, "reconcile", "--plan", file)
    assert again.returncode == 1 and "what is on record of it moved" in again.stderr, "it is used up"


def touch_spec(host: EngineHost) -> None:
    host.write_spec(env={"GREETING": "other"})


def touch_settings(host: EngineHost) -> None:
    host.set(fetch_every="11m")


def publish(host: EngineHost) -> None:
    host.release(V3)


def change_stack(host: EngineHost) -> None:
    host.program.build().ports.engine.undeploy(host.stack)


def hold(host: EngineHost) -> None:
    run(host, "suspend", "notes", "--reason", "x")


@pytest.mark.parametrize(
    ("move", "says"),
    [
        (touch_spec, "its spec moved"),
        (touch_settings, "the settings moved"),
        (publish, "the release that would be taken moved"),
        (change_stack, "what runs moved"),
        (hold, "something else would be done now"),
    ],
)
def test_what_moved_since_refuses_it_and_nothing_is_touched(
    host: EngineHost, tmp_path: Path, move: Callable[[EngineHost], None], says: str
) -> None:
    file = str(tmp_path / "plan.json")
    assert run(host, "plan", "--out", file).returncode == 20
    move(host)
    before = [one.id for one in host.program.build().ports.engine.observe_stack(host.stack).services]
    ran = run(host, "reconcile", "--plan", file)
    errors = [line for line in ran.stderr.splitlines() if not line.startswith("{")]
    assert ran.returncode == 1 and len(errors) == 1 and says in errors[0], ran.stderr
    assert errors[0].startswith("error: refused, nothing touched: since the plan of ")
    assert host.observed.known() == V1
    assert [one.id for one in host.program.build().ports.engine.observe_stack(host.stack).services] == before


def test_what_is_no_plan_is_exit_2(host: EngineHost, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("{}")
    for args in (["--plan", str(tmp_path / "x")], ["--plan", str(tmp_path / "y")], ["notes", "--plan", "z"]):
        assert run(host, "reconcile", *args).returncode == 2, args
    file = tmp_path / "plan.json"
    run(host, "plan", "--out", str(file))
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema_version": 2}))
    assert run(host, "reconcile", "--plan", str(file)).returncode == 2
