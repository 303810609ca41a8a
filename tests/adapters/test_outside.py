"""What other programs get from us: proxies for what goes outside, none for what is here, and a umask of their own."""

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from reconciler.adapters import process
from reconciler.adapters.checks import CommandChecks
from reconciler.adapters.git import GitRecipes
from reconciler.adapters.probe import SystemProber
from reconciler.adapters.registry import HttpRegistry
from reconciler.adapters.sweep_command import SweepCommand
from reconciler.model.probe import Probe
from reconciler.model.settings import GitSettings, RegistrySettings
from reconciler.model.tests import CheckSpec
from reconciler.ports.checks import CheckJob

NOWHERE = "http://127.0.0.1:9"
AWAY = "registry.example.test"


class Seen(BaseHTTPRequestHandler):
    """A registry, a forge and a proxy, as they are asked."""

    asked: list[tuple[str, str | None]]
    to = ""

    def _answer(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization")))
        self.send_response(307 if self.to and self.path.startswith("http:") else 200)
        if self.to:
            self.send_header("Location", self.to)
        self.send_header("Content-Type", "application/vnd.oci.image.manifest.v1+json")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def listening(redirect: str = "") -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """Its address, and what it was asked."""
    asked: list[tuple[str, str | None]] = []
    server = HTTPServer(("127.0.0.1", 0), type("Here", (Seen,), {"asked": asked, "to": redirect}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in process.PROXIES:
        monkeypatch.delenv(name, raising=False)


def exists(host: str) -> bool | None:
    image = f"{host}/a/b:1"
    return HttpRegistry({AWAY: RegistrySettings(insecure=True)}).lookup([image])[image].exists


@pytest.mark.parametrize("name", process.PROXIES)
def test_programs_that_go_outside_get_the_proxies_in_both_spellings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, NOWHERE)
    assert f"{name}={NOWHERE}" in process.run(["env"], timeout_s=10).output.splitlines()


# Not HTTP_PROXY: git knows that one in lower case only.
@pytest.mark.parametrize("name", ["http_proxy", "all_proxy", "ALL_PROXY"])
def test_git_asks_the_proxy(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as (proxy, asked):
        monkeypatch.setenv(name, f"http://{proxy}")
        GitRecipes(tmp_path, GitSettings(), time.monotonic).fetch("http://git.example.test/notes.git")
    assert asked and asked[0][0].startswith("http://git.example.test/notes.git/info/refs")


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_registries_are_asked_through_the_proxy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as (proxy, asked):
        monkeypatch.setenv(name, f"http://{proxy}")
        assert exists(AWAY) is True
    assert asked == [(f"http://{AWAY}/v2/a/b/manifests/1", None)]


def test_what_no_proxy_names_and_what_is_on_this_host_is_asked_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as (proxy, asked), listening() as (here, directly):
        monkeypatch.setenv("http_proxy", f"http://{proxy}")
        assert exists(here) is True and directly == [("/v2/a/b/manifests/1", None)]
        monkeypatch.setenv("no_proxy", "example.test")
        assert exists(AWAY) is None
    assert asked == []


def test_a_redirect_to_this_host_leaves_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as (here, directly), listening(f"http://{here}/moved") as (proxy, asked):
        monkeypatch.setenv("http_proxy", f"http://{proxy}")
        HttpRegistry({AWAY: RegistrySettings(insecure=True)}).lookup([f"{AWAY}/a/b:1"], details=True)
    assert directly and {path for path, _ in directly} == {"/moved"}
    assert all(path.startswith(f"http://{AWAY}/") for path, _ in asked)


def test_nothing_else_of_the_environment_reaches_a_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text(f"machine {AWAY} login alice password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with listening() as (proxy, asked):
        monkeypatch.setenv("http_proxy", f"http://{proxy}")
        assert exists(AWAY) is True
    assert [login for _, login in asked] == [None]


def test_probes_know_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in process.PROXIES:
        monkeypatch.setenv(name, NOWHERE)
    with listening() as (here, asked):
        address, _, port = here.partition(":")
        answer = SystemProber().probe(
            Probe(
                scheme="http",
                host="notes.example.test",
                address=address,
                port=int(port),
                path="/health",
                status=(200,),
                timeout_s=5,
                body=None,
                tls_verify=True,
                ca_file=None,
            )
        )
    assert answer.ok and asked == [("/health", None)]


def job(folder: Path, *argv: str) -> CheckJob:
    return CheckJob(
        check=CheckSpec(name="check", run=argv),
        folder=folder,
        environment={},
        log=folder / "log",
        user="",
        output_cap=1 << 20,
        secrets=[],
        timeout_s=20,
    )


def test_a_check_asks_its_app_past_every_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in process.PROXIES:
        monkeypatch.setenv(name, NOWHERE)
    assert CommandChecks(time.sleep).run(job(tmp_path, "env")).passed
    assert "proxy" not in (tmp_path / "log").read_text().lower()


def test_git_is_given_a_program_that_exists_and_knows_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "git").write_text(f'#!/bin/sh\nprintf %s "$GIT_ASKPASS" >{tmp_path}/asks\n')
    (tools / "false").write_text("#!/bin/sh\nexit 1\n")
    for program in tools.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    GitRecipes(tmp_path, GitSettings(), time.monotonic).fetch("https://git.example.test/notes.git")
    assert (tmp_path / "asks").read_text() == str(tools / "false")


def mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


def test_commands_of_the_operator_leave_files_that_others_can_read(tmp_path: Path) -> None:
    made = [tmp_path / name for name in ("check", "before")]
    assert CommandChecks(time.sleep).run(job(tmp_path, "mkdir", str(made[0]))).passed
    assert SweepCommand(tmp_path).run(["mkdir", str(made[1])], "2026-01-01", 20)[0] == 0
    assert [mode(path) for path in made] == ["0o755", "0o755"]


def test_our_own_files_stay_private(tmp_path: Path) -> None:
    process.run(["mkdir", str(tmp_path / "mirror")], timeout_s=10)
    assert mode(tmp_path / "mirror") == "0o700"
