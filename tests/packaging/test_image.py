"""The container image: made without any base image, and what `docker run` of it says."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler import __version__
from tests.packaging.conftest import PROJECT, tree

REFERENCE = "ci-warm-test/image:1"
SCRIPT = str(PROJECT / "packaging" / "image" / "build.sh")
pytestmark = [
    pytest.mark.swarm,
    pytest.mark.long,
    pytest.mark.root,
    pytest.mark.timeout(1200),
    pytest.mark.together("deb"),
]


@pytest.fixture(scope="module")
def image(docker_host: str, package: Callable[[str], Path]) -> Iterator[str]:
    assert docker_host
    environment = {**os.environ, "TREE": str(tree("trixie"))}
    argv = [SCRIPT, str(package("trixie")), REFERENCE]
    try:
        ran = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=600)
        assert (ran.returncode, ran.stdout) == (0, f"{REFERENCE}\n"), ran.stderr
        yield REFERENCE
    finally:
        subprocess.run(["docker", "image", "rm", "--force", REFERENCE], capture_output=True)


def run(image: str, *words: str, options: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
    argv = ["docker", "run", "--rm", "--network", "none", *options, image, *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120)


def test_it_is_ci_warm(image: str) -> None:
    assert run(image, "--version").stdout == f"ci-warm {__version__}\n"
    assert run(image).stdout.startswith("Usage: ci-warm ")


def test_its_exit_code_and_words_are_those_of_the_command(image: str) -> None:
    ran = run(image, "status")
    assert (ran.returncode, ran.stderr) == (1, "no pass has published a status in /var/lib/ci-warm yet\n")


def test_it_sees_the_state_and_specs_of_the_host(image: str, tmp_path: Path) -> None:
    (tmp_path / "apps").mkdir()
    (tmp_path / "apps" / "notes.yaml").write_text("name: notes\n")
    ran = run(image, "validate", options=("--volume", f"{tmp_path}:/etc/ci-warm:ro"))
    assert ran.returncode == 2 and "/etc/ci-warm/apps/notes.yaml" in ran.stderr


def test_git_and_docker_are_in_it(image: str) -> None:
    ran = run(image, "-c", "git --version && docker --version", options=("--entrypoint", "sh"))
    assert ran.returncode == 0, ran.stderr


def test_without_a_package_it_says_how_to_make_one(tmp_path: Path) -> None:
    ran = subprocess.run([SCRIPT, str(tmp_path / "none.deb"), REFERENCE], capture_output=True, text=True)
    assert ran.returncode == 2
    assert ran.stderr == f"make image: there is no package '{tmp_path / 'none.deb'}': make deb SUITE=trixie\n"
