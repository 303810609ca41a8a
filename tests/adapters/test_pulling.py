"""A pull tells how far it is, and what goes wrong in the middle of the engine's answer fails it."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.swarm import images
from reconciler.adapters.swarm.client import SwarmClient
from reconciler.adapters.swarm.pulling import Layers
from reconciler.model.errors import ActError
from reconciler.ports.engine import Pulled

REFERENCE = "registry.test:5000/notes:1.0.0"


def layer(name: str, status: str, current: int | None = None, total: int | None = None) -> dict[str, Any]:
    detail = {key: value for key, value in (("current", current), ("total", total)) if value is not None}
    return {"id": name, "status": status, "progressDetail": detail}


WELL: list[dict[str, Any]] = [
    {"id": "1.0.0", "status": "Pulling from notes"},
    layer("old", "Already exists"),
    layer("a", "Pulling fs layer"),
    layer("b", "Pulling fs layer"),
    layer("c", "Pulling fs layer"),
    layer("b", "Waiting"),
    layer("a", "Downloading", 10, 100),
    layer("c", "Download complete"),
    layer("b", "Downloading", 100, 300),
    layer("a", "Downloading", 100, 100),
    layer("a", "Extracting", 50, 100),
    layer("b", "Verifying Checksum"),
    layer("a", "Pull complete"),
    layer("b", "Extracting", 200, 300),
    layer("b", "Extracting", 7, None) | {"progressDetail": {"current": 7, "units": "s"}},
    layer("b", "Pull complete"),
    layer("c", "Pull complete"),
    {"status": "Digest: sha256:abc"},
    {"status": "Status: Downloaded newer image"},
]


def loading(done: int, of: int | None) -> Pulled:
    return Pulled(doing="loading", done=done, of=of)


def unpacking(done: int) -> Pulled:
    return Pulled(doing="unpacking", done=done, of=400)


def test_layers_are_added_up() -> None:
    layers = Layers()
    heard = [far for message in WELL if (far := layers.hear(message)) is not None]
    assert list(dict.fromkeys(heard)) == [
        loading(0, None),
        loading(10, None),  # b has not said yet how large it is
        loading(110, 400),
        loading(200, 400),
        unpacking(50),
        unpacking(100),
        unpacking(300),
        unpacking(400),
    ]
    assert layers.error == ""


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"status": None},
        {"id": 7, "status": "Downloading", "progressDetail": "x"},
        {"progressDetail": {"total": "x"}},
    ],
)
def test_what_no_engine_says_breaks_nothing(message: dict[str, Any]) -> None:
    layers = Layers()
    layers.hear(message)
    assert layers.error == ""


class FakeEngine:
    """Answers as an engine's API does; `says`: in answer to a pull, with `pause_s` after each message."""

    def __init__(self) -> None:
        self.status = 200
        self.says: list[dict[str, Any]] = WELL
        self.pause_s = 0.0
        self.asked: list[tuple[str, str]] = []
        self.breaks_off = False
        engine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                return

            def answer(self, status: int, body: object) -> None:
                raw = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def do_GET(self) -> None:
                if self.path.endswith("/version"):
                    self.answer(200, {"ApiVersion": "1.41", "Os": "linux", "Arch": "amd64"})
                else:
                    pinned = f"{REFERENCE.rpartition(':')[0]}@sha256:{'a' * 64}"
                    image = {"Id": "sha256:1", "Os": "linux", "Architecture": "amd64", "RepoDigests": [pinned]}
                    self.answer(200, image)

            def do_POST(self) -> None:
                engine.asked.append((self.path, self.headers.get("X-Registry-Auth", "")))
                if engine.status != 200:
                    self.answer(engine.status, engine.says[0])
                    return
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                try:
                    for message in engine.says:
                        raw = json.dumps(message).encode() + b"\r\n"
                        self.wfile.write(b"%x\r\n%b\r\n" % (len(raw), raw))
                        time.sleep(engine.pause_s)
                    if not engine.breaks_off:
                        self.wfile.write(b"0\r\n\r\n")
                except OSError:
                    return  # the other side had enough
                self.close_connection = True

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def pull(self, timeout_s: float = 20.0) -> tuple[str, list[Pulled]]:
        client = SwarmClient(f"tcp://127.0.0.1:{self.server.server_port}", 10)
        heard: list[Pulled] = []
        return images.pull(client, REFERENCE, timeout_s, heard.append).pinned, heard

    def fail(self, timeout_s: float = 20.0) -> ActError:
        with pytest.raises(ActError) as caught:
            self.pull(timeout_s)
        return caught.value


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    made = FakeEngine()
    yield made
    made.server.shutdown()
    made.server.server_close()
    made.thread.join()


