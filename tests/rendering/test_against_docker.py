"""What we send is what Docker reads: a differential test over generated compose files, and every difference on purpose.

`CI_WARM_TEST_CASES` says how many, `CI_WARM_TEST_SEED` which; a failure tells both, and the files.
"""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.core.release.compose import section
from tests.conftest import missing
from tests.rendering import differences, flaws, grammar, reading, values
from tests.rendering.reading import Reading, Recipe, Refused

CASES = int(os.environ.get("CI_WARM_TEST_CASES", "2000"))
SEED = os.environ.get("CI_WARM_TEST_SEED", "7")
_BATCH = 20
"""Cases of one run of the CLI, which reads each app of a document for itself."""
_SHARES = 20
"""Tests that the cases are dealt out to, for workers side by side."""


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    found = reading.tool(tmp_path_factory.mktemp("cli"))
    if found is None:
        missing("no docker CLI with `stack config`")
    assert found is not None
    return found


def batches(share: int) -> Iterator[range]:
    for first in range(share * _BATCH, CASES, _SHARES * _BATCH):
        yield range(first, min(first + _BATCH, CASES))


def recipe(numbers: range, only: int | None = None) -> Recipe:
    """The cases of those numbers as one app, or one of them alone; all that is drawn hangs on the first number."""
    rng = random.Random(f"{SEED}/batch/{numbers.start}")
    files, version = rng.randrange(1, 4), rng.choice((None, "3", "3.13"))
    env, overlays = values.env_file(rng), rng.randrange(files)
    cases = [grammar.make_case(SEED, number, files) for number in numbers if only in (None, number)]
    return Recipe(tuple(grammar.join(cases, version)), env, overlays)


def tell(one: Recipe) -> str:
    return "\n---\n".join(text.decode() for text in (one.env, *one.compose))


def compare(docker: Reading, ours: Reading) -> str:
    """Where two readings differ; empty if nowhere."""
    if isinstance(docker, Refused) or isinstance(ours, Refused):
        return "" if isinstance(docker, Refused) and isinstance(ours, Refused) else f"docker: {docker}\nours: {ours}"
    found = []
    for place in docker:
        theirs, mine = section(docker, place), section(ours, place)
        for name in sorted(theirs.keys() | mine.keys()):
            one, other = theirs.get(name), mine.get(name)
            keys = sorted({*(one or {}), *(other or {})})
            found += [
                f"{place}.{name}.{key}\n  docker: {(one or {}).get(key)!r}\n  ours:   {(other or {}).get(key)!r}"
                for key in keys
                if (one or {}).get(key) != (other or {}).get(key)
            ]
    return "\n".join(found)


@pytest.mark.parametrize("share", range(_SHARES))
def test_what_we_send_is_what_docker_reads(share: int, program: str, tmp_path: Path) -> None:
    refused = 0
    for numbers in batches(share):
        whole = recipe(numbers)
        docker, ours = reading.read_raw(program, tmp_path, whole), reading.read_ours(program, tmp_path, whole)
        if not isinstance(docker, Refused) and not compare(docker, ours):
            continue
        for number in numbers:  # one of them is refused, or another: each by itself
            one = recipe(numbers, number)
            docker, ours = reading.read_raw(program, tmp_path, one), reading.read_ours(program, tmp_path, one)
            refused += isinstance(docker, Refused)
            differs = compare(docker, ours)
            assert not differs, f"seed {SEED}, case {number}:\n{differs}\n{tell(one)}"
    # What is refused shows nothing of how it is read: the grammar has to make documents that are taken.
    assert refused <= CASES / _SHARES * 0.2


@pytest.mark.parametrize("number", range(max(CASES // 40, 10)))
def test_what_docker_refuses_is_refused(number: int, program: str, tmp_path: Path) -> None:
    one = flaws.spoil(SEED, number)
    docker, ours = reading.read_raw(program, tmp_path, one), reading.read_ours(program, tmp_path, one)
    assert isinstance(docker, Refused), f"seed {SEED}, case {number}: docker takes it\n{tell(one)}"
    assert isinstance(ours, Refused), f"seed {SEED}, case {number}: docker: {docker.words}\n{tell(one)}"


@pytest.mark.parametrize("row", differences.ROWS, ids=lambda row: row.name)
def test_every_difference_is_the_one_that_is_meant(row: differences.Row, program: str, tmp_path: Path) -> None:
    one = Recipe(tuple(text.encode() for text in row.files), row.env.encode())
    docker, ours = reading.read_raw(program, tmp_path, one), reading.read_ours(program, tmp_path, one)
    assert (differences.at(docker, row.place), differences.at(ours, row.place)) == (row.docker, row.ours)


@pytest.mark.repository
def test_every_difference_is_told_to_operators() -> None:
    text = (Path(__file__).parents[2] / "docs" / "specs.md").read_text().partition("### Where rendering differs")[2]
    listed = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")][2:]
    assert sorted(listed) == sorted(row.name for row in differences.ROWS)
