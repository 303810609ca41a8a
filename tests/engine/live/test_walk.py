"""Random walks: no good release is taken back, no note is lost, no older release starts on newer data."""

import os
import tempfile
from pathlib import Path

import pytest

from tests.engine.live.walk import Walk

SHM = Path("/dev/shm")
MANY = int(os.environ.get("CI_WARM_TEST_WALKS", "160"))
"""How many walks the long test takes; a thousand take ten minutes."""


def walk(seed: int) -> None:
    """Thirty steps on a new host; in memory where that can be, for every record is synced to disk."""
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as folder:
        (Path(folder) / "host").mkdir()
        Walk(root=Path(folder), seed=seed).run(30)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(2))
def test_a_few_walks(part: int) -> None:
    for seed in range(part * 15, (part + 1) * 15):
        walk(seed)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(8))
def test_many_walks(part: int) -> None:
    for seed in range(1000 + part, 1000 + MANY, 8):
        walk(seed)
