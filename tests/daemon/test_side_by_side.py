"""One pass is not one queue: what heals or goes back never waits for the release of another app."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.demo.host import free_port
from tests.daemon.scenes import QUICK, deployed
from tests.hosts.engine_host import HEALTH, V1, V2, EngineHost, engine_host
from tests.waiting import until


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EngineHost]:
    health = {"deadline": "60s", "path": "/health"}
    with engine_host(tmp_path / "host", "embedded", health=health) as made:
        made.set(daemon=QUICK, fetch_every="1s")
        made.release(V1)
        yield made


def add_neighbour(host: EngineHost, **changes: Any) -> str:
    """A second app of the same recipe, pinned to V1; gives its name. One that is there keeps its port."""
    spec = json.loads((host.home / "etc" / "apps" / f"{host.name}.yaml").read_text())
    file = host.home / "etc" / "apps" / "neighbour.yaml"
    port = json.loads(file.read_text())["health"]["port"] if file.exists() else free_port()
    spec |= {
        "name": "neighbour",
        "domain": f"n{host.mark}.example.test",
        "recipe": {**spec["recipe"], "track": V1},
        "health": {**HEALTH, "port": port},
        "env": {"PUBLISHED_PORT": str(port)},
        **changes,
    }
    file.write_text(json.dumps(spec))
    return "neighbour"


def is_upgrading(host: EngineHost) -> bool:
    """The other app's release is being verified, which takes up to a minute here."""
    try:
        return str(json.loads((host.state / host.name / "journal.json").read_text())["step"]) == "verify"
    except FileNotFoundError:
        return False


def status_of(host: EngineHost) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((host.state / "status.json").read_text())
    return found


def test_a_killed_app_is_healed_while_its_neighbour_upgrades_for_a_minute(host: EngineHost) -> None:
    name = add_neighbour(host)
    with host.program.daemon():
        until(lambda: (host.state / name / "last_good").exists(), 40, "the neighbour runs")
        deployed(host)
        host.release(V2, FAIL="unhealthy")
        until(lambda: is_upgrading(host), 30, "the upgrade is being verified")
        app = host.program.build()
        began = time.monotonic()
        app.ports.engine.remove_services(app.spec(name).stack_name, ["app"])
        until(lambda: f"deployed:{V1}" in results_of(host, name)[1:], 20, "the neighbour is back")
        assert is_upgrading(host), f"after {time.monotonic() - began:.1f} s"
        seen = datetime.now(UTC)
        until(lambda: datetime.fromisoformat(status_of(host)["at"]) > seen, 10, "status is published meanwhile")
        assert {entry["app"] for entry in status_of(host)["apps"]} == {host.name, name}


def results_of(host: EngineHost, name: str) -> list[str]:
    return [line.result for line in host.program.build().history.lines() if line.app == name]


def test_a_bake_watch_is_kept_while_the_neighbour_upgrades(host: EngineHost) -> None:
    """The neighbour's new release fails in its watch, and is taken back before the long upgrade is over."""
    name = add_neighbour(host, upgrade={"bake": "10m"})
    with host.program.daemon():
        until(lambda: (host.state / name / "last_good").exists(), 40, "the neighbour runs")
        deployed(host)
        host.write_spec(recipe={"url": host.recipe.url, "track": V1})
        host.release(V2)
        add_neighbour(host, upgrade={"bake": "10m"}, recipe={"url": host.recipe.url, "track": V2})
        until(lambda: f"upgraded:{V1}->{V2}" in results_of(host, name), 40, "the neighbour has V2")
        host.release("1.0.2+5.0.2", FAIL="unhealthy")
        host.write_spec()
        until(lambda: is_upgrading(host), 30, "the other one's upgrade is being verified")
        app = host.program.build()
        volumes = app.ports.engine.observe_volumes([f"{app.spec(name).stack_name}_data"])
        (Path(next(iter(volumes.values())).path) / "unwell").touch()
        until(lambda: f"rolled-back:{V2}->{V1}" in results_of(host, name), 30, "it is taken back")
        assert is_upgrading(host)


def test_a_stop_waits_for_every_app_that_is_worked_on(host: EngineHost) -> None:
    name = add_neighbour(host)
    with host.program.daemon() as process:
        until(lambda: (host.state / name / "last_good").exists(), 40, "the neighbour runs")
        deployed(host)
        host.release(V2, FAIL="unhealthy")
        until(lambda: is_upgrading(host), 30, "the upgrade is being verified")
        process.terminate()
        assert process.wait(30) == 0
    assert [line["event"] for line in host.observed.log()][-1] == "stopped"
    assert is_upgrading(host), "its journal tells the next start"
