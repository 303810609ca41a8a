"""Packages that several tests install: each is built once."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.packaging import bare
from tests.systemd.host import cache

PROJECT = Path(__file__).parents[2]
MAKES = (
    *("ca-certificates", "python3", "python3-venv", "git", "docker-cli", "gnupg", "openssh-client"),
    *("systemd-standalone-sysusers", "systemd-standalone-tmpfiles"),
)
"""Of the tree that packages and the image are made in here; Debian 12 has no docker-cli."""


def tree(suite: str) -> Path:
    """A clean tree of that suite, for builds that are to begin with it."""
    return bare.tree(suite, [name for name in MAKES if suite != "bookworm" or name != "docker-cli"])


def build(suite: str, folder: Path, given: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run `make deb`'s own script."""
    wheels = cache() / "pip"
    wheels.mkdir(exist_ok=True)
    argv = [str(PROJECT / "packaging" / "deb" / "build.sh"), suite, str(folder)]
    environment = {**os.environ, **given, "PIP_CACHE_DIR": str(wheels)}
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=900)


@pytest.fixture(scope="session")
def package() -> Iterator[Callable[[str], Path]]:
    """The package for a suite."""
    made: dict[str, Path] = {}
    with tempfile.TemporaryDirectory(prefix="ciw-deb-") as folder:

        def of(suite: str) -> Path:
            if suite not in made:
                ran = build(suite, Path(folder) / suite, {"TREE": str(tree(suite))})
                assert ran.returncode == 0, ran.stdout + ran.stderr
                [made[suite]] = (Path(folder) / suite).iterdir()
                assert ran.stdout == f"{made[suite]}\n"
            return made[suite]

        yield of
