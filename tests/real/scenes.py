"""What several tests on an engine of their own do."""

import json
import re
import subprocess

import pytest

from tests.engines.machine import Machine
from tests.hosts.engine_host import EngineHost


def reconcile(host: EngineHost) -> str:
    """One pass where the app can be reached; its result."""
    ran = host.program.command("reconcile", "--json", timeout=180)
    return str(json.loads(ran.stdout)[0]["result"]) if ran.stdout.startswith("[") else ran.stderr


def kill(engine: Machine, host: EngineHost) -> None:
    """Kill the app's container with SIGKILL, as an operator would."""
    engine.docker("kill", engine.docker("ps", "-q", "--filter", f"label=com.docker.stack.namespace={host.stack}"))


def need_job_modes() -> None:
    """Skip by name where the docker CLI does not know them, also in CI, which runs these tests on a newer one as well.

    20.10 says `Unknown mode` when it deploys a stack.
    """
    said = subprocess.run(["docker", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version (\d+)\.", said)
    if found is None or int(found[1]) < 23:
        pytest.skip(f"the docker CLI deploys no jobs (23 and newer do): {said.strip()}")
