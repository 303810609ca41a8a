"""A random walk on the embedded engine: what holds on the fake host holds with real processes, too."""

import os
from pathlib import Path

import pytest

from tests.engine.live.embedded_walk import PATIENCE, QUICK, EmbeddedWalk
from tests.hosts.engine_host import engine_host

STEPS = int(os.environ.get("CI_WARM_TEST_EMBEDDED_STEPS", "6"))
"""How many steps; thirty take 40 s, a third of it of one core."""
SEED = int(os.environ.get("CI_WARM_TEST_SEED", "3"))
WALKS = int(os.environ.get("CI_WARM_TEST_EMBEDDED_WALKS", "1"))
"""How many walks; their seeds follow each other."""


@pytest.mark.timeout((120 + 20 * STEPS) * PATIENCE)
@pytest.mark.parametrize("seed", range(SEED, SEED + WALKS))
def test_a_walk_on_the_embedded_engine(tmp_path: Path, seed: int) -> None:
    extra = {"upgrade": {"bake": "10m"}}
    with engine_host(tmp_path / "host", "embedded", health=QUICK, extra=extra) as host:
        EmbeddedWalk(host=host, seed=seed).run(STEPS)
