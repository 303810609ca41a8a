"""The test host: built once and cached outside the project, started and thrown away by the tests."""

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.lab import until

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
SUITE, PYTHON = "bookworm", "3.11"
PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "python3",
    "procps",
    "iproute2",
    "kmod",
    "docker.io",
    "iptables",
    "git",
    "ca-certificates",
    "acl",
    "attr",
    "libcap2-bin",
)
_SLIM = ("doc", "man", "locale", "info")


def cache() -> Path:
    """Where what takes long to make is kept between runs."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ci-warm-tests"
    base.mkdir(parents=True, exist_ok=True)
    return base


def mirror() -> str:
    """The Debian mirror that this machine uses."""
    for path in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]:
        text = path.read_text() if path.is_file() else ""
        found = re.search(r"^(?:URIs:\s*|deb\s+(?:\[[^\]]*\]\s*)?)(\S+/debian/?)(?:\s|$)", text, re.M)
        if found:
            return found[1]
    return "http://deb.debian.org/debian"


def root_archive() -> Path:
    """A Debian tree as a tar file."""
    key = hashlib.sha256(repr((SUITE, PACKAGES, (HERE / "init.sh").read_text())).encode()).hexdigest()[:12]
    path = cache() / f"host-{SUITE}-{key}.tar"
    if not path.exists():
        made = path.with_suffix(f".{os.getpid()}.part")
        socket = "[Socket]\\nListenStream=/lab/docker.sock\\n"
        hooks = [
            f"--customize-hook=copy-in {HERE / 'init.sh'} /",
            '--customize-hook=chroot "$1" systemctl mask getty.target systemd-modules-load.service',
            '--customize-hook=mkdir -p "$1/etc/systemd/system/docker.socket.d" "$1/lab"',
            f"--customize-hook=printf '{socket}' >\"$1/etc/systemd/system/docker.socket.d/lab.conf\"",
        ]
        slim = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _SLIM]
        subprocess.run(
            [
                "mmdebstrap",
                "--quiet",
                "--variant=minbase",
                "--mode=root",
                f"--include={','.join(PACKAGES)}",
                *slim,
                *hooks,
                "--format=tar",
                SUITE,
                str(made),
                mirror(),
            ],
            check=True,
            timeout=900,
        )
        made.rename(path)
    return path


def libraries() -> Path:
    """What ci-warm needs, for the Python of that Debian; as in the lock file."""
    lock = PROJECT / "requirements.lock"
    path = cache() / f"python{PYTHON}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    if not path.exists():
        made = Path(tempfile.mkdtemp(dir=cache()))
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--require-hashes",
                "--only-binary=:all:",
                "--python-version",
                PYTHON,
                "--target",
                str(made),
                "-r",
                str(lock),
            ],
            check=True,
            timeout=600,
        )
        with contextlib.suppress(OSError):
            made.rename(path)
    return path


class SystemHost:
    """One running host. `lab` is a folder of this machine that the host sees as /lab."""

    def __init__(self, lab: Path) -> None:
        self.lab = lab
        self.name = f"ci-warm-host-{secrets.token_hex(4)}"
        self.engine = f"unix://{lab}/docker.sock"

    def sh(self, command: str, *, check: bool = True) -> str:
        """Run a shell command on the host; what it printed."""
        ran = subprocess.run(
            ["docker", "exec", self.name, "sh", "-c", command], capture_output=True, text=True, timeout=300
        )
        if check:
            assert ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
        return ran.stdout.strip()

    def show(self, unit: str, key: str) -> str:
        """A property of a unit."""
        return self.sh(f"systemctl show --property={key} --value {unit}")

    def boot(self) -> None:
        """Start the container and wait until systemd has come up."""
        version = "v2" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "v1"
        program = self.lab / "ci-warm"
        program.write_text('#!/bin/sh\nexec env PYTHONPATH=/opt/ci-warm:/opt/lib python3 -m reconciler "$@"\n')
        program.chmod(0o755)
        binds = [
            f"{self.lab}:/lab",
            f"{PROJECT / 'reconciler'}:/opt/ci-warm/reconciler:ro",
            f"{libraries()}:/opt/lib:ro",
            f"{program}:/usr/bin/ci-warm:ro",
            f"{HERE / 'switch.py'}:/opt/switch.py:ro",
            f"{self.name}:/var/lib/docker",
        ]
        options = [option for bind in binds for option in ("--volume", bind)]
        tmpfs = [option for path in ("/run:exec", "/run/lock", "/tmp:exec") for option in ("--tmpfs", path)]
        # All capabilities that a container can be given here: --privileged asks for more than some machines have.
        subprocess.run(
            [
                "docker",
                "run",
                "--detach",
                "--tty",
                "--name",
                self.name,
                "--hostname",
                "host",
                *options,
                *tmpfs,
                "--cap-add",
                "ALL",
                "--cap-drop",
                "SYS_RESOURCE",
                "--security-opt",
                "seccomp=unconfined",
                "--security-opt",
                "apparmor=unconfined",
                "--security-opt",
                "systempaths=unconfined",
                "--device-cgroup-rule",
                "a *:* rwm",
                "--cgroupns",
                "private",
                "--stop-signal",
                "SIGRTMIN+3",
                "--env",
                "container=docker",
                self.image(),
                "/init.sh",
                version,
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
        self.up()

    def image(self) -> str:
        """The image on the engine here, imported if it is not."""
        archive = root_archive()
        reference = f"ci-warm-test/{archive.stem}:1"
        if subprocess.run(["docker", "image", "inspect", reference], capture_output=True).returncode != 0:
            subprocess.run(["docker", "import", str(archive), reference], check=True, capture_output=True, timeout=300)
        return reference

    def up(self) -> None:
        """Wait until the host has booted, well or not."""
        until(
            lambda: self.sh("systemctl is-system-running", check=False) in ("running", "degraded"), 90, "systemd is up"
        )
        until(lambda: (self.lab / "docker.sock").exists() and "ok" in self.sh("docker info >/dev/null && echo ok"), 60)

    def crash(self) -> None:
        """Power off without a goodbye, and boot again."""
        subprocess.run(["docker", "kill", self.name], check=True, capture_output=True)
        subprocess.run(["docker", "start", self.name], check=True, capture_output=True)
        self.up()

    def journal(self, unit: str = "ci-warm") -> str:
        """What a unit said since boot."""
        return self.sh(f"journalctl --no-pager --output=cat --unit={unit}")

    def failed_units(self) -> str:
        """Names of failed units; '' is good."""
        return self.sh("systemctl --failed --plain --no-legend")

    def remove(self) -> None:
        """Leave nothing behind."""
        subprocess.run(["docker", "rm", "--force", "--volumes", self.name], capture_output=True)
        subprocess.run(["docker", "volume", "rm", "--force", self.name], capture_output=True)


@contextlib.contextmanager
def system_host() -> Iterator[SystemHost]:
    """A booted host with a Swarm on it."""
    made = SystemHost(Path(tempfile.mkdtemp(prefix="ciw-")))
    try:
        made.boot()
        made.sh("docker swarm init --advertise-addr 127.0.0.1")
        yield made
    finally:
        made.remove()
        subprocess.run(["docker", "image", "rm", "--force", made.image()], capture_output=True)
        shutil.rmtree(made.lab, ignore_errors=True)
