"""`ci-warm sweep`, `reload` and `install-units` as an operator or a unit calls them."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters import units
from reconciler.core.host import sweep_report
from tests.builders import NOW
from tests.daemon.scenes import QUICK, deployed
from tests.hosts.engine_host import V1, EngineHost, engine_host
from tests.waiting import until


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EngineHost]:
    with engine_host(tmp_path / "host", "embedded") as made:
        made.release(V1)
        yield made


def run(host: EngineHost, *args: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(host.program.argv(*args), capture_output=True, text=True, timeout=100)


def report(host: EngineHost) -> dict[str, Any]:
    [path] = (host.state / "sweeps").glob("*.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def before(host: EngineHost, code: str, **settings: Any) -> None:
    """The command before the sweep is a Python program."""
    host.set(sweep={"before": [sys.executable, "-c", code], "cold": False, **settings})


def test_runs_the_command_before_and_then_the_live_pass_with_what_it_changed(host: EngineHost) -> None:
    spec = host.home / "etc" / "apps" / f"{host.name}.yaml"
    wanted = host.home / "next.json"
    shutil.copy(spec, wanted)
    spec.unlink()
    before(host, f"import os; print('switching'); os.rename({str(wanted)!r}, {str(spec)!r})")
    ran = run(host, "sweep")
    assert ran.returncode == 0, ran.stderr
    assert f"RECONCILE RESULT: notes deployed:{V1}" in ran.stdout
    assert [(item["name"], item["result"]) for item in report(host)["items"]] == [
        ("before", "done"),
        ("engine", "done"),
        ("live", "done"),
    ]
    assert next((host.state / "sweeps").glob("*-before.log")).read_text() == "switching\n"


def test_a_sweep_that_came_to_a_good_end_is_not_repeated_the_same_night(host: EngineHost) -> None:
    mark = host.home / "ran"
    before(host, f"open({str(mark)!r}, 'a').write('x')")
    assert run(host, "sweep").returncode == 0
    ran = run(host, "sweep")
    assert (ran.returncode, mark.read_text()) == (0, "x")
    assert "came to a good end already" in ran.stdout
    assert run(host, "sweep", "--again").returncode == 0
    assert mark.read_text() == "xx"


def test_a_failing_command_before_is_one_alert_and_stops_the_sweep(host: EngineHost) -> None:
    fake = host.home / "nixos-rebuild"
    fake.write_text(f"#!{sys.executable}\nraise SystemExit(4)\n")
    fake.chmod(0o755)
    host.set(sweep={"before": [str(fake), "switch"], "cold": False})
    for _ in range(2):
        ran = run(host, "sweep")
        assert ran.returncode == 1
    assert "nixos-rebuild ended with 4 (some units failed to start)" in ran.stdout
    [alert] = host.observed.alerts()
    assert (alert.reason, alert.app) == ("sweep", "host")
    assert host.observed.history() == []
    host.set(sweep={"before": [str(fake), "switch"], "before_required": False, "cold": False})
    assert run(host, "sweep").returncode == 1
    assert host.observed.history() == [f"deployed:{V1}"]
    host.set(sweep={"before": [str(fake), "switch"], "before_fine": [0, 4], "cold": False})
    assert run(host, "sweep").returncode == 0
    assert host.observed.alerts() == []


def test_success_is_not_enough_if_the_wanted_system_does_not_run(host: EngineHost) -> None:
    for name in ("running", "wanted"):
        (host.home / f"{name}-1").mkdir()
        (host.home / name).symlink_to(host.home / f"{name}-1")
    before(host, "pass", system=str(host.home / "running"), wanted_system=str(host.home / "wanted"))
    ran = run(host, "sweep")
    assert ran.returncode == 1
    assert f"{host.home}/running is {host.home}/running-1 and not {host.home}/wanted-1" in ran.stdout


def test_a_killed_sweep_goes_on_and_the_command_before_outlives_it(host: EngineHost) -> None:
    started, go, ended = (host.home / name for name in ("started", "go", "ended"))
    code = (
        "import os, pathlib, stat, sys, time\n"
        "assert stat.S_ISREG(os.fstat(1).st_mode) and stat.S_ISREG(os.fstat(2).st_mode)\n"
        f"pathlib.Path({str(started)!r}).touch()\n"
        f"while not os.path.exists({str(go)!r}): time.sleep(0.02)\n"
        "print('still here', flush=True)\n"
        f"pathlib.Path({str(ended)!r}).touch()\n"
    )
    before(host, code)
    first = subprocess.Popen(host.program.argv("sweep"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(started.exists, 30)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert report(host)["result"] == "running"
    go.touch()
    until(ended.exists, 20, "the command before came to its end without us")
    ran = run(host, "sweep")
    assert ran.returncode == 0 and report(host)["result"] == "done"
    before(host, "raise SystemExit(1)")
    (path,) = (host.state / "sweeps").glob("*.json")
    path.write_text(json.dumps(report(host) | {"result": "running", "finished_at": None}))
    assert run(host, "sweep").returncode == 0, "the part that was done is not done again"


def test_two_sweeps_at_once_and_unreadable_reports(host: EngineHost) -> None:
    go = host.home / "go"
    before(host, f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.02)\n")
    first = subprocess.Popen(host.program.argv("sweep"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: list((host.state / "sweeps").glob("*.json")), 30)
    second = run(host, "sweep")
    assert second.returncode == 75 and "sweep.lock is held by ci-warm sweep" in second.stderr
    go.touch()
    assert first.wait(60) == 0
    (path,) = (host.state / "sweeps").glob("*.json")
    path.write_text("{")
    ran = run(host, "sweep")
    assert ran.returncode == 1 and "is not valid JSON" in ran.stderr
    assert path.read_text() == "{"


def test_a_night_has_one_date() -> None:
    at = NOW.replace(hour=23, minute=30)
    assert {sweep_report.night(at), sweep_report.night(at.replace(day=22, hour=4))} == {"2026-11-21"}
    assert sweep_report.night(at.replace(day=22, hour=23)) == "2026-11-22"


def test_reload_checks_before_it_tells(host: EngineHost) -> None:
    host.set(daemon=QUICK | {"watch": "1h"})
    ran = run(host, "reload")
    assert ran.returncode == 2 and "no daemon runs here" in ran.stderr
    with host.program.daemon():
        deployed(host)
        spec = host.home / "etc" / "apps" / f"{host.name}.yaml"
        good = spec.read_text()
        spec.write_text("name: 7\n")
        ran = run(host, "reload")
        assert ran.returncode == 2 and f"{spec}:1: name" in ran.stderr
        assert not any(line["event"] == "reloaded" for line in host.observed.log())
        spec.write_text(good)
        assert run(host, "reload").returncode == 0
        until(lambda: any(line["event"] == "reloaded" for line in host.observed.log()), 20)


def test_units_are_written_once_and_nobody_elses_is_replaced(tmp_path: Path) -> None:
    base = [sys.executable, "-m", "reconciler", "install-units", "--into", str(tmp_path), "--program", "/opt/ci-warm"]

    def install() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(base, capture_output=True, text=True, timeout=60)

    assert install().stdout.count("wrote ") == len(units.NAMES)
    assert "ExecStart=/opt/ci-warm run" in (tmp_path / "ci-warm.service").read_text()
    assert install().stdout.count("wrote ") == 0
    (tmp_path / "ci-warm.target").unlink()
    (tmp_path / "ci-warm.target").symlink_to("/dev/null")
    ran = install()
    assert ran.returncode == 2 and "masked" in ran.stderr
    assert os.readlink(tmp_path / "ci-warm.target") == "/dev/null"
    bad = subprocess.run([*base[:-1], "with space"], capture_output=True, text=True, timeout=60)
    assert bad.returncode == 2 and "absolute path" in bad.stderr
