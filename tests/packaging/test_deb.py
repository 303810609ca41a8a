"""The package for Debian: built in a clean tree of its suite, installed under a real systemd, used, and purged."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typing_extensions import override

from reconciler import __version__
from tests.packaging.conftest import PROJECT, build
from tests.systemd.host import BOOKWORM, TRIXIE, Suite, SystemHost
from tests.waiting import until

RELEASES = {"bookworm": "12", "trixie": "13"}
UNITS = ("ci-warm.service", "ci-warm-sweep.service", "ci-warm-sweep.timer", "ci-warm-web.service", "ci-warm.target")
pytestmark = [
    pytest.mark.swarm,
    pytest.mark.long,
    pytest.mark.root,
    pytest.mark.timeout(1200),
    pytest.mark.together("deb"),
]


class PlainHost(SystemHost):
    """A host with nothing of ours on it, which keeps whatever a package brings."""

    @override
    def binds(self) -> list[str]:
        return []


@pytest.fixture(scope="module", params=[TRIXIE, pytest.param(BOOKWORM, marks=pytest.mark.suites)], ids=lambda s: s.name)
def machine(request: pytest.FixtureRequest, docker_host: str, package: Callable[[str], Path]) -> Iterator[SystemHost]:
    """A booted Debian, and in its lab the package that was built for it."""
    assert docker_host
    suite: Suite = request.param
    made = PlainHost(Path(tempfile.mkdtemp(prefix="ciw-")), suite)
    try:
        shutil.copy(package(suite.name), made.lab)
        made.boot()
        made.sh("rm -f /etc/dpkg/dpkg.cfg.d/99mmdebstrap")  # the tree is without documents; the package is not
        yield made
    finally:
        made.remove()
        shutil.rmtree(made.lab, ignore_errors=True)


@pytest.fixture
def installed(machine: SystemHost) -> SystemHost:
    """The package on it; what a test does to it is seen by the next one, as on a host."""
    if "install ok installed" not in machine.sh("dpkg-query --show --showformat='${Status}' ci-warm", check=False):
        # What it depends on is there, and the host has no network: apt needs none.
        machine.sh("DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends /lab/ci-warm_*.deb")
    return machine


def ours(machine: SystemHost) -> str:
    """Every file of ours or of the package, by name; the lab is not the host's."""
    named = "find /etc /usr /var /run -xdev \\( -name '*ci-warm*' -o -name 'ci_warm*' \\) -not -path '/var/log/*'"
    return machine.sh(f"{named} -not -path '/var/cache/*'; getent group ci-warm || true")


