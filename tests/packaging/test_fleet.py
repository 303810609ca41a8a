"""The script that installs the package on many hosts. Its ssh is a stub here; test_deb.py has a real Debian."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import missing

FOLDER = Path(__file__).parents[2] / "packaging"
SCRIPT = FOLDER / "fleet" / "install.sh"
SSH = """#!/bin/sh
while [ "$1" = -o ]; do shift 2; done
host=$1
case $host in away*) echo "ssh: connect to host $host port 22: No route to host" >&2; exit 255;; esac
export PATH="{hosts}/$host:$PATH"
case $2 in
*os-release*) cat "{hosts}/$host/release" ;;
*) exec sh -c "$2" ;;
esac
"""
APT = """#!/bin/sh
for last; do :; done
cp "$last" "{host}/got"
if [ -e "{host}/broken" ]; then echo 'E: Unable to correct problems, you have held broken packages.'; exit 100; fi
"""


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with packages; a host is a folder in `hosts`, with its own apt-get."""
    for release in ("12", "13"):
        (tmp_path / f"ci-warm_0.1.0~deb{release}_amd64.deb").write_text(f"package for {release}")
    (tmp_path / "bin").mkdir()
    stub(tmp_path / "bin" / "ssh", SSH.replace("{hosts}", str(tmp_path / "hosts")))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path


def stub(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def add(fleet: Path, host: str, release: str) -> Path:
    folder = fleet / "hosts" / host
    folder.mkdir(parents=True)
    (folder / "release").write_text(release + "\n")
    stub(folder / "id", "#!/bin/sh\necho 0\n")
    stub(folder / "apt-get", APT.replace("{host}", str(folder)))
    stub(folder / "ci-warm", "#!/bin/sh\necho ci-warm 0.1.0\n")
    return folder


def install(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(SCRIPT), *words], capture_output=True, text=True, timeout=60)


def test_each_host_gets_the_package_for_its_debian(fleet: Path) -> None:
    old, new = add(fleet, "old", "debian12"), add(fleet, "new", "debian13")
    ran = install(str(fleet), "old", "new")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "old: ci-warm 0.1.0\nnew: ci-warm 0.1.0\n", "")
    assert (old / "got").read_text() == "package for 12"
    assert (new / "got").read_text() == "package for 13"


def test_a_host_that_fails_stops_no_other(fleet: Path) -> None:
    for host, release in (("broken", "debian12"), ("older", "debian11"), ("other", "fedora42"), ("good", "debian13")):
        add(fleet, host, release)
    (fleet / "hosts" / "broken" / "broken").touch()
    ran = install(str(fleet), "away", "broken", "older", "other", "good")
    assert ran.returncode == 1
    assert ran.stdout.splitlines() == [
        "away: FAILED: cannot be asked: ssh: connect to host away port 22: No route to host",
        "broken: FAILED: E: Unable to correct problems, you have held broken packages.",
        f"older: FAILED: no package, or more than one, for Debian 11 in {fleet}",
        "other: FAILED: is no Debian: fedora42",
        "good: ci-warm 0.1.0",
    ]


@pytest.mark.parametrize("words", [(), ("/nowhere",), ("/nowhere", "host")])
def test_wrong_words_are_one_line_and_exit_2(fleet: Path, words: tuple[str, ...]) -> None:
    ran = install(*words)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)


def test_every_script_is_sound() -> None:
    if shutil.which("shellcheck") is None:
        missing("no shellcheck (apt-get install shellcheck)")
    scripts = [
        path for path in sorted(FOLDER.rglob("*")) if path.is_file() and path.read_bytes().startswith(b"#!/bin/sh")
    ]
    assert len(scripts) >= 8
    ran = subprocess.run(["shellcheck", *map(str, scripts)], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "")
