"""`ci-warm run` as a real process on the embedded engine."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.demo.host import free_port
from tests.daemon.scenes import QUICK, deployed
from tests.hosts.engine_host import V1, V2, EngineHost, engine_host
from tests.waiting import until


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EngineHost]:
    with engine_host(tmp_path / "host", "embedded") as made:
        made.set(daemon=QUICK, fetch_every="1s", monitor={"listen": f"unix:{tmp_path}/http.sock"})
        made.release(V1)
        yield made


def ask(host: EngineHost, path: str) -> tuple[int, bytes]:
    """One request to the daemon's own socket."""
    line = http.client.HTTPConnection("localhost")
    line.sock = socket.socket(socket.AF_UNIX)
    line.sock.settimeout(20)
    line.sock.connect(str(host.home.parent / "http.sock"))
    line.request("GET", path)
    answer = line.getresponse()
    return answer.status, answer.read()


def quiet(host: EngineHost, passes: int) -> bool:
    """That many passes came to their end since the log began."""
    return len([line for line in host.observed.log() if line["event"] == "pass"]) >= passes


def test_deploys_upgrades_and_heals_on_its_own(host: EngineHost) -> None:
    with host.program.daemon() as process:
        deployed(host)
        host.release(V2)
        deployed(host, V2)
        host.program.build().ports.engine.remove_services(host.stack, ["app"])
        until(lambda: len(host.observed.history()) == 3, 30, "the app is healed")
        assert host.observed.history()[-1] == f"deployed:{V2}"  # its only service was gone
        process.terminate()
        assert process.wait(20) == 0
    assert host.observed.answer() == "5.0.1"
    host.observed.check()


def test_a_converged_host_is_left_alone(host: EngineHost) -> None:
    with host.program.daemon():
        deployed(host)
        until(lambda: quiet(host, 3), 20)
        before = {path: path.stat().st_mtime_ns for path in host.state.rglob("*") if path.is_file()}
        until(lambda: quiet(host, 6), 20)
        moved = {
            path.name
            for path in before
            if path.exists() and path.stat().st_mtime_ns != before[path] and "recipes" not in path.parts
        }
    # The lock files carry their holder; all else that lies there did not move.
    assert moved - {"status.json"} <= {f"{host.name}.lock"}


def test_a_stop_in_mid_upgrade_ends_at_a_safe_step_and_the_next_start_finishes(host: EngineHost) -> None:
    with host.program.daemon():
        deployed(host)
        host.release(V2)
        until(lambda: (host.state / host.name / "journal.json").exists(), 20, "the upgrade begins")
    assert [line["event"] for line in host.observed.log()][-1] == "stopped"
    with host.program.daemon() as process:
        until(lambda: len(host.observed.history()) >= 2, 60, "a terminal outcome")
        until(lambda: not (host.state / host.name / "journal.json").exists(), 60, "the journal is closed")
        process.terminate()
        assert process.wait(20) == 0
    # Stopped before the new version was deployed: back to the old one. After that: to the end.
    ended = {f"aborted:{V1}->{V2}": V1, f"upgraded:{V1}->{V2}": V2}
    assert host.observed.known() == ended[host.observed.history()[1]]
    host.observed.check()


def test_a_second_signal_corrupts_nothing(host: EngineHost) -> None:
    with host.program.daemon() as process:
        deployed(host)
        host.release(V2)
        until(lambda: (host.state / host.name / "journal.json").exists() or host.observed.known() == V2, 20)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            process.send_signal(number)
        assert process.wait(30) == 0
    assert host.program.reconcile().partition(":")[0] in ("noop-healthy", "upgraded", "aborted", "rolled-back")
    host.observed.check()


def test_a_wrong_spec_keeps_what_was_good_and_says_so(host: EngineHost) -> None:
    spec = host.home / "etc" / "apps" / f"{host.name}.yaml"
    good = spec.read_text()
    with host.program.daemon():
        deployed(host)
        spec.write_text("name: [\n")
        [alert] = until(lambda: [a for a in host.observed.alerts() if a.reason == "spec"], 20, "the alert")
        assert str(spec) in alert.evidence[0]
        host.release(V2)
        deployed(host, V2)  # the spec as it was is still followed
        spec.write_text(good)
        until(lambda: not [a for a in host.observed.alerts() if a.reason == "spec"], 20, "the alert is resolved")


def test_a_new_spec_is_taken_up_and_a_wrong_setting_is_not(host: EngineHost) -> None:
    with host.program.daemon() as process:
        deployed(host)
        host.set(interval="never")
        process.send_signal(signal.SIGHUP)
        until(lambda: [a for a in host.observed.alerts() if a.reason == "spec"], 20, "the alert")
        second = json.loads((host.home / "etc" / "apps" / f"{host.name}.yaml").read_text())
        second |= {"name": "idle", "kind": "canonical", "domain": "idle.example.test"}
        (host.home / "etc" / "apps" / "idle.yaml").write_text(json.dumps(second))
        until(lambda: "idle" in (host.state / "status.json").read_text(), 20, "the new app is in the status")
        assert process.poll() is None
        host.set(interval=None)


