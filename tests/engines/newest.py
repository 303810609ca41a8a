"""The newest engine that can be had, on this machine's own network, for one command. Effects: root, mounts, processes.

Its dockerd lives in the tree of a newer Debian, with what tests give to containers: their own folders in /tmp, this
checkout, and the libraries that are kept between runs.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from tests.conftest import IN_CI, NAMED_ENGINE, init_swarm, is_answering, private_dockerd
from tests.engines import engine, memory
from tests.systemd.host import cache

_PROJECT = Path(__file__).parents[2]
_DEFAULT = "unix:///var/run/docker.sock"
_BRIDGES = ("docker0", "docker_gwbridge")
"""What a dockerd makes on the machine's network and does not take away."""
_TERMINATED = 143
_LAST_WORDS = 4000


def run(command: Sequence[str]) -> int:
    """Run a command whose tests find that engine; its exit code.

    Without an engine of our own where one is named or answers already, and where none can be made: tests then say by
    name what they miss. In CI that is a failure, and an engine that answers is used.
    """
    signal.signal(signal.SIGTERM, _end)  # what was started here ends however this ends
    answering = os.environ.get("DOCKER_HOST", _DEFAULT)
    if os.environ.get(NAMED_ENGINE):
        return _run(command, {})  # one that does not see what is in our memory
    if is_answering(answering):
        if IN_CI:
            init_swarm(answering)
            return _run(command, {NAMED_ENGINE: answering})
        _say(f"an engine answers at {answering}; {NAMED_ENGINE}={answering} lets the tests use it")
        return _run(command, {})
    memory.enter(["-m", "tests.engines", "newest", *command])
    reason = _why_none()
    if reason and IN_CI:
        _say(f"CI=true, but no newest engine: {reason}")
        return 1
    if reason:
        _say(f"on the machine's own engine, if it has one, and not on the newest: {reason}")
        return _run(command, {})
    with _started() as environment:
        return _run(command, environment)


def _why_none() -> str:
    if os.geteuid() != 0:
        return "that needs root"
    missing = [name for name in ("mmdebstrap", "unshare", "iptables", "ip") if shutil.which(name) is None]
    if missing:
        return f"that needs {', '.join(missing)}"
    try:
        engine.tree()
    except (OSError, subprocess.SubprocessError) as exc:
        return f"its tree cannot be made: {exc}"
    return ""


@contextlib.contextmanager
def _started() -> Iterator[dict[str, str]]:
    """Start it, in swarm mode; gives what a command needs in its environment."""
    folder = Path(tempfile.mkdtemp(prefix="cwn"))  # socket paths must be short
    programs = folder / "bin"
    programs.mkdir()
    engine.put_newer_cli(programs)
    path = f"{programs}:{os.environ['PATH']}"
    os.environ["PATH"] = path
    inside = engine.pivot(engine.VERSION, [Path(tempfile.gettempdir()), _PROJECT, cache()])
    prefix = ["unshare", "--mount", "--propagation", "slave", *inside]
    bridges = [name for name in _BRIDGES if not _has_link(name)]
    try:
        with private_dockerd(folder, prefix=prefix, program=engine.program(engine.VERSION)) as (host, daemon):
            init_swarm(host)
            ask = [
                "docker",
                "--host",
                host,
                "version",
                "--format",
                "Engine {{.Server.Version}}, docker {{.Client.Version}}",
            ]
            _say(subprocess.run(ask, capture_output=True, text=True, check=True, timeout=30).stdout.strip())
            yield {"PATH": path, "DOCKER_HOST": host, NAMED_ENGINE: host}
            if daemon.poll() is not None:
                _say(f"it died; its last words:\n{(folder / 'd.log').read_text(errors='replace')[-_LAST_WORDS:]}")
            leave = ["docker", "--host", host, "swarm", "leave", "--force"]
            subprocess.run(leave, capture_output=True, check=False, timeout=60)
    finally:
        for name in bridges:
            subprocess.run(["ip", "link", "del", name], capture_output=True, check=False)


def _has_link(name: str) -> bool:
    return subprocess.run(["ip", "link", "show", name], capture_output=True, check=False).returncode == 0


def _run(command: Sequence[str], environment: dict[str, str]) -> int:
    with subprocess.Popen(command, env={**os.environ, **environment}) as child:
        try:
            return child.wait()
        finally:
            if child.poll() is None:
                child.terminate()


def _say(text: str) -> None:
    sys.stdout.write(f"engines: {text}\n")
    sys.stdout.flush()


def _end(*_: object) -> NoReturn:
    sys.exit(_TERMINATED)
