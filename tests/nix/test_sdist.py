"""The source archive is whole: the same suite is found in it, and what needs no engine passes there."""

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.nix import installed

PROJECT = Path(__file__).parents[2]
CHOICE = ["-m", "not (long or swarm or root)", "-p", "no:cacheprovider", "-q"]
QUICK = ["tests/core", "tests/state/test_state_files.py", "tests/adapters/test_example_specs.py", "tests/engine"]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(installed.sdist(folder)) as archive:
        archive.extractall(folder, filter="data")
    [found] = (path for path in folder.iterdir() if path.is_dir())
    return found


def run_suite(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    argv = [sys.executable, "-m", "pytest", *CHOICE, *words]
    return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=280)


def test_every_test_is_found_there(unpacked: Path) -> None:
    here, there = (run_suite(folder, "--collect-only", "--ignore=tests/nix") for folder in (PROJECT, unpacked))
    assert there.returncode == 0, there.stdout + there.stderr
    counts = [re.findall(r"^(?:\d+/)?(\d+) tests|(\d+)/\d+ tests", ran.stdout, re.M)[-1] for ran in (here, there)]
    assert counts[0] == counts[1] and int(max(counts[0])) > 700


@pytest.mark.timeout(300)
def test_what_needs_no_engine_passes_there(unpacked: Path) -> None:
    ran = run_suite(unpacked, *QUICK)
    assert ran.returncode == 0, ran.stdout[-3000:]
    assert str(PROJECT) not in ran.stdout


def test_the_licence_is_in_both_archives_and_named(unpacked: Path, tmp_path: Path) -> None:
    licence = (PROJECT / "LICENSE").read_text()
    assert "GNU AFFERO GENERAL PUBLIC LICENSE" in licence and "END OF TERMS AND CONDITIONS" in licence
    assert (unpacked / "LICENSE").read_text() == licence
    with zipfile.ZipFile(installed.wheel(tmp_path)) as wheel:
        [folder] = {name.partition("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
        assert wheel.read(f"{folder}/licenses/LICENSE").decode() == licence
        metadata = wheel.read(f"{folder}/METADATA").decode()
    assert "License-Expression: AGPL-3.0-or-later\nLicense-File: LICENSE\n" in metadata


def test_the_package_can_be_built_from_it(unpacked: Path, tmp_path: Path) -> None:
    assert installed.wheel(tmp_path, unpacked).name == installed.wheel(tmp_path / "again").name
