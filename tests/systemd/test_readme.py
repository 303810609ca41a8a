"""The README's five minutes, word for word, on a fresh Debian with a Swarm and neither registry nor forge."""

import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.systemd.host import BOOKWORM, PROJECT, SystemHost, wheels

pytestmark = [
    pytest.mark.swarm,
    pytest.mark.long,
    pytest.mark.repository,
    pytest.mark.timeout(600),
    pytest.mark.together("systemd"),
]
SECTION = re.compile(r"^## Five minutes on a real Swarm\n(.*?)^The flake has no lock", re.MULTILINE | re.DOTALL)
EXPECTED = re.compile(r"\(exit (\d+)")
SAYS = re.compile(r"# .*?((?:notes|RECONCILE RESULT: notes) \S+:\S+)")


def commands() -> list[str]:
    """Every line of the section's shell blocks."""
    section = SECTION.search((PROJECT / "README.md").read_text())
    assert section is not None
    blocks = re.findall(r"```sh\n(.*?)```", section[1], re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


@pytest.fixture
def fresh(machine: SystemHost) -> Iterator[SystemHost]:
    """The host with this project in a folder, and the wheels where pip is told to look: the host has no network."""
    source = machine.lab / "ci-warm-source"
    listed = subprocess.run(["git", "-C", str(PROJECT), "ls-files"], capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        if not name.startswith(("tests/", "docs/", "nix/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, source / name)
    shutil.copytree(wheels(BOOKWORM.python), machine.lab / "wheels")
    machine.write("/etc/pip.conf", "[global]\nno-index = true\nfind-links = /lab/wheels\n")
    try:
        yield machine
    finally:
        machine.sh(
            "systemctl disable --now ci-warm.target ci-warm.service ci-warm-sweep.timer; systemctl reset-failed; "
            "docker stack rm notes_example_test; rm -rf /etc/systemd/system/ci-warm* /etc/ci-warm /var/lib/ci-warm "
            "/var/lib/systemd/timers/stamp-ci-warm* /etc/pip.conf /usr/local/bin/ci-warm; groupdel ci-warm; "
            'systemctl daemon-reload; until [ -z "$(docker ps -q --filter label=com.docker.stack.namespace)" ]; do :; '
            "done; docker ps -aq | xargs -r docker rm -f; docker volume ls -q | xargs -r docker volume rm; "
            "docker images -q 'ci-warm-example/*' | xargs -r docker image rm -f; "
            "find /opt/ci-warm -mindepth 1 -maxdepth 1 ! -name reconciler | xargs rm -rf",
            check=False,
        )
        shutil.rmtree(source, ignore_errors=True)
        shutil.rmtree(machine.lab / "wheels", ignore_errors=True)


def run(host: SystemHost, command: str) -> "subprocess.CompletedProcess[str]":
    """One line as it is typed, in the project's folder."""
    argv = [*host._docker, "exec", "--workdir", "/lab/ci-warm-source", host.name, "bash", "-c", command]
    return subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)


def test_every_command_does_what_its_comment_says_and_the_host_is_green_in_the_end(fresh: SystemHost) -> None:
    typed = commands()
    assert len(typed) > 20
    for line in typed:
        ran = run(fresh, line)
        expected = EXPECTED.search(line)
        assert ran.returncode == (int(expected[1]) if expected else 0), (line, ran.stdout, ran.stderr)
        says = SAYS.search(line)
        assert says is None or says[1] in ran.stdout, (line, ran.stdout, ran.stderr)
    assert fresh.failed_units() == ""
    assert fresh.show("ci-warm", "ActiveState") == "active"
    assert fresh.show("ci-warm-sweep", "Result") == "success"
    assert run(fresh, "ci-warm alerts list").stderr.strip() == "no open alerts"
    notes = run(fresh, "cat /var/lib/docker/volumes/notes_example_test_data/_data/notes.txt").stdout
    assert notes.splitlines()[0] == "[schema 3] [schema 2] first note", "no trace of the broken release"
    which = run(
        fresh, "env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin sh -c 'command -v ci-warm'"
    )
    assert which.stdout.strip() == "/usr/local/bin/ci-warm", "on the path that sudo leaves"
    assert run(fresh, "grep ^ExecStart= /etc/systemd/system/ci-warm.service").stdout == (
        "ExecStart=/opt/ci-warm/bin/ci-warm run\n"
    )
