"""What people ask that is not quite right, and what they are told."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.engine_host import V1, V2, EngineHost, engine_host
from tests.waiting import until


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EngineHost]:
    with engine_host(tmp_path / "host", "embedded") as made:
        made.release(V1)
        assert made.program.reconcile() == f"deployed:{V1}"
        yield made


def run(host: EngineHost, *args: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(host.program.argv(*args), capture_output=True, text=True, timeout=60)


def test_validate_tells_settings_and_specs_at_once(host: EngineHost) -> None:
    host.set(nonsense=1)
    (host.home / "etc" / "apps" / "x.yaml").write_text("name: 7\n")
    ran = run(host, "validate")
    host.set(nonsense=None)
    (host.home / "etc" / "apps" / "x.yaml").unlink()
    assert ran.returncode == 2
    assert "config.yaml:1: nonsense" in ran.stderr and "x.yaml:1: name" in ran.stderr


def test_unknown_names_are_exit_2(host: EngineHost) -> None:
    for args in (("history", "nosuch"), ("alerts", "ack", "nosuch"), ("alerts", "show", "nosuch")):
        ran = run(host, *args)
        assert (ran.returncode, "nosuch" in ran.stderr) == (2, True), args


def test_an_approval_that_will_not_help_says_so(host: EngineHost) -> None:
    host.release(V2, FAIL="after")
    assert host.program.reconcile() == f"rolled-back:{V2}->{V1}"
    ran = run(host, "approve", "notes", V2, "--reason", "try")
    assert ran.returncode == 0 and "in quarantine" in ran.stderr
    ran = run(host, "approve", "notes", V1, "--reason", "back")
    assert "changed settings of it alone" in ran.stderr
    host.release("0.9.0+4.9.0")
    assert host.program.reconcile() == f"held-quarantined:{V1}->{V2}"
    ran = run(host, "approve", "notes", "0.9.0+4.9.0", "--reason", "back")
    assert "not newer than" in ran.stderr
    explained = json.loads(run(host, "explain", "notes", "--json").stdout)
    assert explained["approved"] == [V2, V1, "0.9.0+4.9.0"]


def test_a_rollback_by_hand_is_not_told_as_a_failure_to_verify(host: EngineHost) -> None:
    host.release(V2)
    assert host.program.reconcile() == f"upgraded:{V1}->{V2}"
    assert run(host, "rollback", "notes", "--reason", "slow since tuesday", "--yes").returncode == 0
    [alert] = host.observed.alerts()
    assert alert.evidence[0].endswith("slow since tuesday") and alert.evidence[0].startswith("rolled back by ")


def _lose(host: EngineHost) -> str:
    """Lose the app with its data; what a pass says of it."""
    engine = host.program.build().ports.engine
    engine.undeploy(host.stack)
    shutil.rmtree(host.observed.data().parent)
    [outcome] = json.loads(run(host, "reconcile", "notes", "--json").stdout)
    assert outcome["result"] == f"held-volumes-changed:{host.observed.known()}"
    return " ".join(outcome["evidence"])


def test_data_that_is_gone_comes_back_as_the_evidence_says(host: EngineHost) -> None:
    assert "there is no snapshot" in _lose(host)
    engine = host.program.build().ports.engine
    engine.create_volume(host.stack, f"{host.stack}_data")
    assert host.program.reconcile() == f"deployed:{V1}"
    host.release(V2, SCHEMA="2", FAIL="after")
    before = host.observed.notes()
    assert host.program.reconcile() == f"rolled-back:{V2}->{V1}"
    assert "ci-warm snapshot restore notes brings back those of 20" in _lose(host)
    assert run(host, "snapshot", "restore", "notes", "--yes").returncode == 0
    assert host.program.reconcile() == f"deployed:{V1}"
    assert host.observed.notes() == before
    host.release("1.0.2+5.0.2", SCHEMA="2")
    assert host.program.reconcile() == f"upgraded:{V1}->1.0.2+5.0.2"
    assert f"ci-warm rollback notes brings back {V1} with its data" in _lose(host)
    ran = run(host, "snapshot", "restore", "notes", "--yes")
    assert ran.returncode == 2 and "ci-warm rollback notes brings back both" in ran.stderr
    assert run(host, "rollback", "notes", "--reason", "the data is gone", "--yes").returncode == 0
    assert (host.observed.known(), host.observed.notes()) == (V1, before)


def test_status_says_since_when_and_watches(host: EngineHost) -> None:
    host.release("2.0.0+6.0.0")
    assert host.program.reconcile().startswith("held-major")
    line = next(line for line in run(host, "status").stdout.splitlines() if line.startswith("notes"))
    assert "major" in line and f"{host.observed.alerts()[0].first_at:%Y-%m-%d %H:%M}" in line
    log = host.home / "watch.log"
    with log.open("wb") as out:
        # Where the tests run in the background, SIGINT is ignored and children would inherit that.
        argv = ["env", "--default-signal=INT", *host.program.argv("status", "--watch")]
        process = subprocess.Popen(argv, stdout=out)
        until(lambda: log.read_text().count("last pass") == 1, 20)
        host.program.reconcile()
        until(lambda: log.read_text().count("last pass") == 2, 20)
        process.send_signal(2)
        assert process.wait(20) == 0


@pytest.mark.parametrize("how", ["option", "environment"])
def test_local_tags_decide_when_nothing_is_fetched(how: str, host: EngineHost) -> None:
    host.release(V2)
    words = ["reconcile", "--no-fetch"] if how == "option" else ["reconcile"]
    env = os.environ | ({"CI_WARM_SKIP_FETCH": "1"} if how == "environment" else {})
    ran = subprocess.run(host.program.argv(*words), capture_output=True, text=True, timeout=60, env=env)
    assert "notes noop-healthy" in ran.stdout
    assert f"notes upgraded:{V1}->{V2}" in run(host, "reconcile").stdout
