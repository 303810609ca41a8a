"""What a snapshot asks of the system for each small file, and how much code runs for it: a guard of its speed.

Limits are what it takes today, and a little more where it is code of libraries.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.node.snapshots import archive, seals, unpack
from tests.counting import Counts, counting

FEW, MANY = 50, 150


def tree(root: Path, count: int) -> Path:
    root.mkdir()
    for number in range(count):
        (root / f"file-{number:04}").write_bytes(b"x" * 3000)
    return root


def write(made: Path) -> None:
    archive.write(made / "data", made / "a.tar", made / "a.jsonl")


def read_back(made: Path) -> None:
    assert list(seals.check_bodies(made / "a.tar", made / "a.jsonl", None)) == []


def restore(made: Path) -> None:
    (made / "new").mkdir()
    unpack.unpack(made / "a.tar", seals.read_index(made / "a.jsonl", None), made / "new")


def compare(made: Path) -> None:
    assert list(unpack.compare(made / "new", seals.read_index(made / "a.jsonl", None))) == []


STEPS: dict[str, tuple[Callable[[Path], None], float, float]] = {
    "write": (write, 7, 93),  # stat, listxattr, open, ioctl, pread, fstat, close
    "read back": (read_back, 1, 34),  # pread
    "restore": (restore, 7, 52),  # open, copy_file_range, ftruncate, fstat, fchmod, utime, close
    "compare": (compare, 5, 61),  # stat, listxattr, open, pread, close
}
"""Step -> calls of the system and of functions for one more small file."""


def count_steps(home: Path, count: int) -> dict[str, Counts]:
    home.mkdir()
    tree(home / "data", count)
    found = {}
    for name, (step, _, _) in STEPS.items():
        with counting() as counts:
            step(home)
        found[name] = counts
    return found


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[float, float]]:
    """Step -> what one more file costs, of the system and of functions."""
    home = tmp_path_factory.mktemp("counts")
    count_steps(home / "first", 1)  # what is paid once in a process
    few, many = count_steps(home / "few", FEW), count_steps(home / "many", MANY)
    return {
        name: (
            (many[name].system.total() - few[name].system.total()) / (MANY - FEW),
            (many[name].calls - few[name].calls) / (MANY - FEW),
        )
        for name in STEPS
    }


@pytest.mark.parametrize("name", STEPS)
def test_one_more_small_file_costs_no_more_than_it_did(name: str, counted: dict[str, tuple[float, float]]) -> None:
    system, calls = counted[name]
    _, most_system, most_calls = STEPS[name]
    assert system <= most_system, f"{name}: {system} calls of the system for each file"
    assert calls <= most_calls, f"{name}: {calls} calls of functions for each file"
    assert system > 0, "nothing was counted"
