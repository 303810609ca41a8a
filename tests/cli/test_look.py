"""`logs`, `wait`, `rollback --to`, `history --days`: what an app says, when it is as wanted, and how it was."""

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.demo import recipes
from tests.hosts.engine_host import V1, V2, V3, EngineHost, engine_host
from tests.waiting import until

CANARY = "canary-4711-secret"
COMPOSE = recipes.compose("IMAGE", stateful=True).replace("GREETING=${GREETING:-hello}", "DB_PASSWORD=${DB_PASSWORD}")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EngineHost]:
    with engine_host(tmp_path / "host", "embedded", extra={"env": {"DB_PASSWORD": CANARY}}) as made:
        made.release(V1, compose=COMPOSE)
        made.deploy_first()
        yield made


def run(host: EngineHost, *args: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
    ran = host.program.command(*args)
    assert ran.returncode == code, (args, ran.stdout, ran.stderr)
    assert CANARY not in ran.stdout + ran.stderr
    return ran


def test_logs_of_a_failed_release_are_there_when_its_containers_are_gone(host: EngineHost) -> None:
    assert "has left a log here" in run(host, "logs", "notes", "--failed", code=2).stderr
    host.release(V2, SCHEMA="2", FAIL="after")
    run(host, "reconcile", code=1)
    ran = run(host, "logs", "notes", "--failed")
    assert "app | failing after the migration, as told" in ran.stdout
    assert f"notes {V2}, which failed 20" in ran.stderr
    assert len(run(host, "logs", "notes", "--failed", "--lines", "1").stdout.splitlines()) == 1
    [log] = (host.state / "notes" / "logs").glob("*.log")
    log.write_text(f"--- app\nthe password is {CANARY}\n")
    assert "the password is ***" in run(host, "logs", "notes", "--failed").stdout
    log.unlink()
    assert "is no longer kept" in run(host, "logs", "notes", "--failed", code=2).stderr


def test_waits_for_what_is_there_and_says_why_it_never_comes(host: EngineHost) -> None:
    run(host, "wait", "notes", "--for", "healthy")
    run(host, "wait", "notes", "--for", "converged")
    assert f"notes: {V1} after" in run(host, "wait", "notes", "--for", V1).stdout
    host.release(V2, FAIL="after")
    late = run(host, "wait", "notes", "--for", V2, "--timeout", "600ms", code=1)
    assert f"error: notes is not {V2} after 0." in late.stderr
    run(host, "reconcile", code=1)
    assert "in quarantine" in run(host, "wait", "notes", "--for", V2, code=1).stderr, "at once, not after 10 m"
    for args in (["--for", "well"], ["--for", "healthy", "--timeout", "soon"]):
        run(host, "wait", "notes", *args, code=2)
    host.program.build().ports.engine.undeploy(host.stack)
    assert "absent" in run(host, "wait", "notes", "--for", "healthy", "--timeout", "300ms", code=1).stderr


def test_waits_for_a_daemon_that_takes_the_release(host: EngineHost) -> None:
    host.set(daemon={"interval": "1s", "jitter": "0s"}, fetch_every="1s", monitor={"listen": "off"})
    with host.program.daemon():
        host.release(V2, SCHEMA="2", compose=COMPOSE)
        assert f"notes: {V2} after" in run(host, "wait", "notes", "--for", V2, "--timeout", "60s").stdout
    assert host.observed.known() == V2


def test_goes_back_only_where_the_kept_data_belongs(host: EngineHost) -> None:
    for version in (V2, V3):
        host.release(version, compose=COMPOSE)
        run(host, "reconcile")
    words = ("rollback", "notes", "--yes", "--reason", "x", "--to")
    before = host.observed.digest()
    assert f"can go back to {V2} only: its data is kept" in run(host, *words, V1, code=2).stderr
    assert "is what runs" in run(host, *words, V3, code=2).stderr
    assert (host.observed.known(), host.observed.digest()) == (V3, before)
    assert f"rolled-back:{V3}->{V2}" in run(host, *words, V2).stdout


def test_a_bar_a_day_on_a_terminal_and_columns_in_a_pipe(host: EngineHost) -> None:
    lines = run(host, "history", "--days", "3").stdout.splitlines()
    assert len(lines) == 3 and lines[-1].split()[1:] == ["1", "deployed", "1"] and lines[0].split()[1:] == ["0"]
    assert "█" not in "".join(lines)


def test_a_stop_says_what_was_waited_for(host: EngineHost) -> None:
    argv = host.program.argv("wait", "notes", "--for", V3)
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    waiting = f"/proc/{process.pid}/status"
    # From the moment at which it catches SIGTERM.
    until(lambda: int(re.findall(r"SigCgt:\s*(\w+)", Path(waiting).read_text())[0], 16) & 0x4000 != 0, 30)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1 and "Traceback" not in said
    assert f"notes: waiting until it is {V3}" in said, said
