"""The commands as an operator types them: results, --json, exit codes, and no secret in any output."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.demo import recipes
from tests.hosts.engine_host import V1, V2, EngineHost, engine_host
from tests.hosts.program import as_installed

PROGRAM = as_installed()
CANARY = "canary-4711-secret"
COMPOSE = recipes.compose("IMAGE", stateful=True).replace("GREETING=${GREETING:-hello}", "DB_PASSWORD=${DB_PASSWORD}")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EngineHost]:
    with engine_host(tmp_path / "host", "embedded", extra={"env": {"DB_PASSWORD": CANARY}}) as made:
        made.release(V1, SCHEMA="1", compose=COMPOSE)
        yield made


class Ran:
    def __init__(self, done: "subprocess.CompletedProcess[str]") -> None:
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        assert CANARY not in self.out + self.err, "a secret in the output"

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def ci_warm(host: EngineHost, *args: str, code: int = 0) -> Ran:
    argv = [*PROGRAM, "--config", str(host.home / "etc" / "config.yaml"), "--state-dir", str(host.state), *args]
    ran = Ran(subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False))
    assert ran.code == code, (args, ran.code, ran.out, ran.err)
    return ran


def test_a_whole_life(host: EngineHost) -> None:
    assert "fine: 1 specs (notes)" in ci_warm(host, "validate").out
    [planned] = ci_warm(host, "plan", "--json", code=20).json
    assert (planned["action"], planned["to"], planned["holds"]) == ("deploy", V1, [])
    assert ci_warm(host, "reconcile").out == f"RECONCILE RESULT: notes deployed:{V1}\n"
    assert "noop-healthy" in ci_warm(host, "plan").out
    host.release("2.0.0+6.0.0", notes="Breaking change: read this")
    [held] = ci_warm(host, "plan", "--json", code=21).json
    assert [hold["reason"] for hold in held["holds"]] == ["major", "manual-migration"]
    assert ci_warm(host, "reconcile", "--json").json[0]["result"] == f"held-major:{V1}->2.0.0+6.0.0"
    [alert] = ci_warm(host, "alerts", "list", "--json").json
    assert "Breaking change: read this" in ci_warm(host, "alerts", "show", alert["name"]).out
    explained = ci_warm(host, "explain", "notes").out
    assert "why not yet: major" in explained
    assert "ci-warm approve notes 2.0.0+6.0.0" in explained
    assert len(explained.splitlines()) < 25, "one screen"
    assert ci_warm(host, "explain", "notes", "--json").json["known_good"] == V1
    ci_warm(host, "approve", "notes", "2.0.0+6.0.0", "--reason", "read the notes")
    assert f"upgraded:{V1}->2.0.0+6.0.0" in ci_warm(host, "reconcile").out
    assert ci_warm(host, "alerts", "list", "--json").json == []
    assert ci_warm(host, "preflight", "notes", "--json").json["rollback_to"] == V1
    assert "the snapshot is whole" in ci_warm(host, "snapshot", "verify", "notes").out
    assert f"rolled-back:2.0.0+6.0.0->{V1}" in ci_warm(host, "rollback", "notes", "--yes", "--reason", "no").out
    [again] = ci_warm(host, "plan", "--json", code=21).json
    assert "quarantined" in [hold["reason"] for hold in again["holds"]]
    ci_warm(host, "reconcile")
    results = [line["result"].partition(":")[0] for line in ci_warm(host, "history", "--json").json]
    assert results == ["deployed", "upgraded", "rolled-back"]
    assert ci_warm(host, "history", "--stats", "--json").json["counts"] == {
        "deployed": 1,
        "upgraded": 1,
        "rolled-back": 1,
    }
    assert ci_warm(host, "status", "--json").json["apps"][0]["known_good"] == V1
    assert "nothing found" in ci_warm(host, "doctor", "--deep").out
    ci_warm(host, "retry", "notes")
    assert "held-major" in ci_warm(host, "reconcile").out, "an approval is used up"


def test_a_failed_upgrade_is_exit_1_and_no_output_shows_the_secret(host: EngineHost) -> None:
    ci_warm(host, "reconcile")
    host.release(V2, SCHEMA="2", FAIL="after")
    assert f"rolled-back:{V2}->{V1}" in ci_warm(host, "reconcile", code=1).out
    for command in (["status"], ["history"], ["alerts", "list", "--json"], ["explain", "notes"], ["plan"]):
        ci_warm(host, *command, code=21 if command == ["plan"] else 0)
    for path in [*(host.state / "alerts").rglob("*.json"), host.state / "history.jsonl", host.state / "status.json"]:
        assert CANARY not in path.read_text()
    secret_files = [p for p in host.state.rglob("*") if p.is_file() and CANARY.encode() in p.read_bytes()]
    assert secret_files
    assert all(path.stat().st_mode & 0o077 == 0 for path in secret_files)


def test_suspension_holds_and_ends(host: EngineHost) -> None:
    ci_warm(host, "reconcile")
    host.release(V2)
    ci_warm(host, "suspend", "notes", "--reason", "holidays", "--until", "2h")
    assert "held-suspended" in ci_warm(host, "reconcile").out
    assert ci_warm(host, "alerts", "list", "--json").json == []
    assert "resumed" in ci_warm(host, "resume", "notes").out
    assert "was not suspended" in ci_warm(host, "resume", "notes").out
    assert f"upgraded:{V1}->{V2}" in ci_warm(host, "reconcile").out


BAD: list[tuple[list[str], str]] = [
    (["reconcile", "nobody"], "unknown"),
    (["explain", "nobody"], ""),
    (["approve", "notes", "latest", "--reason", "x"], "notes"),
    (["approve", "notes", "9.9.9+9", "--reason", "x"], "notes"),
    (["approve", "notes", V1, "--reason", " "], "notes"),
    (["suspend", "notes", "--reason", "x", "--until", "whenever"], "notes"),
    (["alerts", "show", "nothing"], ""),
    (["suspend", "notes", "--reason", "x", "--until", "99999999999d"], "notes"),
    (["rollback", "notes", "--reason", "x"], "notes"),
    (["retry", "nobody"], "unknown"),
    (["snapshot", "create", "notes"], "notes"),
    (["canonical", "deploy", "notes"], "notes"),
    (["schema", "nothing"], ""),
    (["demo", "--engine", "moon"], ""),
    (["no-such-command"], ""),
    (["alerts", "list", "--no-such-flag"], ""),
    (["approve", "notes"], "unknown"),
    (["reconcile", "--no-such-flag"], "unknown"),
]
"""Command lines, and whom the history line of the refusal is about; '': they change nothing, and there is none."""


@pytest.mark.parametrize(("args", "about"), BAD, ids=[" ".join(args)[:40] for args, _ in BAD])
def test_bad_usage_is_exit_2_with_one_clear_line(host: EngineHost, args: list[str], about: str) -> None:
    ran = ci_warm(host, *args, code=2)
    assert ran.err.strip()
    assert "Traceback" not in ran.err
    path = host.state / "history.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    assert [(line["app"], line["result"]) for line in lines] == ([(about, "aborted")] if about else [])
    assert all(line["action"] in " ".join(args) and len(line["message"]) > 10 for line in lines)


def test_what_cannot_be_put_on_record_stays_exit_2(host: EngineHost) -> None:
    (host.state / "history.jsonl").mkdir()
    ci_warm(host, "approve", "notes", "latest", "--reason", "x", code=2)
    ci_warm(host, "reconcile", "--no-such-flag", code=2)


def test_a_no_and_a_refused_way_back_are_on_record(host: EngineHost) -> None:
    ci_warm(host, "reconcile")
    host.release(V2)
    ci_warm(host, "reconcile")
    ran = ci_warm(host, "rollback", "notes", "--reason", "x", code=1)
    assert "aborted" in ran.err
    lines = ci_warm(host, "history", "--json").json
    assert [line["result"].partition(":")[0] for line in lines] == ["deployed", "upgraded", "aborted"]
    assert "nothing found" in ci_warm(host, "doctor").out, "the line is one like the others"


def test_a_bad_spec_stops_everything_before_it_begins(host: EngineHost) -> None:
    path = host.home / "etc" / "apps" / "zz.yaml"
    path.write_text("name: zz\nrecipe: {url: x}\nstateful: perhaps\nextra: 1\n")
    for command in ("validate", "reconcile", "plan"):
        ran = ci_warm(host, command, code=2)
        assert f"{path}:3: stateful:" in ran.err
        assert f"{path}:4: extra: is not a key we know" in ran.err
    problems = ci_warm(host, "validate", "--json", code=2).json["problems"]
    assert {problem["line"] for problem in problems} == {3, 4}
    path.unlink()


def test_a_busy_app_is_exit_75_and_names_its_holder(host: EngineHost) -> None:
    app = host.program.build()
    held = app.ports.locks.acquire(app.specs[0].app, "the other one")
    ran = ci_warm(host, "reconcile", code=75)
    assert "notes.lock is held by the other one (pid" in ran.err
    ran = ci_warm(host, "suspend", "notes", "--reason", "x", code=75)
    assert str(os.getpid()) in ran.err
    threading.Timer(1.0, held.release).start()
    assert f"deployed:{V1}" in ci_warm(host, "reconcile", "--wait", "20").out


def test_no_specs_at_all_is_loud(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    argv = [*PROGRAM, "--config", str(config), "--state-dir", str(tmp_path / "state"), "reconcile"]
    named = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (named.returncode, "there is no such config file" in named.stderr) == (2, True)
    config.write_text("engine: embedded\n")
    ran = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "nothing to reconcile" in ran.stderr


def test_sigterm_ends_at_a_safe_step_and_the_next_run_goes_on(host: EngineHost) -> None:
    import signal

    from tests.waiting import until

    ci_warm(host, "reconcile")
    host.health["min_healthy"] = "8s"
    host.write_spec()
    host.release(V2, SCHEMA="2")
    argv = [
        *PROGRAM,
        "--config",
        str(host.home / "etc" / "config.yaml"),
        "--state-dir",
        str(host.state),
        "reconcile",
    ]
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    journal = host.state / "notes" / "journal.json"
    until(lambda: journal.exists() and '"step": "settle"' in journal.read_text())
    child.send_signal(signal.SIGTERM)
    _, err = child.communicate(timeout=10)
    assert child.returncode == 1
    assert "stopped at a safe step" in err
    host.health["min_healthy"] = "200ms"
    host.write_spec()
    assert f"upgraded:{V1}->{V2}" in ci_warm(host, "reconcile").out


def test_help_of_every_command_works() -> None:
    top = subprocess.run([*PROGRAM, "--help"], capture_output=True, text=True, check=True).stdout
    commands = (
        "reconcile plan explain status history alerts approve retry suspend resume preflight rollback snapshot "
        "validate doctor schema demo"
    )
    for command in commands.split():
        assert command in top
        subprocess.run([*PROGRAM, command, "--help"], capture_output=True, check=True)


def test_the_demo_keeps_its_promises(tmp_path: Path) -> None:
    ran = subprocess.run([*PROGRAM, "demo", "--folder", tmp_path / "demo"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    assert "All as promised" in ran.stdout
    assert "NOT" not in ran.stdout
    again = subprocess.run(
        [*PROGRAM, "demo", "--folder", tmp_path / "demo"], capture_output=True, text=True, check=False
    )
    assert (again.returncode, "is not empty" in again.stderr) == (2, True)


def test_an_app_is_taken_down_by_hand_and_comes_back(host: EngineHost) -> None:
    ci_warm(host, "reconcile")
    down = ci_warm(host, "undeploy", "notes", "--yes", "--reason", "a new disk", "--json").json
    assert down == {"schema_version": 1, "app": "notes", "version": V1, "problem": None}
    assert f"held-suspended:{V1}" in ci_warm(host, "reconcile").out
    assert "undeployed by" in ci_warm(host, "status", "--json").out
    assert "a new disk" in ci_warm(host, "explain", "notes").out
    ci_warm(host, "snapshot", "create", "notes")
    ci_warm(host, "snapshot", "restore", "notes", "--yes")
    ci_warm(host, "resume", "notes")
    assert f"deployed:{V1}" in ci_warm(host, "reconcile").out
    assert "undeployed" in ci_warm(host, "history").out
    assert "nothing found" in ci_warm(host, "doctor", "--deep").out