def test_a_pull_tells_how_far_it_is(engine: FakeEngine) -> None:
    pinned, heard = engine.pull()
    assert pinned == f"{REFERENCE}@sha256:{'a' * 64}"
    assert heard[0] == loading(0, None) and heard[-1] == unpacking(400)
    assert engine.asked == [("/v1.41/images/create?fromImage=registry.test%3A5000%2Fnotes&tag=1.0.0", "")]


def test_it_goes_with_the_credentials_that_the_host_has_now(engine: FakeEngine, tmp_path: Path) -> None:
    client = SwarmClient(f"tcp://127.0.0.1:{engine.server.server_port}", 10)
    client.platform()
    secret = base64.b64encode(b"robot:hunter2").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"registry.test:5000": {"auth": secret}}}))
    images.pull(client, REFERENCE, 20, lambda _: None)
    [(_, header)] = engine.asked
    sent = json.loads(base64.urlsafe_b64decode(header))
    assert (sent["username"], sent["password"]) == ("robot", "hunter2")


@pytest.mark.filterwarnings("ignore:docker-credential-absent")  # docker-py's own word for it
def test_a_credential_helper_that_is_not_there_is_a_fault_of_the_host(engine: FakeEngine, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"credsStore": "absent"}))
    failed = engine.fail()
    assert failed.host_fault and not failed.permanent and engine.asked == []
    assert f"{REFERENCE} cannot be pulled: the credentials of its registry" in str(failed)


@pytest.mark.parametrize(
    ("message", "permanent"),
    [
        ("manifest for notes:1.0.0 not found: manifest unknown: manifest unknown", True),
        ("pull access denied for notes, repository does not exist or may require 'docker login'", True),
        ("Get https://registry.test:5000/v2/: dial tcp: connection refused", False),
        ("failed to register layer: no space left on device", False),
    ],
)
@pytest.mark.parametrize("where", ["at once", "in the middle"])
def test_an_error_of_the_engine_fails_it_in_its_own_words(
    engine: FakeEngine, message: str, permanent: bool, where: str
) -> None:
    if where == "at once":
        engine.status, engine.says = 404 if permanent else 500, [{"message": message}]
    else:
        engine.says = [*WELL[:8], {"errorDetail": {"message": message}, "error": message}]
    failed = engine.fail()
    assert str(failed) == f"{REFERENCE} cannot be pulled: {message}"
    assert (failed.permanent, failed.host_fault) == (permanent, not permanent)


def test_an_engine_that_breaks_off_is_a_fault_of_the_host(engine: FakeEngine) -> None:
    engine.breaks_off, engine.says = True, WELL[:8]
    failed = engine.fail()
    assert failed.host_fault and not failed.permanent
    assert f"{REFERENCE} cannot be pulled: the engine does not answer" in str(failed)


@pytest.mark.parametrize("pause_s", [0.3, 60.0])
def test_a_pull_that_takes_too_long_is_given_up(engine: FakeEngine, pause_s: float) -> None:
    engine.pause_s = pause_s
    began = time.monotonic()
    failed = engine.fail(timeout_s=0.8)
    assert failed.host_fault and not failed.permanent
    assert time.monotonic() - began < engine.pause_s + 30, "it waited for the next word"


def test_without_an_engine_it_is_a_fault_of_the_host() -> None:
    with pytest.raises(ActError) as caught:
        images.pull(SwarmClient("tcp://127.0.0.1:1", 2), REFERENCE, 2, lambda _: None)
    assert caught.value.host_fault and not caught.value.permanent
