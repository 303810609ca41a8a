"""What is asked of an engine without docker-py: where, and that what is no plain answer is left to that."""

import pwd
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from reconciler.adapters.swarm import plain
from reconciler.adapters.swarm.client import OLDEST_API, SwarmClient
from reconciler.model.errors import ObserveError


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[tuple[str, list[bytes]]]:
    """A socket where somebody takes questions and says nothing, or what is in the list."""
    says: list[bytes] = []
    with closing(socket.socket(socket.AF_UNIX)) as line:
        line.bind(str(tmp_path / "s"))
        line.listen()
        kept = []

        def serve() -> None:
            while True:
                try:
                    peer, _ = line.accept()
                except OSError:
                    return
                kept.append(peer)
                peer.recv(4096)
                if says:
                    peer.sendall(says.pop(0))
                    peer.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"unix://{tmp_path / 's'}", says
        line.shutdown(socket.SHUT_RDWR)
        thread.join()
        for peer in kept:
            peer.close()


def answer(body: str, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


def test_an_engine_that_takes_the_question_and_does_not_answer_is_unknown(silent: tuple[str, list[bytes]]) -> None:
    client = SwarmClient(silent[0], 1)
    with pytest.raises(ObserveError, match="the engine does not answer"):
        client.read("services", "services")


@pytest.mark.parametrize(
    "says", ["", "no HTTP at all", answer("{", "200 OK").decode(), answer("[]", "500 Server Error").decode()]
)
def test_what_is_no_plain_answer_is_docker_pys_to_ask(says: str, silent: tuple[str, list[bytes]]) -> None:
    host, said = silent
    said += [answer('{"ApiVersion": "1.44"}'), says.encode() or b"\r\n"]
    reads = plain.find(host, 1, OLDEST_API)
    assert reads is not None
    with pytest.raises(plain.NoPlainAnswerError):
        reads.read("services", {})


def test_an_engine_that_is_too_old_is_docker_pys_to_tell_of(silent: tuple[str, list[bytes]]) -> None:
    host, said = silent
    said += [answer('{"ApiVersion": "1.40"}')]
    reads = plain.find(host, 1, OLDEST_API)
    assert reads is not None
    with pytest.raises(plain.NoPlainAnswerError):
        reads.read("services", {})


@pytest.mark.parametrize("method", ["inspect_service", "events"])
def test_what_is_no_list_is_not_asked_for_here(method: str) -> None:
    reads = plain.find("unix:///nowhere", 1, OLDEST_API)
    assert reads is not None
    with pytest.raises(plain.NoPlainAnswerError):
        reads.read(method, {})


@pytest.mark.parametrize(
    ("host", "variables", "is_used"),
    [
        ("unix:///run/x.sock", {}, True),
        (None, {}, True),
        (None, {"DOCKER_HOST": "unix:///run/x.sock"}, True),
        (None, {"DOCKER_HOST": "tcp://127.0.0.1:2375"}, False),
        ("ssh://there", {}, False),
        ("unix:///run/x.sock", {"DOCKER_TLS_VERIFY": "1"}, False),
    ],
)
def test_where_it_is_used(
    host: str | None, variables: dict[str, str], is_used: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert (plain.find(host, 1, OLDEST_API) is not None) is is_used
    (tmp_path / "config.json").write_text('{"HttpHeaders": {"X-Meta": "y"}}')
    assert plain.find(host, 1, OLDEST_API) is None


def test_a_user_without_a_home_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container with a user id that is nobody's."""

    def nobody(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert plain.find("unix:///run/x.sock", 1, OLDEST_API) is None
