"""Places for tests, and who may ask for one."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from reconciler.adapters.run_processes import RunProcesses
from reconciler.model.errors import LockBusy
from reconciler.model.ids import AppName
from tests.hosts.engine_host import V2, EngineHost
from tests.runs.scenes import KEYCLOAK_SECRET, keycloak_is_away
from tests.waiting import until


def test_all_places_for_tests_are_all(small: EngineHost) -> None:
    locks = small.program.build().ports.locks
    with pytest.raises(LockBusy):
        held = locks.all_slots(2, "sweep")
        try:
            locks.slot(2, "test")
        finally:
            held.release()
    first, second = locks.slot(2, "one"), locks.slot(2, "two")
    with pytest.raises(LockBusy):
        locks.all_slots(1, "sweep")
    second.release()
    first.release()
    locks.all_slots(2, "sweep").release()


def test_waiting_for_a_place_asks_nobody(small: EngineHost) -> None:
    """A queued run has made its plan: it starts no process while it waits, and goes when its turn comes."""
    held = small.program.build().ports.locks.slot(1, "another test")
    waiting = subprocess.Popen(small.program.argv("cold", small.name, "--wait", "60"), stdout=subprocess.DEVNULL)
    until(lambda: any(small.state.glob("recipes/*.git/HEAD")), 20)
    time.sleep(1.5)  # what is looked for is that nothing happens
    children = subprocess.run(["pgrep", "-P", str(waiting.pid)], capture_output=True, check=False).stdout
    assert children == b"" and waiting.poll() is None
    held.release()
    assert waiting.wait(60) == 0


def test_a_request_of_a_hostile_hand_starts_nothing(small: EngineHost) -> None:
    requests = small.state / "requests"
    asked = [
        {"action": "test", "app": small.name, "comment": "!testme", "ref": "--upload-pack=x"},
        {"action": "test", "app": "nobody", "comment": "!testme"},
        {"action": "test", "app": small.name, "comment": "!testmexyz"},
        {"action": "seed"},
    ]
    small.set(daemon={"interval": "1s", "jitter": "0s"})
    assert small.program.test().promoted
    with small.program.daemon() as daemon:
        until(requests.exists, 30)
        for number, one in enumerate(asked):
            (requests / f"{number}.tmp").write_text(json.dumps({"schema_version": 1, **one}))
            (requests / f"{number}.tmp").rename(requests / f"{number}.json")
        until(lambda: sum(line.get("event") == "request" for line in small.observed.log()) == len(asked), 30)
        assert not any(line.get("event") == "run_started" for line in small.observed.log())
        daemon.send_signal(signal.SIGTERM)
    assert len(small.observed.history()) == 1


def test_a_keycloak_that_is_away_is_the_hosts_fault_and_leaves_nothing(small: EngineHost) -> None:
    keycloak_is_away(small)
    ran = small.program.command("cold", small.name)
    assert ran.returncode == 3 and f"cold-error:{V2}" in ran.stdout and "list realms" in ran.stdout
    assert KEYCLOAK_SECRET not in ran.stdout + ran.stderr and small.observed.left() == []
    assert small.observed.history() == [f"cold-error:{V2}"]
    small.set(keycloak=None)
    ran = small.program.command("cold", small.name)
    assert ran.returncode == 2 and "tests.needs: the settings name no keycloak" in ran.stderr
    small.write_spec()


def test_a_test_that_is_asked_for_while_it_runs_comes_once_more(tmp_path: Path) -> None:
    gate, said = tmp_path / "gate", tmp_path / "said"
    os.mkfifo(gate)
    starter = RunProcesses(tmp_path / "config", tmp_path, lambda: ())
    starter._base = ["/bin/sh", "-c", f'echo "$@" >> {said}; exec cat {gate}', "sh"]
    try:
        for number in range(3):
            assert starter.test(AppName("notes"), "quick", "refs/pull/7/head", f"{number:032x}")
        until(said.exists)
        assert len(said.read_text().splitlines()) == 1
        gate.write_text("")

        def twice() -> bool:
            starter.collect_lost()
            return len(said.read_text().splitlines()) == 2

        until(twice, what="the second run")
        # Whoever asked while the first ran is told of the second, which looked at the ref after they asked.
        once = f"--request {0:032x}"
        again = f"--request {1:032x} --request {2:032x}"
        expected = [f"quick notes --ref refs/pull/7/head {asked} --wait 21600" for asked in (once, again)]
        assert said.read_text().splitlines() == expected
    finally:
        starter.stop()
