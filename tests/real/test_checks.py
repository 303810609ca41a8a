"""Checks beside the health request, on a real Swarm: a release that answers its page and does not work."""

from pathlib import Path
from typing import Any

import pytest

from tests.hosts.engine_host import V1, V2, EngineHost, engine_host

pytestmark = [pytest.mark.swarm, pytest.mark.usefixtures("swarm")]

SCHEMA = {"name": "schema", "exec": {"run": ["sh", "-c", 'read -r have </data/schema; [ "$have" = 1 ]']}}


def host_with(folder: Path, *checks: dict[str, Any]) -> Any:
    return engine_host(folder / "host", "swarm", health={"checks": list(checks), "deadline": "12s"})


def start(host: EngineHost) -> None:
    host.release(V1, SCHEMA="1")
    host.deploy_first()


def test_a_command_in_a_container_that_fails_brings_version_and_data_back(tmp_path: Path) -> None:
    with host_with(tmp_path, SCHEMA) as host:
        start(host)
        before = host.observed.notes()
        host.release(V2, SCHEMA="2")
        assert host.program.reconcile() == f"rolled-back:{V2}->{V1}", host.observed.alerts()
        assert host.observed.notes() == before
        [alert] = host.observed.alerts()
        assert "check schema: sh in app ended with 1" in str(alert.evidence)


def test_every_kind_of_check_is_asked_of_the_real_thing(tmp_path: Path) -> None:
    program = tmp_path / "check"
    program.write_text('#!/bin/sh\necho "$DOMAIN $STACK" >"$0.asked"\n')
    program.chmod(0o755)
    checks: list[dict[str, Any]] = [
        SCHEMA,
        {"name": "notes", "http": {"path": "/notes", "body": "first note"}},
        {"name": "program", "run": [str(program)]},
        {"name": "nobody", "tcp": {"port": 9}, "required": False, "timeout": "2s"},
    ]
    with host_with(tmp_path, *checks) as host:
        host.health["checks"].append({"name": "port", "tcp": {"port": host.port}})
        host.write_spec()
        start(host)
        domain = f"t{host.mark}.example.test"
        assert Path(f"{program}.asked").read_text().split() == [domain, str(host.stack)]
        [line] = host.program.build().history.lines()
        assert line.message == "check nobody: 127.0.0.1:9: Connection refused (not required)"


def test_a_check_that_fails_later_is_an_alert_and_its_cure_ends_it(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    program = tmp_path / "check"
    program.write_text(f'#!/bin/sh\n[ ! -e {flag} ] || {{ echo "no login"; exit 7; }}\n')
    program.chmod(0o755)
    with host_with(tmp_path, {"name": "login", "run": [str(program)]}) as host:
        start(host)
        flag.touch()
        assert host.program.reconcile() == f"unhealthy:{V1}"
        assert "check login: ended with 7: no login" in str(host.observed.alerts()[0].evidence)
        flag.unlink()
        assert host.program.reconcile() == "noop-healthy"
        assert host.observed.alerts() == []
