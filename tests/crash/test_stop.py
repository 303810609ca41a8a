"""A stop is no verdict: it says what it finishes, can be asked for again, and the next start goes on."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.engine_host import V1, V2, EngineHost, engine_host
from tests.waiting import until

MANY = 60_000


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EngineHost]:
    """An app with so many files that its snapshot takes seconds."""
    with engine_host(tmp_path / "host", "embedded") as made:
        made.write_spec(upgrade={"bake": "0s", "copy_ahead": False})
        made.release(V1)
        made.deploy_first()
        folder = made.observed.data() / "many"
        folder.mkdir()
        for number in range(MANY):
            (folder / f"{number}").write_bytes(b"x")
        made.release(V2, SCHEMA="2")
        yield made


def journal_step(host: EngineHost) -> str:
    try:
        return str(json.loads((host.state / host.name / "journal.json").read_text())["step"])
    except FileNotFoundError:
        return ""


def stop_in_snapshot(host: EngineHost, times: int) -> str:
    """Begin the upgrade and stop it in the snapshot, that often; what it said."""
    # Where the tests run in the background, SIGINT is ignored, and children inherit that.
    child = subprocess.Popen(
        host.program.argv("reconcile"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    partial = host.state / host.name / ".snapshot.partial"
    until(lambda: journal_step(host) == "snapshot" and any(partial.glob("*/*.tar")), 30, "the snapshot begins")
    said = []
    assert child.stderr is not None
    for _ in range(times):
        os.kill(child.pid, signal.SIGTERM)
        line = ""
        while "stopping" not in line:
            line = child.stderr.readline()
            assert line, "it ended without a word"
        said.append(line)
    child.wait(60)
    child.stderr.close()
    return "".join(said)


def assert_goes_on(host: EngineHost) -> None:
    assert host.program.reconcile() == f"upgraded:{V1}->{V2}"
    assert host.observed.notes() == "[schema 2] first note\n[schema 2] second note\n"
    assert host.observed.alerts() == []
    host.observed.check()


def test_a_stop_says_what_it_finishes_and_the_next_start_goes_on(host: EngineHost) -> None:
    said = stop_in_snapshot(host, 1)
    assert re.search(rf"after {host.name}: snapshot: copying, \d+ %; once more", said), said
    assert journal_step(host) == "deploy", "the snapshot was finished, and nothing begun after it"
    assert_goes_on(host)


def test_a_second_stop_gives_the_snapshot_up_and_the_next_start_takes_it_anew(host: EngineHost) -> None:
    said = stop_in_snapshot(host, 2)
    assert "given up" in said
    assert journal_step(host) == "snapshot"
    assert not (host.state / host.name / ".snapshot.partial").exists()
    explained = host.program.command("explain", host.name).stdout
    assert "stopped at step snapshot" in explained, explained
    assert_goes_on(host)


def test_a_stop_while_it_is_copied_ahead_leaves_everything_as_it_was(host: EngineHost) -> None:
    host.write_spec()
    child = subprocess.Popen(
        host.program.argv("reconcile"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    )
    partial = host.state / host.name / ".snapshot.partial"
    until(lambda: any(partial.glob("*/*.copied")), 30, "the copy begins")
    os.kill(child.pid, signal.SIGTERM)
    child.wait(30)
    assert (journal_step(host), partial.exists(), host.observed.answer()) == ("", False, V1.partition("+")[2])
    assert_goes_on(host)


def test_status_says_that_a_stop_left_the_app_down(host: EngineHost) -> None:
    stop_in_snapshot(host, 1)
    [entry] = json.loads((host.state / "status.json").read_text())["apps"]
    assert (entry["status"], entry["result"]) == ("interrupted", f"converging:{V2}")
    assert "stopped at step deploy" in entry["evidence"][0]
    assert f"ci-warm reconcile {host.name}" in entry["evidence"][0]
    assert_goes_on(host)
