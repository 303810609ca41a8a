"""What is asked of a real engine without docker-py is what docker-py would give."""

import json
from typing import Any

import pytest

from reconciler.adapters.swarm import plain
from reconciler.adapters.swarm.client import OLDEST_API, SwarmClient
from tests.hosts.engine_host import EngineHost
from tests.waiting import until

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(120)]
OF_NOBODY = {"label": "com.docker.stack.namespace=nobody"}
ASKED: list[tuple[str, dict[str, Any]]] = [
    ("services", {"status": True}),
    ("services", {"filters": OF_NOBODY}),
    ("tasks", {}),
    ("containers", {"all": True, "filters": OF_NOBODY}),
    ("containers", {"all": False}),
    ("volumes", {}),
    ("networks", {"filters": {"name": ["bridge"], "type": ["builtin"]}}),
    ("nodes", {}),
    ("secrets", {}),
    ("configs", {}),
    ("version", {}),
]
MOVES = {"Status", "UpdatedAt", "Version", "SystemTime"}
"""What is another from one question to the next."""


def still(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: still(value) for key, value in found.items() if key not in MOVES}
    if isinstance(found, list):  # the engine has no order
        return sorted(map(still, found), key=lambda one: json.dumps(one, sort_keys=True))
    return found


@pytest.mark.parametrize(("method", "parameters"), ASKED, ids=[f"{name} {given}" for name, given in ASKED])
def test_it_gives_what_docker_py_gives(method: str, parameters: dict[str, Any], host: EngineHost, swarm: str) -> None:
    reads = plain.find(swarm, 10, OLDEST_API)
    assert reads is not None
    client, read = SwarmClient(swarm, 10), reads.read

    def is_the_same() -> bool:
        asked = getattr(client.api(), method)(**parameters)
        return bool(still(read(method, parameters)) == still(asked))

    # Other tests are at work on this engine: what one moment tells may be another thing a moment later.
    until(is_the_same, 30, "both give the same")
