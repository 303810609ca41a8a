"""The sweep's cold runs: in order, at most so many at once, continued, skipped, promoted, one alert for all reds."""

import json
import os
import pty
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from reconciler.demo.host import free_port
from tests.hosts.engine_host import V1, V2, V3, EngineHost
from tests.runs.scenes import slow, started, whole
from tests.waiting import until


def report(host: EngineHost) -> dict[str, Any]:
    [path] = (host.state / "sweeps").glob("*.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def parts(host: EngineHost) -> dict[str, str]:
    return {item["name"]: item["result"] for item in report(host)["items"]}


def second(host: EngineHost, name: str = "other") -> None:
    """One more canonical of the same recipe, elsewhere."""
    spec = json.loads((host.home / "etc" / "apps" / f"{host.name}.yaml").read_text())
    port = free_port()
    spec |= {"name": name, "domain": f"{name}-{host.mark}.example.test", "env": {"PUBLISHED_PORT": str(port)}}
    spec["health"]["port"] = port
    (host.home / "etc" / "apps" / f"{name}.yaml").write_text(json.dumps(spec))


def test_promotes_what_is_green_and_skips_what_was(host: EngineHost) -> None:
    ran = host.program.command("sweep")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"cold {host.name}: done" in ran.stdout and "promoted" in ran.stdout
    assert whole(host) == V2 and host.observed.left() == []
    assert host.program.command("sweep", "--again").returncode == 0
    assert parts(host)[f"cold {host.name}"] == "skipped"
    assert f"{V2} is green already" in report(host)["items"][-1]["detail"]
    assert host.program.command("sweep", "--again", "--all").returncode == 0
    assert parts(host)[f"cold {host.name}"] == "done"
    date = report(host)["date"]
    html = (host.state / "sweeps" / f"{date}.html").read_text()
    assert "<html>" in html and f"cold-green:{V2}" in html
    assert f"cold {host.name}" in (host.state / "sweeps" / f"{date}.txt").read_text()


def test_no_recipe_enrolled_is_an_alert_and_no_success(small: EngineHost) -> None:
    (small.home / "etc" / "apps" / "notes.yaml").unlink()
    ran = small.program.command("sweep")
    assert ran.returncode == 1 and "no recipe is enrolled" in ran.stdout
    [alert] = small.observed.alerts()
    assert (alert.reason, alert.app) == ("sweep", "host") and "no recipe is enrolled" in alert.evidence[0]
    small.set(sweep={"cold": False})
    assert small.program.command("sweep").returncode == 0 and small.observed.alerts() == []


def test_all_reds_are_one_alert_and_the_others_are_tested_all_the_same(small: EngineHost) -> None:
    second(small)
    assert small.program.test().promoted
    small.release(V3, SCHEMA="3", FAIL="after")
    ran = small.program.command("sweep")
    assert ran.returncode == 1
    assert parts(small) == {"engine": "done", "live": "done", "cold notes": "failed", "cold other": "failed"}
    [alert] = small.observed.alerts()
    assert alert.reason == "sweep" and len(alert.evidence) == 2
    assert all(f"cold-red:{V3}" in text and "upgrade: " in text for text in alert.evidence)
    assert whole(small) == V2 and small.observed.left() == []
    small.recipe.git("tag", "--delete", V3)
    assert small.program.command("sweep").returncode == 0 and small.observed.alerts() == []


def test_a_killed_sweep_goes_on_with_what_is_missing(small: EngineHost) -> None:
    second(small)
    slow(small)
    spec = json.loads((small.home / "etc" / "apps" / "other.yaml").read_text())
    assert "tests" not in spec
    third = {**spec, "name": "aaa", "domain": f"aaa-{small.mark}.example.test"}
    (small.home / "etc" / "apps" / "aaa.yaml").write_text(json.dumps(third))
    child = subprocess.Popen(small.program.argv("sweep"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: any((small.state / "runs").glob("*/custom.log")), 60, "the slow one began")
    assert parts(small)["cold aaa"] == "done" and report(small)["result"] == "running"
    child.kill()
    child.wait()
    until(lambda: not small.observed.left(), 60, "the killed sweep's run ended with it")
    small.write_spec()
    before = len(list((small.state / "runs").glob("*/run.json")))
    ran = small.program.command("sweep")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert parts(small) == {
        "engine": "done",
        "live": "done",
        "cold aaa": "done",
        "cold notes": "done",
        "cold other": "done",
    }
    assert len(list((small.state / "runs").glob("*/run.json"))) == before + 2


def test_a_sweep_that_is_asked_to_stop_ends_its_run_first(small: EngineHost) -> None:
    slow(small)
    child = started(small, "sweep")
    child.send_signal(signal.SIGTERM)
    assert child.wait(60) == 1
    assert small.observed.left() == [] and report(small)["result"] == "running"


def test_at_most_max_tests_at_once(small: EngineHost) -> None:
    second(small)
    second(small, "third")
    small.set(runs={"domain_suffix": f"t{small.mark}.test", "min_free": 0, "max_tests": 2})
    ran = small.program.command("sweep")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    runs = small.program.build().runs.reports()
    assert len(runs) == 3
    at_once = [sum(r.started_at <= run.started_at < (r.finished_at or r.started_at) for r in runs) for run in runs]
    assert max(at_once) == 2


def test_it_waits_for_a_test_in_flight_or_is_skipped_and_says_so(small: EngineHost) -> None:
    slow(small)
    child = started(small, "cold", small.name)
    small.set(sweep={"wait": "300ms"})
    ran = small.program.command("sweep")
    assert ran.returncode == 0 and report(small)["result"] == "skipped"
    assert [alert.reason for alert in small.observed.alerts()] == ["sweep"]
    small.set(sweep={"wait": "60s"})
    small.write_spec()
    waiting = subprocess.Popen(small.program.argv("sweep"), stdout=subprocess.DEVNULL)
    until(lambda: report(small)["result"] == "running", 20)
    child.send_signal(signal.SIGTERM)
    child.wait(60)
    assert waiting.wait(60) == 0 and report(small)["result"] == "done" and small.observed.alerts() == []


def test_nothing_is_begun_after_the_deadline_and_that_is_told(small: EngineHost) -> None:
    small.set(sweep={"deadline": "1ms"})
    ran = small.program.command("sweep")
    assert ran.returncode == 1 and "the sweep's deadline has passed" in ran.stdout
    assert not list((small.state / "runs").glob("*/run.json")) and small.observed.alerts() != []


def test_a_bar_on_a_terminal(small: EngineHost) -> None:
    lead, follow = pty.openpty()
    child = subprocess.Popen(small.program.argv("sweep"), stdout=subprocess.DEVNULL, stderr=follow)
    os.close(follow)
    shown = b""
    try:
        while piece := os.read(lead, 4096):
            shown += piece
    except OSError:
        pass  # the other side is closed
    os.close(lead)
    assert child.wait(60) == 0
    assert b"sweep: cold runs  0 of 1" in shown and b"sweep: cold runs  1 of 1" in shown


def test_it_does_not_run_during_a_command_before_that_fails(small: EngineHost) -> None:
    small.set(sweep={"before": ["false"]})
    assert small.program.command("sweep").returncode == 1
    assert parts(small) == {"before": "failed"}
    small.set(sweep={"before": ["false"], "before_required": False})
    assert small.program.command("sweep").returncode == 1
    assert parts(small)["cold notes"] == "done" and whole(small) == V2


@pytest.mark.parametrize("broken", ["{", "[]", '{"schema_version": 9}'])
def test_an_unreadable_green_record_fails_that_recipe_alone(broken: str, small: EngineHost) -> None:
    second(small)
    assert small.program.test().promoted
    path: Path = next((small.state / "green").glob("*.json"))
    path.write_text(broken)
    assert small.program.command("sweep").returncode == 1
    assert path.read_text() == broken and whole(small) == V2
    assert {parts(small)[f"cold {name}"] for name in ("notes", "other")} == {"failed"}
    assert V1 not in whole(small)
