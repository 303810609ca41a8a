"""The first commands of a user: what a machine lacks is told in one line, and nothing half made is left."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging import bare

PROJECT = Path(__file__).parents[2]
SCRIPT = PROJECT / "packaging" / "environment.sh"
pytestmark = pytest.mark.repository
NEEDED = ("sh", "rm", "mktemp", "tail", "grep", "git", "dirname")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with what the script calls, for a PATH that holds nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in NEEDED:
        (folder / name).symlink_to(str(shutil.which(name)))
    (folder / "python3").symlink_to(sys.executable)
    return folder


def set_up(programs: Path, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    argv = [str(programs / "sh"), str(SCRIPT), str(folder), "requirements-dev.lock"]
    variables = {"PATH": str(programs), "HOME": str(programs.parent), "TMPDIR": str(programs.parent), **environment}
    return subprocess.run(argv, cwd=PROJECT, env=variables, capture_output=True, text=True, timeout=60)


def refusal(programs: Path, folder: Path, **environment: str) -> str:
    """The one line of a set-up that is refused; nothing is left of it."""
    ran = set_up(programs, folder, **environment)
    assert ran.returncode == 1 and ran.stdout == "", ran
    assert not folder.exists() and {path.name for path in programs.parent.iterdir()} == {"bin"}
    [line] = ran.stderr.splitlines()
    return line


def stub(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text(f"#!{shutil.which('sh')}\n{text}\n")
    path.chmod(0o755)


def test_no_python(programs: Path, tmp_path: Path) -> None:
    (programs / "python3").unlink()
    assert refusal(programs, tmp_path / "venv").endswith("no python3: apt-get install python3 python3-venv")


def test_a_python_that_is_too_old(programs: Path, tmp_path: Path) -> None:
    stub(programs / "python3", '[ "$1" = --version ] && echo Python 3.9.2; exit 1')
    assert "Python 3.9.2 is too old, 3.11 or newer is needed" in refusal(programs, tmp_path / "venv")


def test_no_module_that_makes_environments(programs: Path, tmp_path: Path) -> None:
    stub(programs / "python3", f'case "$*" in *ensurepip*) exit 1;; esac; exec {sys.executable} "$@"')
    assert refusal(programs, tmp_path / "venv").endswith("apt-get install python3-venv")


def test_no_git(programs: Path, tmp_path: Path) -> None:
    (programs / "git").unlink()
    assert refusal(programs, tmp_path / "venv").endswith("no git: apt-get install git")


def test_no_network(programs: Path, tmp_path: Path) -> None:
    """Nothing listens there."""
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    assert "pip failed, is the network there? ERROR: " in refusal(programs, tmp_path / "venv", **nowhere)


def test_an_environment_that_was_whole_outlives_a_renewal_that_fails(programs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    assert set_up(programs, folder, **nowhere).returncode == 1
    assert (folder / "bin" / "python").exists()


def test_an_installation_runs_nothing_that_no_hash_stands_for(tmp_path: Path) -> None:
    """What builds the package is locked as well, and building it asks no index."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path)], check=True)
    pip = [str(tmp_path / "bin" / "pip"), "install", "--quiet"]
    subprocess.run([*pip, "--require-hashes", "-r", "build-requirements.lock"], cwd=PROJECT, check=True)
    for text in ((PROJECT / name).read_text() for name in ("README.md", "docs/operate.md")):
        [line] = [line for line in text.splitlines() if "pip install" in line and "--require-hashes" not in line]
        words = line.partition("pip install ")[2].split()
        subprocess.run([*pip, *words], cwd=PROJECT, env={**os.environ, "PIP_NO_INDEX": "1"}, check=True)


@pytest.mark.long
@pytest.mark.root
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("suite", ["bookworm", pytest.param("trixie", marks=pytest.mark.suites)])
def test_on_a_bare_debian(suite: str) -> None:
    """What the README names is enough, and what is missing of it is told; the second try goes on where it is cured."""
    with bare.bare(suite, ("python3", "git", "make", "procps")) as machine:
        bare.checkout(machine.root / "project")
        refused = machine.sh("cd /project && make demo")
        assert refused.returncode == 2
        assert [line for line in refused.stderr.splitlines() if not line.startswith("make")] == [
            "set-up: python3 cannot make virtual environments: apt-get install python3-venv"
        ]
        assert not (machine.root / "project" / ".venv").exists()
        machine.run("apt-get install -y -q --no-install-recommends python3-venv")
        away = machine.sh("cd /project && PIP_RETRIES=0 make demo", network=False)
        assert away.returncode == 2 and "is the network there?" in away.stderr
        assert not (machine.root / "project" / ".venv").exists()
        for _ in range(2):
            assert "rolled-back" in machine.run("cd /project && make demo")
        machine.run("cd /project && PYTEST_ADDOPTS='-n 0 tests/core/release/test_versions.py' make test")
