"""A Docker Engine of another Debian release, as the engine that tests run their containers on. Effects: root, mounts.

A tree is made once and cached; its dockerd runs in namespaces of its own, and is ended by its process. What tests
mount into containers has to be in `shared`.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.conftest import missing, private_dockerd
from tests.systemd.host import cache, debian

HERE = Path(__file__).parent
SUITES = {"28": "forky", "26": "trixie"}
"""Engine -> the Debian that has it."""
VERSION = "28"
"""The newest of them."""
PACKAGES = ("docker.io", "docker-cli", "iptables", "iproute2", "ca-certificates", "procps", "kmod")
MOBY = "CI_WARM_TEST_MOBY"
"""Names a dockerd of moby v2, the next engine, which no Debian has yet: `CGO_ENABLED=0 go install` makes one of
github.com/moby/moby/v2/cmd/dockerd in minutes. It gets the rest of the newest engine."""


def tree(version: str = VERSION) -> Path:
    """A Debian tree with that engine; made if it is not there yet."""
    suite = SUITES[version]
    path = cache() / f"engine-{suite}-{hashlib.sha256(repr(PACKAGES).encode()).hexdigest()[:12]}"
    if not path.exists():
        made = Path(tempfile.mkdtemp(dir=cache()))
        debian(suite, PACKAGES, made, "--format=directory")
        with contextlib.suppress(OSError):
            made.rename(path)
    return path


def program(version: str) -> str:
    """The dockerd of an engine; skips where it has to be named and is not."""
    found = "dockerd" if version in SUITES else os.environ.get(MOBY, "")
    if not found:
        pytest.skip(f"{MOBY} names no dockerd of moby v2")
    return found


def pivot(version: str, places: Sequence[Path]) -> list[str]:
    """What puts a command into the engine's tree, with these folders in it."""
    found = program(version)
    shared = [*places, *([Path(found).parent] if "/" in found else [])]
    root = tree(version if version in SUITES else VERSION)
    return ["sh", str(HERE / "pivot.sh"), str(root), *map(str, shared), "--"]


@contextlib.contextmanager
def running(version: str, shared: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Start an engine, VERSION or "moby": its address, and a folder that it shares beside those given."""
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        missing("another engine needs root and mmdebstrap (apt-get install mmdebstrap)")
    folder = Path(tempfile.mkdtemp(prefix="ciw-"))  # socket paths must be short
    prefix = ["unshare", "--mount", "--net", *pivot(version, [folder, *shared])]
    with private_dockerd(folder, prefix=prefix, program=program(version)) as (host, _):
        ask = ["docker", "--host", host, "version", "--format", "{{.Server.Version}}"]
        found = subprocess.run(ask, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
        assert version == "moby" or found.startswith(f"{version}."), f"Debian has Docker {found} now"
        yield host, folder


def put_newer_cli(folder: Path) -> None:
    """Put that tree's `docker` into a folder, for a machine whose own is older. Its libraries are the tree's, too."""
    if shutil.which("mmdebstrap") is None:
        missing("a newer docker CLI needs mmdebstrap (apt-get install mmdebstrap)")
    root = tree()
    loader = root / "lib64" / "ld-linux-x86-64.so.2"
    program = folder / "docker"
    libraries = root / "usr" / "lib" / "x86_64-linux-gnu"
    program.write_text(f'#!/bin/sh\nexec {loader} --library-path {libraries} {root}/usr/bin/docker "$@"\n')
    program.chmod(0o755)
