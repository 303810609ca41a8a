"""The test host: built once and cached outside the project, started and thrown away by the tests."""

import contextlib
import hashlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import missing
from tests.waiting import until

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
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
    # What the README asks for beside them.
    "python3-venv",
    "busybox-static",
)
_SLIM = ("doc", "man", "locale", "info")
_CAPABILITIES = """
    CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
    NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
    SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
    MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ
"""
"""By their numbers in the kernel, as far as Engine 20.10 knows them."""


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A Debian release: its Python, its systemd, and what its Docker needs beside PACKAGES."""

    name: str
    python: str
    systemd: str
    more: tuple[str, ...] = ()


BOOKWORM = Suite(name="bookworm", python="3.11", systemd="252")
TRIXIE = Suite(name="trixie", python="3.13", systemd="257", more=("docker-cli",))


def cache() -> Path:
    """Where what takes long to make is kept between runs."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ci-warm-tests"
    base.mkdir(parents=True, exist_ok=True)
    return base


def mirror() -> str:
    """The Debian mirror that this machine's apt uses."""
    form = "$(ORIGIN) $(LABEL) $(REPO_URI)"
    ran = subprocess.run(
        ["apt-get", "indextargets", "--format", form, "Identifier: Packages"], capture_output=True, text=True
    )
    found = [line.split()[2] for line in ran.stdout.splitlines() if line.startswith("Debian Debian ")]
    if not found:
        missing("apt knows no Debian mirror (apt-get update)")
    return found[0]


def debian(suite: str, packages: Sequence[str], target: Path, *options: str) -> None:
    """Make a Debian, as a tar file or a folder. Old indexes are fine: nothing here is exposed to a network."""
    slim = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _SLIM]
    subprocess.run(
        [
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            "--mode=root",
            '--aptopt=Acquire::Check-Valid-Until "false"',
            f"--include={','.join(packages)}",
            *slim,
            *options,
            suite,
            str(target),
            mirror(),
        ],
        check=True,
        timeout=900,
    )


def root_archive(suite: Suite) -> Path:
    """A Debian tree as a tar file."""
    packages = (*PACKAGES, *suite.more)
    key = hashlib.sha256(repr((suite.name, packages, (HERE / "init.sh").read_text())).encode()).hexdigest()[:12]
    path = cache() / f"host-{suite.name}-{key}.tar"
    if not path.exists():
        made = path.with_suffix(f".{os.getpid()}.part")
        socket = "[Socket]\\nListenStream=/lab/docker.sock\\n"
        hooks = [
            f"--customize-hook=copy-in {HERE / 'init.sh'} /",
            '--customize-hook=chroot "$1" systemctl mask getty.target systemd-modules-load.service',
            '--customize-hook=mkdir -p "$1/etc/systemd/system/docker.socket.d" "$1/lab"',
            f"--customize-hook=printf '{socket}' >\"$1/etc/systemd/system/docker.socket.d/lab.conf\"",
        ]
        debian(suite.name, packages, made, *hooks, "--format=tar")
        made.rename(path)
    return path


def libraries(python: str) -> Path:
    """What ci-warm needs, for the Python of that Debian; as in the lock file."""
    lock = PROJECT / "requirements.lock"
    path = cache() / f"python{python}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    if not path.exists():
        made = Path(tempfile.mkdtemp(dir=cache()))
        install_locked(lock, made, python)
        with contextlib.suppress(OSError):
            made.rename(path)
    return path


def install_locked(lock: Path, target: Path, python: str, *options: str) -> None:
    """Put the wheels of a lock file into a folder, for another Python than this one."""
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--require-hashes", "--only-binary=:all:", "--python-version", python, *options),
            *("--target", str(target), "-r", str(lock)),
        ],
        check=True,
        timeout=600,
    )


def wheels(python: str) -> Path:
    """A folder with every wheel that an installation from the project's folder takes, what builds it too."""
    locks = [PROJECT / name for name in ("requirements.lock", "build-requirements.lock")]
    key = hashlib.sha256(b"".join(lock.read_bytes() for lock in locks)).hexdigest()[:12]
    path = cache() / f"wheels{python}-{key}"
    if not path.exists():
        made = Path(tempfile.mkdtemp(dir=cache()))
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        options = ["--only-binary=:all:", "--python-version", python, "--dest", str(made)]
        named = [word for lock in locks for word in ("-r", str(lock))]
        subprocess.run([*pip, "--require-hashes", *options, *named], check=True, timeout=600)
        with contextlib.suppress(OSError):
            made.rename(path)
    return path


def capabilities() -> list[str]:
    """All that a container can be given here: --privileged asks for more than some machines have."""
    status = Path("/proc/self/status").read_text()
    have = int(status.partition("CapBnd:")[2].split()[0], 16)
    return [name for number, name in enumerate(_CAPABILITIES.split()) if have >> number & 1]


