"""What the adapter of Keycloak makes of answers, right ones and wrong ones; tests/live asks a real one."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
from typing_extensions import override

from reconciler.adapters.keycloak import OWNER, KeycloakRealms, Server
from reconciler.demo.host import free_port
from reconciler.model.errors import ActError, ObserveError

TOKEN = "/realms/master/protocol/openid-connect/token"
ISSUER = "https://sso.example.net/realms/notes-aaaaaa"
PASSWORD = "canary-4711-secret"


class Keycloak:
    """Answers as it was told: a code and a body per request line; the requests are kept."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, object]] = {f"POST {TOKEN}": (200, {"access_token": "t"})}
        self.asked: list[tuple[str, str, bytes]] = []
        keycloak = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                keycloak.asked.append((f"{self.command} {self.path}", self.headers.get("Authorization", ""), body))
                code, said = keycloak.answers[f"{self.command} {self.path}"]
                data = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(code)
                if code == 302:
                    self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.send_header("Content-Length", str(len(data) if code != 204 else 0))
                self.end_headers()
                if code != 204:
                    self.wfile.write(data)

            do_GET = do_POST = do_DELETE = answer  # noqa: N815 # names that the server looks for

            @override
            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.place = Server(
            scheme="http",
            domain="sso.example.net",
            address="127.0.0.1",
            port=self.server.server_port,
            verify=True,
            admin="admin",
            password=PASSWORD,
            timeout_s=5,
        )
        self.realms = KeycloakRealms(self.place)


@pytest.fixture
def keycloak() -> Iterator[Keycloak]:
    made = Keycloak()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def test_realms_are_listed_with_who_made_them(keycloak: Keycloak) -> None:
    realms = [{"realm": "master"}, {"realm": "notes-aaaaaa", "attributes": {OWNER: "host-1"}}]
    keycloak.answers["GET /admin/realms"] = (200, realms)
    assert keycloak.realms.owners() == {"master": "", "notes-aaaaaa": "host-1"}
    (login, _, form), (_, token, _) = keycloak.asked
    assert login == f"POST {TOKEN}" and token == "Bearer t"
    wanted = {"grant_type": ["password"], "client_id": ["admin-cli"], "username": ["admin"], "password": [PASSWORD]}
    assert parse_qs(form.decode()) == wanted


def test_a_realm_is_made_whole_in_one_request(keycloak: Keycloak) -> None:
    keycloak.answers["POST /admin/realms"] = (201, b"")
    keycloak.answers["GET /realms/notes-aaaaaa/.well-known/openid-configuration"] = (200, {"issuer": ISSUER})
    found = keycloak.realms.create("notes-aaaaaa", "host-1")
    [made] = [json.loads(body) for line, _, body in keycloak.asked if line == "POST /admin/realms"]
    assert made["attributes"] == {OWNER: "host-1"}
    assert made["clients"][0]["secret"] == found.client_secret
    assert made["users"][0]["credentials"][0]["value"] == found.password
    assert (found.issuer, found.discovery) == (ISSUER, f"{ISSUER}/.well-known/openid-configuration")


def test_a_name_that_is_taken_is_permanent_and_anothers(keycloak: Keycloak) -> None:
    keycloak.answers["POST /admin/realms"] = (409, {"errorMessage": "exists"})
    with pytest.raises(ActError, match="is taken") as caught:
        keycloak.realms.create("notes-aaaaaa", "host-1")
    assert caught.value.permanent


@pytest.mark.parametrize(("code", "was_there"), [(204, True), (404, False)])
def test_a_realm_that_is_gone_already_is_deleted(keycloak: Keycloak, code: int, was_there: bool) -> None:
    keycloak.answers["DELETE /admin/realms/notes-aaaaaa"] = (code, b"")
    assert keycloak.realms.delete("notes-aaaaaa") is was_there


@pytest.mark.parametrize(
    ("code", "body"),
    [
        pytest.param(200, b"<html>log in</html>", id="a login page"),
        pytest.param(302, b"", id="a redirect"),
        pytest.param(503, PASSWORD.encode(), id="an error that repeats a secret"),
        pytest.param(200, {"realm": "master"}, id="another shape"),
        pytest.param(200, [{"name": "master"}], id="another list"),
        pytest.param(200, b"null", id="nothing"),
    ],
)
def test_what_answers_otherwise_is_no_keycloak(keycloak: Keycloak, code: int, body: object) -> None:
    """Never an empty list of realms, and never a realm that counts as made or deleted."""
    for line in ("GET /admin/realms", "POST /admin/realms", "DELETE /admin/realms/notes-aaaaaa"):
        keycloak.answers[line] = (code, body)
    said = []
    with pytest.raises(ObserveError) as listed:
        keycloak.realms.owners()
    for change in (lambda: keycloak.realms.create("notes-aaaaaa", "h"), lambda: keycloak.realms.delete("notes-aaaaaa")):
        with pytest.raises(ActError) as caught:
            change()
        assert not caught.value.permanent
        said.append(str(caught.value))
    assert all(PASSWORD not in text and len(text) < 300 for text in (*said, str(listed.value)))
    assert all("elsewhere" not in line for line, _, _ in keycloak.asked)


@pytest.mark.parametrize("answer", [(401, {"error": "invalid_grant"}), (200, {}), (200, b"hello"), (500, b"")])
def test_without_a_token_nothing_is_asked(keycloak: Keycloak, answer: tuple[int, object]) -> None:
    keycloak.answers[f"POST {TOKEN}"] = answer
    with pytest.raises(ObserveError) as caught:
        keycloak.realms.owners()
    assert ("is refused (401)" in str(caught.value)) == (answer[0] == 401)
    assert PASSWORD not in str(caught.value)
    assert [line for line, _, _ in keycloak.asked] == [f"POST {TOKEN}"]


def test_nothing_that_answers_is_told_with_its_cause(keycloak: Keycloak) -> None:
    nobody = replace(keycloak.place, port=free_port())
    with pytest.raises(ObserveError, match="refused"):
        KeycloakRealms(nobody).owners()
