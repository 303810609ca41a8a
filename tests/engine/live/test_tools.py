"""A program that a change needs and that cannot be started is one clear error, and nothing is begun."""

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.adapters.deploy import stack
from reconciler.model.errors import ActError
from tests.engine.live.scenes import V2
from tests.fakes.world import Host


def lose_docker(host: Host) -> None:
    def fails(call: str, when: str) -> None:
        if call in ("check_tools", "deploy", "pull"):
            raise ActError("docker cannot be started: there is no such program on the PATH", host_fault=True)

    host.engine.fault = fails


def release(host: Host) -> None:
    host.release(V2)


def drift(host: Host) -> None:
    for running in host.engine.services.values():
        running.spec = {**running.spec, "x": 1}


def vanish(host: Host) -> None:
    host.engine.services.clear()


@pytest.mark.parametrize("needs", [release, drift, vanish])
def test_without_the_docker_program_nothing_is_begun_and_it_is_named(host: Host, needs: Callable[[Host], None]) -> None:
    needs(host)
    lose_docker(host)
    host.engine.changes.clear()
    [report] = host.reconcile()
    assert (str(report.outcome.result), report.outcome.ok, host.engine.changes) == ("error", False, [])
    assert report.outcome.evidence == ("docker cannot be started: there is no such program on the PATH",)
    assert [alert.reason for alert in host.alerts()] == ["error"]
    assert host.ports().store.journal(host.specs[0].app) is None


def test_without_the_docker_program_an_app_that_is_well_is_left_in_peace(host: Host) -> None:
    lose_docker(host)
    assert host.result() == "noop-healthy"


def test_the_docker_program_is_looked_for_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ActError, match="docker cannot be started"):
        stack.check_program(None)


def test_a_docker_program_that_does_not_fit_the_engine_is_told_in_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As CLI 29 says it to Engine 20.10."""
    docker = tmp_path / "docker"
    docker.write_text(
        '#!/bin/sh\necho "client version 1.52 is too new. Maximum supported API version is 1.41" >&2\nexit 1\n'
    )
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ActError, match=r"does not speak to this engine: client version 1\.52 is too new"):
        stack.check_program("unix:///nowhere")
