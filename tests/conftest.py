"""What tests need from the machine: found or started here; what is missing skips by name, and fails with CI=true."""

import contextlib
import importlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog

from reconciler.adapters.embedded import owner
from reconciler.adapters.process import ends_with_us
from reconciler.demo.host import free_port
from tests.waiting import until

IN_CI = os.environ.get("CI") == "true"
NAMED_ENGINE = "CI_WARM_TEST_DOCKER_HOST"
"""Names the engine that all tests share; without it, they start the machine's own."""


def missing(what: str) -> None:
    """Skip by name, or fail where everything must be there."""
    if IN_CI:
        pytest.fail(f"CI=true, but {what}")
    pytest.skip(what)


def need_module(name: str) -> Any:
    """A library of the tests alone: without it a module is skipped by name, and in CI that is a failure."""
    if IN_CI:
        return importlib.import_module(name)
    return pytest.importorskip(name, reason=f"the library {name} of the tests is not installed")


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in this hook, too, and would be first
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one worker: those that say so, and without a shared engine all of a Swarm, for its engine is private.

    One group for each test: xdist joins several to a new one, and two workers would each start an engine.
    """
    shared = bool(os.environ.get(NAMED_ENGINE))
    for item in items:
        together = item.get_closest_marker("together")
        if "swarm" in item.keywords and not shared:
            item.add_marker(pytest.mark.xdist_group("swarm"))
        elif together is not None:
            item.add_marker(pytest.mark.xdist_group(*together.args))


def pytest_configure() -> None:
    """What tests start on the embedded engine ends with them, however they end."""
    owner.claim()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Images of real programs are shared by all workers, so the last one out removes them."""
    host = os.environ.get(NAMED_ENGINE)
    if host is None or hasattr(session.config, "workerinput") or os.environ.get("CI_WARM_TEST_KEEP_IMAGES"):
        return
    base = ["docker", "--host", host]
    listing = [*base, "images", "--quiet", "--filter", "reference=ci-warm-live/*"]
    found = subprocess.run(listing, capture_output=True, text=True, check=False).stdout.split()
    if found:
        subprocess.run([*base, "image", "rm", "--force", *dict.fromkeys(found)], capture_output=True, check=False)


@pytest.fixture(autouse=True)
def _private_umask() -> Iterator[None]:
    """Tests run as the program does."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def _own_process() -> Iterator[None]:
    """A command that a test runs in this process sets up its log and its signals; the next test has its own."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    structlog.reset_defaults()
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def as_root() -> None:
    """Owners, device nodes and capabilities need root."""
    if os.geteuid() != 0:
        missing("this test needs root")


def is_answering(host: str) -> bool:
    """Say whether an engine answers at this address; there may be no `docker` to ask it with."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "--host", host, "info"], capture_output=True, timeout=30).returncode == 0


@contextlib.contextmanager
def private_dockerd(
    folder: Path, name: str = "d", prefix: Sequence[str] = (), program: str = "dockerd", *, keep: bool = False
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A dockerd of our own: its socket, and the process. `keep`: leave its data, so that it may be started again."""
    sock = f"unix://{folder}/{name}.sock"
    log = (folder / f"{name}.log").open("wb")
    daemon = subprocess.Popen(
        [
            *prefix,
            program,
            "--data-root",
            str(folder / f"{name}-data"),
            "--exec-root",
            str(folder / f"{name}-exec"),
            "--pidfile",
            str(folder / f"{name}.pid"),
            "--host",
            sock,
            "--storage-driver",
            "overlay2",
        ],
        stdout=log,
        stderr=log,
        start_new_session=True,
        preexec_fn=_end_with_us(),
    )
    try:
        until(lambda: is_answering(sock) or daemon.poll() is not None, 60, "dockerd answers")
        if daemon.poll() is not None:
            missing(f"dockerd does not start here: {(folder / f'{name}.log').read_text()[-400:]}")
        yield sock, daemon
    finally:
        with contextlib.suppress(ProcessLookupError):
            daemon.send_signal(signal.SIGCONT)
            daemon.terminate()
        try:
            daemon.wait(30)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
        log.close()
        if not keep:
            clear_folder(folder)


def _end_with_us() -> Callable[[], object] | None:
    """For the child to call: tests that are killed leave no engine behind, and an engine that is asked ends its tasks.

    None in another thread than the main one: its end would be taken for that of the tests.
    """
    if threading.current_thread() is not threading.main_thread():
        return None
    return ends_with_us(signal.SIGTERM)


def clear_folder(folder: Path) -> None:
    """Remove the folder of an engine that has ended, with what it left mounted there."""
    subprocess.run(["sh", "-c", f"mount | grep -o ' on {folder}[^ ]*' | cut -c5- | xargs -r umount -l"], check=False)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def docker_host() -> Iterator[str]:
    """An engine in swarm mode: CI_WARM_TEST_DOCKER_HOST if it is named, else a private one of our own."""
    given = os.environ.get(NAMED_ENGINE)
    if given:
        os.environ["DOCKER_HOST"] = given
        if not is_answering(given):
            missing(f"no Docker engine answers at {given}")
        init_swarm(given)
        yield given
        return
    if os.geteuid() != 0 or shutil.which("dockerd") is None or shutil.which("docker") is None:
        missing("no Docker engine: needs root with dockerd and docker installed, or CI_WARM_TEST_DOCKER_HOST")
    if is_answering("unix:///var/run/docker.sock"):
        missing("an engine runs here; CI_WARM_TEST_DOCKER_HOST=unix:///var/run/docker.sock lets the tests use it")
    folder = Path(tempfile.mkdtemp(prefix="ci-warm-dockerd-"))
    with private_dockerd(folder) as (host, _):
        os.environ["DOCKER_HOST"] = host
        init_swarm(host)
        yield host
        subprocess.run(["docker", "swarm", "leave", "--force"], capture_output=True, check=False)
        del os.environ["DOCKER_HOST"]


def init_swarm(host: str) -> None:
    """Make it a Swarm of one node, if it is none yet."""
    docker = ["docker", "--host", host]
    ask = [*docker, "info", "--format", "{{.Swarm.LocalNodeState}}"]
    if subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip() != "active":
        # A port of its own: the vxlan interfaces that a killed dockerd left on this machine hold the usual one.
        port = str(random.randrange(20_000, 30_000))
        argv = [*docker, "swarm", "init", "--advertise-addr", "127.0.0.1", "--data-path-port", port]
        subprocess.run(argv, capture_output=True, check=True)


@pytest.fixture(scope="session")
def swarm(docker_host: str) -> str:
    """A swarm and what images are made of."""
    if shutil.which("busybox") is None:
        missing("no static busybox (apt-get install busybox-static)")
    return docker_host


@pytest.fixture(scope="session")
def registry_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator["RegistryServer"]:
    """Debian's docker-registry on a loopback port."""
    if shutil.which("docker-registry") is None:
        missing("docker-registry is not installed")
    server = RegistryServer(tmp_path_factory.mktemp("registry"))
    server.start()
    yield server
    server.stop()


class RegistryServer:
    """A real registry that can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        config = self.folder / "config.yml"
        config.write_text(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: "
            f"{self.folder / 'data'}\n  delete:\n    enabled: true\nhttp:\n  addr: {self.address}\n"
        )
        log = (self.folder / "log").open("ab")
        argv = ["docker-registry", "serve", str(config)]
        self._process = subprocess.Popen(argv, stdout=log, stderr=log, preexec_fn=_end_with_us())
        log.close()
        until(self._listens, 20, "the registry listens")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None