def test_requests_are_judged_and_hostile_ones_thrown_out(host: EngineHost) -> None:
    host.set(daemon=QUICK | {"interval": "1h"}, fetch_every="1h")
    spool = host.state / "requests"
    with host.program.daemon():
        deployed(host)
        host.release(V2)
        secret = host.home / "secret"
        secret.write_text('{"schema_version": 1, "action": "reconcile"}')
        (spool / "a-link.json").symlink_to(secret)
        os.mkfifo(spool / "b-fifo.json")
        (spool / "c-large.json").write_text("x" * 20_000)
        (spool / "d-shape.json").write_text('{"schema_version": 1, "action": "rm", "app": "notes"}')
        (spool / "e-folder.json").mkdir()
        (spool / ".f").write_text('{"schema_version": 1, "action": "reconcile", "by": "forge"}')
        (spool / ".f").rename(spool / "f-good.json")
        deployed(host, V2)
        until(lambda: not os.listdir(spool), 10, "the spool is empty")
    reasons = (host.state / "requests.rejected" / "reasons.log").read_text().splitlines()
    assert [line.split(":")[0].strip("'")[0] for line in reasons] == list("abcde")
    assert secret.exists()


def test_health_and_metrics(host: EngineHost) -> None:
    with host.program.daemon():
        deployed(host)
        until(lambda: quiet(host, 2), 20)
        code, body = ask(host, "/readyz")
        found = json.loads(body)
        assert (code, found["status"]) == (200, "ready")
        assert set(found["components"]) == {"docker", "state_root", "disk", "git", "passes"}
        assert ask(host, "/healthz") == (200, b"ok\n")
        host.release("2.0.0+6.0.0")
        until(lambda: b'ci_warm_app_hold_age_seconds{app="notes",reason="major"}' in ask(host, "/metrics")[1], 20)
        text = ask(host, "/metrics")[1].decode()
        assert f'ci_warm_app_state{{app="notes",result="held-major",status="out-of-sync",version="{V1}"}} 1.0' in text
        assert 'ci_warm_results_total{app="notes",result="deployed"} 1.0' in text
        assert 'ci_warm_alerts_open{app="notes",reason="held-major",severity="warning"} 1.0' in text
        (host.state / "engine" / "services").rename(host.state / "engine" / "away")
        code, body = ask(host, "/readyz")
        (host.state / "engine" / "away").rename(host.state / "engine" / "services")
        part = json.loads(body)["components"]["docker"]
        assert (code, part["status"], part["error_class"]) == (503, "error", "ObserveError")
        assert "folder is gone" in part["error"]
        assert ask(host, "/etc/passwd")[0] == 404


def test_a_second_daemon_is_refused(host: EngineHost) -> None:
    with host.program.daemon():
        deployed(host)
        second = subprocess.run(host.program.argv("run"), capture_output=True, text=True, timeout=60)
        assert second.returncode == 75
        assert "daemon.lock is held by ci-warm run" in second.stderr


def test_wrong_settings_at_the_start_are_refused(host: EngineHost) -> None:
    host.set(daemon={"interval": "often"})
    ran = subprocess.run(host.program.argv("run"), capture_output=True, text=True, timeout=60)
    assert ran.returncode == 2
    assert "config.yaml" in ran.stderr and "daemon.interval" in ran.stderr
    host.set(daemon=QUICK)


class Manager:
    """A service manager's end of the notify socket. `reads`: one that does not has a queue that is soon full."""

    def __init__(self, folder: Path, *, reads: bool = True) -> None:
        self.path = folder / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.heard: list[dict[str, str]] = []
        if reads:
            threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            text = self.socket.recv(65536).decode()
            self.heard.append(dict(line.split("=", 1) for line in text.splitlines()))

    def hears(self, key: str) -> list[str]:
        return [message[key] for message in list(self.heard) if key in message]


def test_a_service_manager_that_reads_nothing_stops_no_work(host: EngineHost, tmp_path: Path) -> None:
    manager = Manager(tmp_path, reads=False)
    with host.program.daemon(NOTIFY_SOCKET=str(manager.path), WATCHDOG_USEC="1500000"):
        deployed(host)
        host.release(V2)
        deployed(host, V2)


