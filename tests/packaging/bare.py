"""A bare Debian to try things in: its tree is made once and cached, and each test works in a copy of its own."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import missing
from tests.systemd.host import cache, debian

_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_INSIDE = """
set -eu
root=$1
shift
for at in dev sys; do mount --rbind /$at "$root/$at"; done
mount -t proc proc "$root/proc"
mkdir -p "$root/cache"
mount --bind "$CI_WARM_BARE_CACHE" "$root/cache"
[ -z "$CI_WARM_BARE_NET" ] || ip link set lo up
exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \\
  DEBIAN_FRONTEND=noninteractive PIP_CACHE_DIR=/cache PIP_ROOT_USER_ACTION=ignore sh -c "$@"
"""


@dataclass(frozen=True, kw_only=True)
class Bare:
    """A root tree that may be changed."""

    root: Path

    def sh(self, command: str, *, network: bool = True, timeout_s: int = 600) -> "subprocess.CompletedProcess[str]":
        """Run a shell command as root in it, in namespaces that end with it."""
        spaces = ["--mount", "--pid", "--ipc", "--fork", "--kill-child", *([] if network else ["--net"])]
        argv = ["unshare", *spaces, "sh", "-c", _INSIDE, "sh", str(self.root), command]
        wheels = cache() / "pip"
        wheels.mkdir(exist_ok=True)
        environment = {
            **os.environ,
            "CI_WARM_BARE_CACHE": str(wheels),
            "CI_WARM_BARE_NET": "" if network else "none",
        }
        return subprocess.run(
            argv, env=environment, capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL
        )

    def run(self, command: str) -> str:
        """Run a shell command that must go well; what it printed."""
        ran = self.sh(command)
        assert ran.returncode == 0, f"{command}: {ran.stdout[-3000:]}{ran.stderr[-3000:]}"
        return ran.stdout.strip()


def tree(suite: str, packages: Sequence[str]) -> Path:
    """A Debian tree with these packages and apt's lists; made if it is not there yet."""
    path = cache() / f"bare-{suite}-{hashlib.sha256(repr(packages).encode()).hexdigest()[:12]}"
    if not path.exists():
        made = Path(tempfile.mkdtemp(dir=cache()))
        debian(suite, packages, made, "--format=directory", "--skip=cleanup/apt/lists")
        made.chmod(0o755)
        with contextlib.suppress(OSError):
            made.rename(path)
    return path


@contextlib.contextmanager
def bare(suite: str, packages: Sequence[str] = ()) -> Iterator[Bare]:
    """A copy of that tree, gone afterwards. It trusts whom this machine trusts, and finds names as it does."""
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        missing("a bare Debian needs root and mmdebstrap (apt-get install mmdebstrap)")
    with tempfile.TemporaryDirectory(prefix="ciw-bare-", ignore_cleanup_errors=True) as folder:
        root = Path(folder) / "root"
        subprocess.run(
            ["cp", "-a", "--reflink=auto", str(tree(suite, ("ca-certificates", *packages))), root], check=True
        )
        if _AUTHORITIES.exists():
            shutil.copy(_AUTHORITIES, root / _AUTHORITIES.relative_to("/"))
        (root / "etc/resolv.conf").write_text(Path("/etc/resolv.conf").read_text())
        yield Bare(root=root)


def checkout(into: Path) -> None:
    """Copy what git knows or would take of this project."""
    project = Path(__file__).parents[2]
    argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(argv, cwd=project, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, listed):
        if (project / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(project / name, into / name)