class SystemHost:
    """One running host. `lab` is a folder of this machine that the host sees as /lab; `on`: the engine it runs on."""

    def __init__(self, lab: Path, suite: Suite = BOOKWORM, on: str | None = None) -> None:
        self.lab = lab
        self.suite = suite
        self._docker = ["docker", *(["--host", on] if on else [])]
        self.name = f"ci-warm-host-{secrets.token_hex(4)}"
        self.engine = f"unix://{lab}/docker.sock"

    def sh(self, command: str, *, check: bool = True) -> str:
        """Run a shell command on the host; what it printed."""
        argv = [*self._docker, "exec", self.name, "sh", "-c", command]
        ran = subprocess.run(argv, capture_output=True, text=True, timeout=300)
        if check:
            assert ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
        return ran.stdout.strip()

    def write(self, path: str, text: str) -> None:
        """Write a file on the host."""
        script = f"mkdir -p $(dirname {path}) && cat >{path}"
        argv = [*self._docker, "exec", "-i", self.name, "sh", "-c", script]
        subprocess.run(argv, input=text.encode(), check=True)

    def show(self, unit: str, key: str) -> str:
        """A property of a unit."""
        return self.sh(f"systemctl show --property={key} --value {unit}")

    def binds(self) -> list[str]:
        """What of this machine the host sees: the program as it is in this checkout, and what it needs."""
        program = self.lab / "ci-warm"
        program.write_text('#!/bin/sh\nexec env PYTHONPATH=/opt/ci-warm:/opt/lib python3 -m reconciler "$@"\n')
        program.chmod(0o755)
        libs = libraries(self.suite.python)
        return [
            f"{PROJECT / 'reconciler'}:/opt/ci-warm/reconciler:ro",
            f"{libs}:/opt/lib:ro",
            f"{program}:/usr/bin/ci-warm:ro",
            f"{HERE / 'switch.py'}:/opt/switch.py:ro",
        ]

    def boot(self) -> None:
        """Start the container and wait until systemd has come up."""
        version = "v2" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "v1"
        binds = [f"{self.lab}:/lab", f"{self.name}:/var/lib/docker", *self.binds()]
        options = [option for bind in binds for option in ("--volume", bind)]
        tmpfs = [option for path in ("/run:exec", "/run/lock", "/tmp:exec") for option in ("--tmpfs", path)]
        # Each by its name: Engine 20.10 means by ALL also what the machine lacks, and 28 refuses to drop what it lacks.
        rights = [option for name in capabilities() for option in ("--cap-add", name)]
        free = [
            option
            for what in ("seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined")
            for option in ("--security-opt", what)
        ]
        ran = subprocess.run(
            [
                *self._docker,
                "run",
                "--detach",
                "--tty",
                "--name",
                self.name,
                "--hostname",
                "host",
                *options,
                *tmpfs,
                "--cap-drop",
                "ALL",
                *rights,
                *free,
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
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ran.returncode == 0, ran.stderr
        self.up()

    def image(self) -> str:
        """The image on the engine here, imported if it is not."""
        archive = root_archive(self.suite)
        reference = f"ci-warm-test/{archive.stem}:1"
        image = [*self._docker, "image"]
        if subprocess.run([*image, "inspect", reference], capture_output=True).returncode != 0:
            subprocess.run([*image, "import", str(archive), reference], check=True, capture_output=True, timeout=300)
        return reference

    def up(self) -> None:
        """Wait until the host has booted, well or not."""
        until(
            lambda: self.sh("systemctl is-system-running", check=False) in ("running", "degraded"), 90, "systemd is up"
        )
        until(lambda: (self.lab / "docker.sock").exists() and "ok" in self.sh("docker info >/dev/null && echo ok"), 60)

    def crash(self) -> None:
        """Power off without a goodbye, and boot again."""
        subprocess.run([*self._docker, "kill", self.name], check=True, capture_output=True)
        subprocess.run([*self._docker, "start", self.name], check=True, capture_output=True)
        self.up()

    def journal(self, unit: str = "ci-warm") -> str:
        """What a unit said since boot."""
        return self.sh(f"journalctl --no-pager --output=cat --unit={unit}")

    def failed_units(self) -> str:
        """Names of failed units; '' is good."""
        return self.sh("systemctl --failed --plain --no-legend")

    def remove(self) -> None:
        """Leave nothing behind."""
        subprocess.run([*self._docker, "rm", "--force", "--volumes", self.name], capture_output=True)
        subprocess.run([*self._docker, "volume", "rm", "--force", self.name], capture_output=True)
        subprocess.run([*self._docker, "image", "rm", "--force", self.image()], capture_output=True)


@contextlib.contextmanager
def system_host(suite: Suite = BOOKWORM, on: str | None = None, folder: Path | None = None) -> Iterator[SystemHost]:
    """A booted host with a Swarm on it. `folder`: where its lab is made, if the engine sees no other."""
    made = SystemHost(Path(tempfile.mkdtemp(prefix="ciw-", dir=folder)), suite, on)
    try:
        made.boot()
        made.sh("docker swarm init --advertise-addr 127.0.0.1")
        yield made
    finally:
        made.remove()
        shutil.rmtree(made.lab, ignore_errors=True)