def test_the_script_for_fleets_installs_it(
    machine: SystemHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own commands on a real Debian; only the way there is another than ssh."""
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\nwhile [ "$1" = -o ]; do shift 2; done\nexec docker exec -i "$1" sh -c "$2"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert ours(machine) == ""
    argv = [str(PROJECT / "packaging" / "fleet" / "install.sh"), str(machine.lab), machine.name]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    assert (ran.returncode, ran.stdout) == (0, f"{machine.name}: ci-warm {__version__}\n"), ran.stderr
    assert "install ok installed" in machine.sh("dpkg-query --show --showformat='${Status}' ci-warm")


def test_it_is_for_this_python_and_no_other(machine: SystemHost) -> None:
    release, minor = RELEASES[machine.suite.name], int(machine.suite.python.partition(".")[2])
    field = "dpkg-deb -f /lab/ci-warm_*.deb"
    assert machine.sh(f"{field} Version") == f"{__version__}~deb{release}"
    assert f"python3 (>= 3.{minor}), python3 (<< 3.{minor + 1})" in machine.sh(f"{field} Depends")
    assert "/usr/lib/ci-warm/bin/pip" not in machine.sh("dpkg-deb -c /lab/ci-warm_*.deb")


def test_installed_it_speaks_and_nothing_runs_that_nobody_started(installed: SystemHost) -> None:
    assert installed.sh("ci-warm --version") == f"ci-warm {__version__}"
    assert installed.sh("ci-warm doctor").endswith("nothing found")
    for unit in UNITS:
        assert installed.show(unit, "LoadState") == "loaded"
        assert installed.show(unit, "ActiveState") == "inactive"
    assert installed.show("ci-warm.target", "UnitFileState") == "disabled"
    units = " ".join(f"/usr/lib/systemd/system/{unit}" for unit in UNITS)
    assert installed.sh(f"systemd-analyze verify --man=no --recursive-errors=yes {units} 2>&1") == ""
    assert installed.sh("stat -c '%a %U' /var/lib/ci-warm /etc/ci-warm/apps") == "751 root\n755 root"
    assert installed.sh("getent group ci-warm | cut -d: -f1") == "ci-warm"
    assert installed.sh("dpkg --verify ci-warm") == ""


def test_completions_and_man_pages_are_where_they_are_looked_for(installed: SystemHost) -> None:
    share = "/usr/share"
    for path in (
        f"{share}/bash-completion/completions/ci-warm",
        f"{share}/zsh/vendor-completions/_ci-warm",
        f"{share}/fish/vendor_completions.d/ci-warm.fish",
    ):
        assert "_CI_WARM_COMPLETE" in installed.sh(f"cat {path}")
    pages = installed.sh(f"ls {share}/man/man1/ci-warm*").split()
    assert f"{share}/man/man1/ci-warm-reconcile.1.gz" in pages and len(pages) > 40
    asked = "COMP_WORDS='ci-warm rec' COMP_CWORD=1 _CI_WARM_COMPLETE=complete_bash ci-warm"
    assert installed.sh(asked) == "reconcile"


def test_the_page_runs_as_its_own_user(installed: SystemHost) -> None:
    installed.sh("systemctl start ci-warm ci-warm-web")
    ask = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/ci-warm-web/web.sock');"
        " s.sendall(b'GET / HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n'); print(s.makefile().read())"
    )
    page = until(lambda: installed.sh(f'python3 -c "{ask}"', check=False), 30, "the page answers")
    assert "200 OK" in page and "read-only" in page
    assert installed.sh("ps -o user:20= -p $(systemctl show -P MainPID ci-warm-web)").strip() == "ci-warm-web"
    installed.sh("systemctl stop ci-warm ci-warm-web")
    assert installed.failed_units() == ""


def test_started_it_runs_and_an_upgrade_keeps_it_running(installed: SystemHost) -> None:
    installed.sh("systemctl enable --now ci-warm.target")
    assert installed.show("ci-warm", "ActiveState") == "active"
    before = installed.show("ci-warm", "MainPID")
    installed.sh("DEBIAN_FRONTEND=noninteractive apt-get install --yes --reinstall /lab/ci-warm_*.deb")
    assert installed.show("ci-warm", "ActiveState") == "active"
    assert installed.show("ci-warm", "MainPID") != before
    assert installed.show("ci-warm.target", "UnitFileState") == "enabled"
    installed.sh("apt-get remove --yes ci-warm")
    assert installed.sh("pgrep -f '[c]i-warm run'", check=False) == ""
    assert installed.failed_units() == ""


def test_a_purge_leaves_nothing_of_the_package(installed: SystemHost) -> None:
    installed.sh("systemctl enable --now ci-warm.target && systemctl stop ci-warm.target ci-warm-sweep.timer ci-warm")
    installed.sh("rm -rf /var/lib/ci-warm/* /var/lib/ci-warm/.[!.]*")
    installed.sh("apt-get purge --yes ci-warm")
    assert ours(installed) == ""


def test_a_purge_keeps_specs_and_snapshots(installed: SystemHost) -> None:
    """Losing an operator's data is worse than a folder too many."""
    installed.write("/var/lib/ci-warm/notes/snapshot/manifest.json", "{}")
    installed.write("/etc/ci-warm/apps/notes.yaml", "name: notes")
    installed.sh(
        "mkdir -p /etc/ci-warm/recipes/notes/.git/refs"
    )  # as git gc leaves it: without it, it is no repository
    said = installed.sh("apt-get purge --yes ci-warm 2>&1")
    assert "/var/lib/ci-warm is kept, it is not empty" in said and "/etc/ci-warm is kept" in said
    assert (
        installed.sh("cat /var/lib/ci-warm/notes/snapshot/manifest.json /etc/ci-warm/apps/notes.yaml")
        == "{}name: notes"
    )
    installed.sh("test -d /etc/ci-warm/recipes/notes/.git/refs")
    assert installed.sh("test ! -e /usr/lib/ci-warm && getent group ci-warm | cut -d: -f1") == "ci-warm"


def test_a_suite_that_is_none_is_told_and_nothing_is_made(tmp_path: Path) -> None:
    ran = build("sarge", tmp_path / "out", {})
    assert (ran.returncode, ran.stdout) == (2, "") and not (tmp_path / "out").exists()
    assert ran.stderr == "make deb: there is no package for 'sarge'; there are: bookworm, trixie\n"
