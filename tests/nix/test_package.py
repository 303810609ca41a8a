"""The package installed as packagers do it, and run: the daemon, its test runs, and all else that starts a process.

PYTHONPATH is not set, the interpreter is bare: only the program itself knows where the package is.
"""

import json
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.engine_host import V1, V2, EngineHost, engine_host
from tests.nix import installed
from tests.runs.scenes import state, whole
from tests.waiting import until

FAST = {"interval": "1s", "jitter": "0s", "watch": "100ms", "event_gap": "100ms"}
QUICK = {"min_healthy": "100ms", "successes": 1}


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert installed.knows_us_not(), f"{installed.BARE} has the package installed: nothing would be seen here"
    return tmp_path_factory.mktemp("prefix")


@pytest.fixture(scope="module")
def programs(prefix: Path) -> dict[str, tuple[str, ...]]:
    """How each kind of installation is called."""
    wrapped = installed.wrapped(installed.here(prefix / "wrapped"))
    archive = installed.archived(prefix, prefix / "wrapped" / "libraries")
    return {
        "wrapper": (str(wrapped),),
        "inner": (str(wrapped.with_name(".ci-warm-wrapped")),),
        "zipapp": (installed.BARE, str(archive)),
    }


@pytest.fixture(params=["wrapper", "inner", "zipapp"])
def program(
    request: pytest.FixtureRequest,
    programs: dict[str, tuple[str, ...]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[str, ...]:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir("/")
    return programs[str(request.param)]


@pytest.fixture
def host(tmp_path: Path, program: tuple[str, ...]) -> Iterator[EngineHost]:
    """One canonical, cold, on the embedded engine."""
    with engine_host(
        tmp_path / "host", "embedded", extra={"kind": "canonical"}, health=QUICK, executable=program
    ) as made:
        made.set(daemon=FAST, fetch_every="1s", monitor={"listen": "off"})
        made.release(V1, SCHEMA="1")
        made.release(V2, SCHEMA="2")
        yield made
        made.observed.check()


def test_a_cold_canonical_is_seeded_by_the_daemon(host: EngineHost) -> None:
    with host.program.daemon() as daemon:
        until(lambda: whole(host) == V2 or daemon.poll() is not None, 60, "the canonical is seeded")
        until(lambda: host.observed.left() == [], 30, "the run is torn down")
        until(lambda: state(host)["status"] == "idle", 30, "it is idle")
    assert host.observed.alerts() == []


def test_a_request_to_test_is_granted_and_done(host: EngineHost) -> None:
    assert host.program.command("canonical", "seed", host.name).returncode == 0
    with host.program.daemon() as daemon:
        until(lambda: (host.state / "requests").is_dir() or daemon.poll() is not None, 30, "the daemon listens")
        asked = {"schema_version": 1, "action": "test", "app": host.name, "comment": "!testme --quick", "by": "forge"}
        (host.state / "requests" / ".wish").write_text(json.dumps(asked))
        (host.state / "requests" / ".wish").rename(host.state / "requests" / "wish.json")
        runs = host.state / "runs"
        until(lambda: any('"green"' in p.read_text() for p in runs.glob("*/run.json") if "quick" in p.read_text()), 60)


def test_every_other_command_that_starts_a_process(host: EngineHost, tmp_path: Path) -> None:
    swept = host.program.command("sweep")
    assert swept.returncode == 0, swept.stdout + swept.stderr
    assert whole(host) == V2 and host.observed.left() == []
    for words in (("canonical", "deploy", host.name), ("canonical", "undeploy", host.name), ("quick", host.name)):
        ran = host.program.command(*words)
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_demo_tells_its_story(program: tuple[str, ...], tmp_path: Path) -> None:
    ran = subprocess.run([*program, "demo"], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_units_name_the_program_that_writes_them(program: tuple[str, ...], tmp_path: Path) -> None:
    ran = subprocess.run([*program, "install-units", "--into", str(tmp_path)], capture_output=True, text=True)
    if len(program) > 1:
        assert ran.returncode == 2 and "--program" in ran.stderr  # systemd cannot start an archive by itself
        return
    assert ran.returncode == 0, ran.stderr
    text = (tmp_path / "ci-warm.service").read_text()
    [path] = [line.split("=")[1].split()[0] for line in text.splitlines() if line.startswith("ExecStart=")]
    assert path == str(Path(program[0]).with_name("ci-warm")) and Path(path).stat().st_mode & stat.S_IXUSR


@pytest.mark.parametrize("program", ["wrapper"], indirect=True)
def test_a_run_that_ends_without_a_report_is_an_alert_until_one_begins(host: EngineHost) -> None:
    """The program is replaced while the daemon runs, as by a broken upgrade."""
    home = host.home.parent / "copy"
    folder = Path(host.program.executable[-1]).parent
    shutil.copytree(folder, home)
    copied, inner = home / "ci-warm", home / ".ci-warm-wrapped"
    # What is started says what it is, and not who started it.
    inner.write_text(inner.read_text().replace(str(folder / "ci-warm"), str(copied)))
    copied.write_text(f'#!/bin/sh\ncase "$*" in *seed*) exit 3;; esac\nexec {inner} "$@"\n')
    right, host.program.executable = host.program.executable, (str(copied),)
    with host.program.daemon():
        until(lambda: [a.reason for a in host.observed.alerts()] == ["run-lost"], 30, "an alert tells of it")
        [alert] = host.observed.alerts()
        assert alert.app == host.name and "ended with 3 and no report" in alert.evidence[0]
        assert str(copied) in alert.evidence[0] and "canonical seed" in alert.evidence[0]
    host.program.executable = right
    assert host.program.reconcile().startswith("seeding") and [a.reason for a in host.observed.alerts()] == ["run-lost"]
    assert host.program.command("canonical", "seed", host.name).returncode == 0
    assert host.observed.alerts() == []
