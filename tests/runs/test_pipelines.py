"""Test runs in somebody's pipeline: exit codes, JUnit, artefacts, a log that streams, an id to ask by."""

import json
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
import typer

from reconciler.cli import running
from reconciler.model.errors import ActError, ObserveError
from tests.hosts.engine_host import V3, EngineHost
from tests.runs.scenes import commit, keycloak_is_away

REQUEST = "0123456789abcdef" * 2
SAYS = """#!/bin/sh
echo first line; echo second line
echo kept >$CI_WARM_ARTEFACTS/kept.txt
mkfifo $CI_WARM_ARTEFACTS/fifo
"""
FAILS = "#!/bin/sh\necho about to fail\nexit 3\n"


def piped(host: EngineHost, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return host.program.command("cold", host.name, *words, timeout=120, **environment)


@pytest.fixture
def checked(small: EngineHost) -> EngineHost:
    commit(small, {"ci/says.sh": SAYS, "ci/fails.sh": FAILS})
    small.release(V3, SCHEMA="2")
    small.write_spec(tests={"checks": [{"name": "says", "run": ["ci/says.sh"]}]})
    return small


def test_a_pipeline_gets_log_junit_artefacts_and_the_folder(checked: EngineHost, tmp_path: Path) -> None:
    junit, artefacts = tmp_path / "junit.xml", tmp_path / "artefacts"
    ran = piped(
        checked, "--junit", str(junit), "--artefacts", str(artefacts), "--request", REQUEST, "--wait-for-slot", "--json"
    )
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert (report["requests"], report["folder"]) == ([REQUEST], str(checked.state / "runs" / report["run"]))
    lines = ran.stderr.splitlines()
    assert f"run {report['run']}: {report['folder']}" in lines
    heading = lines.index("== custom")
    assert "first line" in lines[heading:] and "second line" in lines[heading:]
    assert ElementTree.fromstring(junit.read_text()).get("failures") == "0"
    assert (artefacts / "artefacts" / "kept.txt").read_text() == "kept\n"
    assert not (artefacts / "artefacts" / "fifo").exists()  # a copy would wait for its other end
    assert {"run.json", "summary.txt", "custom.log"} <= {path.name for path in artefacts.iterdir()}
    assert not {"work", "checkout"} & {path.name for path in artefacts.iterdir()}


def test_one_failure_per_failed_stage_and_exit_1_for_a_red_recipe(checked: EngineHost, tmp_path: Path) -> None:
    fails = [{"name": name, "run": ["ci/fails.sh"]} for name in ("one", "two")]
    checked.write_spec(tests={"checks": fails})
    junit = tmp_path / "junit.xml"
    ran = piped(checked, "--junit", str(junit), GITHUB_ACTIONS="true")
    assert ran.returncode == 1, ran.stderr
    suite = ElementTree.fromstring(junit.read_text())
    assert (suite.get("failures"), suite.get("errors")) == ("1", "0")
    [failed] = [case for case in suite if case.find("failure") is not None]
    found = failed.find("failure")
    assert failed.get("name") == "custom" and found is not None
    assert {f"{name}: ended with 3: about to fail" for name in ("one", "two")} <= set((found.text or "").splitlines())
    lines = ran.stderr.splitlines()
    begins = lines.index("::group::custom")
    assert "::endgroup::" in lines[begins:]


def test_a_host_at_fault_is_exit_3(checked: EngineHost, tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    keycloak_is_away(checked)
    ran = piped(checked, "--junit", str(junit))
    assert ran.returncode == 3, (ran.stdout, ran.stderr)
    suite = ElementTree.fromstring(junit.read_text())
    assert (suite.get("failures"), suite.get("errors")) == ("0", "1")


@pytest.mark.parametrize("error", [ObserveError("no answer"), ActError("no room", host_fault=True)])
def test_what_keeps_a_run_from_beginning_is_the_hosts_fault(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended, running.host_at_fault():
        raise error
    assert (ended.value.exit_code, capsys.readouterr().err) == (3, f"error: {error}\n")


@pytest.mark.parametrize("option", ["--junit", "--artefacts"])
def test_a_place_that_cannot_be_written_begins_nothing(option: str, checked: EngineHost, tmp_path: Path) -> None:
    ran = piped(checked, option, str(tmp_path / "no" / "such" / "place"))
    assert (ran.returncode, f"{option} " in ran.stderr, "cannot be written" in ran.stderr) == (2, True, True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    if option == "--artefacts":
        ran = piped(checked, option, str(tmp_path / "full"))
        assert (ran.returncode, "is not an empty folder" in ran.stderr) == (2, True)
    assert not list((checked.state / "runs").glob("*/run.json"))
