"""An engine that is away, hangs, dies, is no manager, answers 503 or nonsense: one clear error, nothing done."""

import contextlib
import json
import os
import signal
import socketserver
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.swarm.engine import SwarmEngine
from reconciler.model.errors import ActError, ObserveError
from reconciler.model.ids import StackName
from reconciler.model.settings import Limits
from tests.conftest import missing, private_dockerd
from tests.hosts.engine_host import V1, engine_host
from tests.waiting import until

GOOD_INFO = {"Swarm": {"LocalNodeState": "active", "ControlAvailable": True, "NodeID": "n"}, "ServerVersion": "20.10"}


class _Handler(BaseHTTPRequestHandler):
    answers: dict[str, tuple[int, Any]]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        path = "/" + path.split("/", 2)[2] if path.startswith("/v1.") else path
        status, body = self.answers.get(path, (200, []))
        if body == "cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[{")
            self.close_connection = True
            return
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        return

    def address_string(self) -> str:
        return "unix"


@contextlib.contextmanager
def stub(tmp_path: Path, **answers: tuple[int, Any]) -> Iterator[SwarmEngine]:
    """An engine that answers as told."""
    table = {"/version": (200, {"ApiVersion": "1.41"}), "/info": (200, GOOD_INFO)}
    table |= {f"/{name}": answer for name, answer in answers.items()}
    handler = type("Handler", (_Handler,), {"answers": table})
    sock = tmp_path / "d.sock"
    with socketserver.ThreadingUnixStreamServer(str(sock), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield SwarmEngine(f"unix://{sock}", Limits(call=2))
        server.shutdown()


WRONG: list[tuple[str, dict[str, tuple[int, Any]], str]] = [
    ("not a swarm", {"info": (200, {"Swarm": {"LocalNodeState": "inactive"}})}, "docker swarm init"),
    ("a worker", {"info": (200, {"Swarm": {"LocalNodeState": "active", "ControlAvailable": False}})}, "manager"),
    ("no leader", {"services": (503, {"message": "The swarm does not have a leader"})}, "does not have a leader"),
    ("an internal error", {"tasks": (500, {"message": "database is locked"})}, "database is locked"),
    ("nonsense", {"services": (200, "<html>")}, "does not answer"),
    ("cut in mid-answer", {"tasks": (200, "cut")}, "does not answer"),
    ("too old", {"version": (200, {"ApiVersion": "1.30"})}, "1.41"),
]


@pytest.mark.parametrize(("name", "answers", "says"), WRONG, ids=[row[0] for row in WRONG])
def test_an_engine_that_cannot_be_read_is_unknown(
    name: str, answers: dict[str, tuple[int, Any]], says: str, tmp_path: Path
) -> None:
    with stub(tmp_path, **answers) as engine, pytest.raises(ObserveError, match=says):
        engine.look()


def test_no_engine_at_all(tmp_path: Path) -> None:
    with pytest.raises(ObserveError, match="no Docker engine answers"):
        SwarmEngine(f"unix://{tmp_path}/nothing.sock", Limits()).look()


def test_a_write_that_fails_is_never_taken_for_done(tmp_path: Path) -> None:
    spec = {"Name": "s_app", "Labels": {}, "Mode": {"Replicated": {"Replicas": 1}}, "TaskTemplate": {}}
    service = {"ID": "x", "Version": {"Index": 1}, "Spec": spec}
    with stub(tmp_path, services=(200, [service])) as engine, pytest.raises(ActError):
        engine.undeploy(StackName("s"))


@pytest.mark.swarm
def test_a_frozen_and_a_killed_engine_are_unknown_and_nothing_is_lost(tmp_path: Path) -> None:
    """A dockerd of our own in its own network namespace, so that freezing it harms no other test."""
    if os.geteuid() != 0:
        missing("this test needs root")
    folder = Path(tempfile.mkdtemp(prefix="cw"))  # socket paths must be short
    space = f"cw{os.getpid()}"
    subprocess.run(["ip", "netns", "add", space], check=True)
    try:
        subprocess.run(["ip", "-n", space, "link", "set", "lo", "up"], check=True)
        prefix = ["nsenter", f"--net=/run/netns/{space}"]
        with private_dockerd(folder, prefix=prefix) as (host, daemon), engine_host(tmp_path / "host", "swarm") as made:
            subprocess.run(["docker", "-H", host, "swarm", "init", "--advertise-addr", "127.0.0.1"], check=True)
            settings = {"engine": "swarm", "docker_host": host, "git": {"allow_file": True}, "limits": {"call": "2s"}}
            (made.home / "etc" / "config.yaml").write_text(json.dumps(settings))
            made.release(V1)
            engine = SwarmEngine(host, Limits(call=2))
            assert engine.look().engine.startswith("docker ")
            daemon.send_signal(signal.SIGSTOP)
            assert made.program.reconcile() == "unknown"
            daemon.send_signal(signal.SIGCONT)
            until(lambda: engine.look().node_id, 20)
            daemon.kill()
            daemon.wait()
            assert made.program.reconcile() == "unknown"
            assert [alert.reason for alert in made.observed.alerts()] == ["engine-unknown"]
            assert not (made.state / made.name / "known_good.json").exists()
            (made.home / "etc" / "config.yaml").write_text('{"engine": "swarm", "git": {"allow_file": true}}')
    finally:
        subprocess.run(["ip", "netns", "del", space], check=False)


@pytest.mark.swarm
def test_an_engine_that_is_restarted_in_the_middle_of_a_run_leaves_nothing_of_it(tmp_path: Path) -> None:
    """The run ends as it ends; when it is over, or the reaper has passed, its stack is gone."""
    if os.geteuid() != 0:
        missing("this test needs root")
    folder = Path(tempfile.mkdtemp(prefix="cw"))
    with _space() as prefix, engine_host(tmp_path / "host", "swarm", extra={"kind": "canonical"}) as made:
        with private_dockerd(folder, prefix=prefix) as (host, daemon):
            argv = ["docker", "-H", host, "swarm", "init", "--advertise-addr", "127.0.0.1"]
            subprocess.run(argv, check=True, capture_output=True)
            made.set(docker_host=host, limits={"call": "2s", "new": "120s", "pending": "120s"})
            os.environ["DOCKER_HOST"], before = host, os.environ.get("DOCKER_HOST", "")
            try:
                made.release(V1)
                child = subprocess.Popen(made.program.argv("cold", made.name), stdout=subprocess.DEVNULL)
                engine = SwarmEngine(host, Limits(call=2))
                until(lambda: engine.look().stacks, 60, "the run's stack is there")
                daemon.terminate()
                daemon.wait(60)
            finally:
                os.environ["DOCKER_HOST"] = before
            with private_dockerd(folder, prefix=prefix) as (again, _):
                assert again == host
                child.wait(180)
                until(lambda: made.program.command("runs", "reap").returncode == 0 and not made.observed.left(), 120)
                [report] = made.program.build().runs.reports()
                assert report.torn_down and engine.look().stacks == {}
                made.images.clear()
        made.set(docker_host=None)


@contextlib.contextmanager
def _space() -> Iterator[list[str]]:
    """A network namespace of its own: what to enter it with."""
    name = f"cw{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield ["nsenter", f"--net=/run/netns/{name}"]
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)
