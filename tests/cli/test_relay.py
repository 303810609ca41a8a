"""`ci-warm alerts relay`: through a command, and through Apprise to a real HTTP server."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.engine_host import V1, V2, EngineHost, engine_host
from tests.waiting import until


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EngineHost]:
    with engine_host(tmp_path / "host", "embedded") as made:
        made.release(V1)
        assert made.program.reconcile() == f"deployed:{V1}"
        yield made


def relay(host: EngineHost) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(host.program.argv("alerts", "relay"), capture_output=True, text=True, timeout=60)


def told(host: EngineHost) -> list[dict[str, Any]]:
    path = host.home / "told"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def to_a_file(host: EngineHost) -> None:
    code = f"import sys; open({str(host.home / 'told')!r}, 'a').write(sys.stdin.read() + '\\n')"
    host.set(relay={"command": [sys.executable, "-c", code]})


def test_each_alert_is_told_once_and_its_end_too(host: EngineHost) -> None:
    to_a_file(host)
    assert relay(host).stdout == "nothing new to tell\n"
    host.release(V2, FAIL="after")
    assert host.program.reconcile() == f"rolled-back:{V2}->{V1}"
    ran = relay(host)
    assert ran.returncode == 0 and "told: warning: notes rollback" in ran.stdout
    assert relay(host).stdout == "nothing new to tell\n"
    doctor = subprocess.run(host.program.argv("doctor"), capture_output=True, text=True, timeout=60)
    assert (doctor.returncode, doctor.stdout.splitlines()[-1:]) == (0, ["nothing found"])
    assert sorted(path.name for path in (host.state / "alerts").glob(".relayed*")) == [".relayed.json"]
    [first] = told(host)
    assert first["title"] == "warning: notes rollback" and f"{V1} -> {V2}" in first["body"]
    assert first["alert"]["attempted"] == V2
    host.release("1.0.2+5.0.2")
    assert host.program.reconcile() == f"upgraded:{V1}->1.0.2+5.0.2"
    relay(host)
    assert [message["title"] for message in told(host)] == ["warning: notes rollback", "resolved: notes rollback"]
    assert relay(host).stdout == "nothing new to tell\n"


def test_what_is_not_taken_is_tried_again_and_blocks_nothing(host: EngineHost) -> None:
    false = str(shutil.which("false"))
    host.set(relay={"command": [false]})
    host.release(V2, FAIL="after")
    assert host.program.reconcile() == f"rolled-back:{V2}->{V1}"
    for _ in range(2):
        ran = relay(host)
        assert ran.returncode == 1 and f"{false} ended with 1" in ran.stderr
    assert len(host.observed.alerts()) == 1
    to_a_file(host)
    assert relay(host).returncode == 0 and len(told(host)) == 1


def test_what_the_command_writes_is_not_for_root_alone(host: EngineHost) -> None:
    made = host.home / "outbox"
    host.set(relay={"command": ["mkdir", str(made)]})
    host.release(V2, FAIL="after")
    host.program.reconcile()
    assert relay(host).returncode == 0
    assert made.stat().st_mode & 0o777 == 0o755


def test_apprise_delivers_to_a_real_server(host: EngineHost) -> None:
    heard: list[dict[str, Any]] = []

    class Server(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002 - the base's name

    server = HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    addresses = host.home / "addresses"
    addresses.write_text(f"# where\njson://127.0.0.1:{server.server_port}/hook\n")
    host.set(relay={"apprise_file": str(addresses)})
    host.release("2.0.0+6.0.0")
    assert host.program.reconcile().startswith("held-major")
    assert relay(host).returncode == 0
    server.shutdown()
    assert [message["title"] for message in heard] == ["ci-warm warning: notes held-major"]
    assert relay(host).stdout == "nothing new to tell\n"


def test_the_daemon_tells_by_itself(host: EngineHost) -> None:
    to_a_file(host)
    merged = json.loads((host.home / "etc" / "config.yaml").read_text())["relay"] | {"every": "200ms"}
    host.set(relay=merged, fetch_every="1s", daemon={"interval": "1s", "jitter": "0s"})
    host.release("2.0.0+6.0.0")
    with host.program.daemon():
        until(lambda: told(host), 30, "a receiver was told")
    assert told(host)[0]["title"] == "warning: notes held-major"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "no receiver of alerts"),
        ({"apprise_file": "/nonexistent"}, "/nonexistent"),
        ({"command": "mail me"}, "relay.command"),
        ({"apprise_file": "relative"}, "relay.apprise_file"),
    ],
)
def test_settings_that_name_nobody(host: EngineHost, settings: dict[str, Any], says: str) -> None:
    host.release("2.0.0+6.0.0")
    host.program.reconcile()
    host.set(relay=settings)
    ran = relay(host)
    host.set(relay=None)
    assert ran.returncode == 2 and says in ran.stderr


def test_marks_that_are_torn_are_told_and_kept(host: EngineHost) -> None:
    to_a_file(host)
    marks = host.state / "alerts" / ".relayed.json"
    marks.write_text("{")
    ran = relay(host)
    assert ran.returncode == 1 and "is not valid JSON" in ran.stderr and marks.read_text() == "{"
