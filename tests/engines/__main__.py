"""Runs the tests of a real Swarm on another Engine: `python -m tests.engines 28|26|moby|own [pytest's arguments]`.

On a machine of its own (root, mmdebstrap): the Engine in a network namespace, and the tests in the same one, as they
ask for ports on its loopback. `python -m tests.engines newest COMMAND...` runs any command where tests find the newest
Engine, on the machine's own network.
"""

import os
import subprocess
import sys

from tests.conftest import NAMED_ENGINE
from tests.engines import engine, newest
from tests.engines.machine import machine

SUITE = (
    "tests/contract",
    "tests/runs",
    *(
        f"tests/real/test_{name}.py"
        for name in ("checks", "collisions", "data_places", "host_ports", "jobs", "refusals", "registry")
    ),
    *(f"tests/real/test_{name}.py" for name in ("sent", "services", "transactions")),
)
"""What is not about one engine: tests that start engines of their own name the versions themselves."""


def main(version: str, given: list[str]) -> int:
    """Run the suite, or what is given; its exit code."""
    if version == "newest":
        return newest.run(given)
    engine.tree()  # tests in there start one of it, too, and reach no mirror to make it from
    with machine(version) as made:
        # Below the engine's own folder, which lies at the same path on both sides.
        where = [f"--basetemp={made.folder}/tests", "-m", "swarm and not long"]
        argv = [
            *made.enter,
            sys.executable,
            "-m",
            "pytest",
            *where,
            *(given or ["-n", "2", "--dist", "loadgroup", *SUITE]),
        ]
        return subprocess.run(argv, env={**os.environ, NAMED_ENGINE: made.host}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else engine.VERSION, sys.argv[2:]))