def test_the_service_manager_hears_what_is_done(host: EngineHost, tmp_path: Path) -> None:
    manager = Manager(tmp_path)
    environment = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "1500000"}
    with host.program.daemon(**environment) as process:
        until(lambda: manager.hears("READY"), 20, "READY")
        deployed(host)
        until(lambda: len(manager.hears("WATCHDOG")) >= 3, 20, "signs of life")
        assert any("notes: settle" in text for text in manager.hears("STATUS"))
        until(lambda: manager.hears("STATUS")[-1] == "1 apps", 20)
        process.send_signal(signal.SIGHUP)
        until(lambda: manager.hears("RELOADING") and len(manager.hears("READY")) >= 2, 20, "the reload")
        process.terminate()
        assert process.wait(20) == 0
        assert manager.hears("STOPPING") == ["1"]


def test_lines_for_the_journal_carry_their_priority(host: EngineHost) -> None:
    with host.program.daemon(JOURNAL_STREAM="1:2"):
        deployed(host)
        lines = until(lambda: [x for x in (host.home / "daemon.log").read_text().splitlines() if '"result"' in x], 20)
    assert lines[0].startswith("<6>{")
    parsed: dict[str, Any] = json.loads(lines[0].removeprefix("<6>"))
    assert (parsed["priority"], parsed["app"], bool(parsed["run_id"])) == (6, "notes", True)


def test_figures_on_a_loopback_port_and_in_a_file_for_the_node_exporter(host: EngineHost, tmp_path: Path) -> None:
    port, textfile = free_port(), tmp_path / "ci-warm.prom"
    host.set(monitor={"listen": f"127.0.0.1:{port}", "textfile": str(textfile)})
    with host.program.daemon():
        deployed(host)
        until(textfile.exists, 20)
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        line.request("GET", "/metrics")
        served = line.getresponse().read().decode()
        line.request("POST", "/metrics")
        assert line.getresponse().status == 405
    for text in (served, textfile.read_text()):
        assert "ci_warm_last_pass_timestamp_seconds" in text and "ci_warm_snapshot_bytes" in text


@pytest.mark.parametrize("listen", ["0.0.0.0:9000", "9000", "unix:relative", "127.0.0.1:99999"])
def test_only_the_machine_itself_may_listen(host: EngineHost, listen: str) -> None:
    host.set(monitor={"listen": listen})
    ran = subprocess.run(host.program.argv("run"), capture_output=True, text=True, timeout=60)
    host.set(monitor=None)
    assert ran.returncode == 2 and "monitor.listen" in ran.stderr


def test_gc_says_what_would_go(host: EngineHost) -> None:
    host.set(disk={"image_age": "0s"})
    for tag in (V1, V2, "1.0.2+5.0.2"):
        if tag != V1:
            host.release(tag)
        host.program.reconcile()
    ran = subprocess.run(host.program.argv("gc", "--dry-run", "--json"), capture_output=True, text=True, timeout=60)
    answer = json.loads(ran.stdout)
    assert answer["dry_run"] and [removal["references"] for removal in answer["removed"]] == [[host.images[0]]]
    assert len(host.program.build().ports.engine.inventory().images) == 3
    subprocess.run(host.program.argv("gc"), check=True, timeout=60)
    assert len(host.program.build().ports.engine.inventory().images) == 2
    assert (
        subprocess.run(host.program.argv("rollback", host.name, "--reason", "x", "--yes"), timeout=60).returncode == 0
    )


def test_an_app_that_stays_unwell_after_a_heal_is_one_alert_and_told_as_resolved_only_when_it_answers(
    tmp_path: Path,
) -> None:
    told = tmp_path / "told"
    code = f"import json, sys; open({str(told)!r}, 'a').write(json.loads(sys.stdin.read())['title'] + '\\n')"
    with engine_host(tmp_path / "host", "embedded", health={"deadline": "2s", "progress": "2s"}) as host:
        relay = {"command": [sys.executable, "-c", code], "every": "200ms"}
        host.set(daemon=QUICK, fetch_every="1h", relay=relay)
        host.release(V1)
        with host.program.daemon():
            deployed(host)
            unwell = host.observed.data() / "unwell"
            unwell.touch()
            host.program.build().ports.engine.remove_services(host.stack, ["app"])
            until(lambda: f"unhealthy:{V1}" in host.observed.history(), 30, "the heal has failed")
            passes = len([line for line in host.observed.log() if line["event"] == "pass"])
            until(lambda: quiet(host, passes + 3), 30, "passes that look at the app as it is")
            until(told.exists, 10, "people are told")
            assert set(told.read_text().splitlines()) == {"critical: notes unhealthy"}
            assert [alert.fingerprint for alert in host.observed.alerts()] == [f"notes|unhealthy|{V1}"]
            unwell.unlink()
            until(lambda: "resolved: notes unhealthy" in told.read_text(), 30, "people are told that it is over")
        assert host.observed.alerts() == []
