"""What several tests on an engine of their own do."""

import json

from tests.engines.machine import Machine
from tests.hosts.engine_host import EngineHost


def reconcile(host: EngineHost) -> str:
    """One pass where the app can be reached; its result."""
    ran = host.program.command("reconcile", "--json", timeout=180)
    return str(json.loads(ran.stdout)[0]["result"]) if ran.stdout.startswith("[") else ran.stderr


def kill(engine: Machine, host: EngineHost) -> None:
    """Kill the app's container with SIGKILL, as an operator would."""
    engine.docker("kill", engine.docker("ps", "-q", "--filter", f"label=com.docker.stack.namespace={host.stack}"))
