"""Every command that has --json prints what its published schema says, and each document says its version."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from reconciler.cli import common
from reconciler.cli.commands import TABLE
from reconciler.cli.main import program
from tests.hosts.engine_host import V1, V2, EngineHost, engine_host
from tests.json_schema import problems
from tests.waiting import until

SCHEMAS = Path(__file__).parents[2] / "state-schema"
ELSEWHERE = {"realm list", "realm reap"}
"""Need a Keycloak: tests/live/test_realms.py."""

GROUPS = [name for listed in TABLE.values() for name, entry in listed.items() if entry.at.endswith(":group")]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EngineHost]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    options = dict(vars(common.OPTIONS))
    with engine_host(tmp_path / "host", "embedded") as made:
        made.release(V1)
        yield made
    vars(common.OPTIONS).update(options)
    for number, handler in before.items():
        signal.signal(number, handler)


class Commands:
    """Runs commands in this process and checks what they print; remembers which."""

    def __init__(self, host: EngineHost) -> None:
        self.host = host
        self.ran: set[str] = set()

    def __call__(self, words: str, schema: str, code: int = 0) -> Any:
        parts = words.split()
        argv = self.host.program.argv(*parts, "--json")[len(self.host.program.executable) :]
        done = CliRunner().invoke(program, argv)
        assert done.exit_code == code, (words, done.stdout, done.stderr, done.exception)
        document = json.loads(done.stdout)
        published = json.loads((SCHEMAS / f"{schema}.schema.json").read_text())
        assert list(problems(document, published, published)) == [], words
        rows = document if isinstance(document, list) else [document]
        assert all(row["schema_version"] == 1 for row in rows), words
        self.ran.add(" ".join(parts[: 2 if parts[0] in GROUPS else 1]))
        return document


def commands_with_json() -> set[str]:
    """Every command that takes --json, as it is typed."""

    def walk(command: Any, path: tuple[str, ...]) -> Iterator[str]:
        for name, child in getattr(command, "commands", {}).items():
            yield from walk(child, (*path, name))
        if any("--json" in parameter.opts for parameter in command.params):
            yield " ".join(path)

    return set(walk(typer.main.get_command(program), ()))


def test_every_document_is_what_its_schema_says(host: EngineHost, tmp_path: Path) -> None:
    run = Commands(host)
    config = host.program.config
    (tmp_path / "abra").mkdir()
    (tmp_path / "abra" / "x.env").write_text("TYPE=blog\nDOMAIN=blog.example.org\nA_CMDS=x\n")
    run("validate", "printed_validate")
    assert run("plan", "printed_plan", 20)[0]["to"] == V1
    run("reconcile", "printed_reconcile")
    run("snapshot list", "printed_snapshots")
    host.release(V2)
    run("suspend notes --until 2h --reason away", "printed_suspend")
    held = run("reconcile", "printed_reconcile")
    assert held[0]["holds"]
    assert run("resume notes", "printed_resume")["resumed"] is True
    run("reconcile", "printed_reconcile")
    run("explain notes", "printed_explain")
    run("logs notes", "printed_logs")
    run("wait notes --for healthy", "printed_wait")
    run("preflight notes", "printed_preflight")
    run("snapshot list", "printed_snapshots")
    run("snapshot verify notes", "printed_snapshot_verify")
    run("snapshot drill notes", "printed_snapshot_drill")
    run(f"snapshot export notes {tmp_path}/s.tar", "printed_snapshot_export")
    run("rollback notes --yes --reason slow", "printed_rollback")
    [alert] = run("alerts list", "printed_alerts")
    run(f"alerts show {alert['name']}", "printed_alert")
    host.set(relay={"command": ["true"]})
    run("alerts relay", "printed_alert_relay")
    run(f"alerts ack {alert['name']}", "printed_alert_ack")
    assert run("retry notes", "printed_retry")["forgotten"] == 1
    host.release("2.0.0+6.0.0")
    run("plan", "printed_plan", 21)
    run("approve notes 2.0.0+6.0.0 --reason read", "printed_approve")
    run("undeploy notes --yes --reason move", "printed_undeploy")
    run("snapshot create notes", "printed_snapshot")
    run("snapshot restore notes --yes", "printed_snapshot_restore")
    run("status", "printed_status")
    run("history", "printed_history")
    run("history --stats", "printed_history_stats")
    run("history --days 3", "printed_history_days")
    run("gc --dry-run", "printed_gc")
    run("doctor", "printed_doctor")
    run(f"install-units --into {tmp_path} --program /opt/ci-warm", "printed_init")
    host.set(daemon={"interval": "60s"}, monitor={"listen": "off"})
    with host.program.daemon():
        until(lambda: (host.state / "daemon.lock").exists() and "pass" in host.program.daemon_log.read_text(), 20)
        run("reload", "printed_reload")
        until(lambda: '"reloaded"' in host.program.daemon_log.read_text(), 20)
    run(f"import abra {tmp_path}/abra --recipes https://git.example.org/{{recipe}}", "printed_drafts")
    (config.parent / "apps" / "blog.yaml").unlink()
    before = config.read_text()
    config.unlink()
    run("init", "printed_init")
    config.write_text(before)
    with engine_host(tmp_path / "other", "embedded", extra={"kind": "canonical", "domain": ""}) as other:
        other.release(V1)
        run.host = other
        check_recipe(other, run)
    assert commands_with_json() - run.ran == ELSEWHERE


def check_recipe(host: EngineHost, run: Commands) -> None:
    """What is about a recipe that is tested."""
    host.set(sweep={"cold": False})
    run("canonical list", "printed_canonicals")
    run("canonical seed notes", "printed_run")
    run("canonical seed notes --if-cold", "printed_canonical_warm")
    run("canonical deploy notes", "printed_canonical_deploy")
    run("canonical undeploy notes --restore", "printed_canonical")
    run("cold notes", "printed_run")
    host.release(V2)
    run("quick notes", "printed_run")
    [report, *_] = run("runs list", "printed_runs")
    run(f"runs show {report['run']}", "printed_run")
    run("runs reap", "printed_runs_reap")
    run("sweep", "printed_sweep")


def test_the_checker_finds_what_is_not_as_the_schema_says() -> None:
    schema = json.loads((SCHEMAS / "printed_resume.schema.json").read_text())
    good = {"schema_version": 1, "app": "a", "resumed": True}
    assert list(problems(good, schema, schema)) == []
    for wrong in ({"resumed": 1}, {"app": None}, {"schema_version": 2}, {"more": 1}):
        assert list(problems({**good, **wrong}, schema, schema)), wrong
    assert list(problems({"app": "a"}, schema, schema))
