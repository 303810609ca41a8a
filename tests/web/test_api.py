"""`/api/v1` and what guards it, from a real process."""

import json
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from reconciler.web.access import Role
from reconciler.web.reading import StateReader
from tests.waiting import until
from tests.web import api_doc
from tests.web.site import Site, copy_state


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("web")
    made = Site(home=folder / "etc", state=copy_state(folder / "state"), roles=tuple(Role), hosts=("ci.example.net",))
    with made.serving():
        yield made


READS = {
    "/api/v1/status": "apps",
    "/api/v1/apps": "notes",
    "/api/v1/apps/notes": "known_good",
    "/api/v1/apps/notes/history?limit=3": "op_id",
    "/api/v1/history": '"from"',
    "/api/v1/alerts": "fingerprint",
    "/api/v1/alerts?seen=true": "",
    "/api/v1/runs": "cano-56eadd",
    "/api/v1/runs/cano-56eadd": "stages",
    "/api/v1/sweeps": "2026-11-25",
    "/api/v1/sweeps/2026-11-25": "items",
}


@pytest.mark.parametrize("path", READS)
def test_what_is_shown_can_be_read_and_is_sent_once(path: str, site: Site) -> None:
    answer = site.get(path, Role.READ)
    assert answer.status_code == 200
    assert READS[path] in answer.text
    again = site.get(path, Role.READ, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_description_has_every_address(site: Site) -> None:
    paths = site.get("/api/v1/openapi.json").json()["paths"]
    for path in READS:
        shape = path.partition("?")[0].replace("notes", "{app}").replace("cano-56eadd", "{run}")
        assert shape.replace("2026-11-25", "{date}") in paths
    assert {"/api/v1/requests", "/api/v1/requests/{name}", "/api/v1/changes"} <= set(paths)


ASKS = [
    (None, "reconcile", 401),
    (Role.READ, "reconcile", 403),
    (Role.READ, "approve", 403),
    (Role.CI, "reconcile", 202),
    (Role.CI, "test", 202),
    (Role.CI, "approve", 403),
    (Role.CI, "suspend", 403),
    (Role.OPERATE, "approve", 202),
    (Role.OPERATE, "rm", 422),
]


@pytest.mark.parametrize(("role", "action", "status"), ASKS)
def test_a_token_is_good_for_its_role(role: Role | None, action: str, status: int, site: Site) -> None:
    before = set((site.state / "requests").iterdir())
    answer = site.ask("POST", "/api/v1/requests", role, json={"action": action, "app": "notes"})
    assert answer.status_code == status, answer.text
    left = set((site.state / "requests").iterdir()) - before
    if status != 202:
        assert (left, answer.headers["content-type"]) == (set(), "application/problem+json")
        return
    [path] = left
    request = json.loads(path.read_text())
    assert request["id"] == answer.json()["id"] and request["id"] not in path.name, "nobody else learns it"
    assert (request["action"], request["by"]) == (action, f"{role}-token")
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("token", ["", "x", "Bearer", "ü" * 20, "\x7f" * 3])
def test_another_token_is_none(token: str, site: Site) -> None:
    answer = site.get("/api/v1/apps", headers={"authorization": f"Bearer {token}".encode().decode("latin-1")})
    assert answer.status_code == 401


def test_a_reply_can_be_waited_for(site: Site) -> None:
    name = site.ask("POST", "/api/v1/requests", Role.CI, json={"action": "reconcile"}).json()["id"]
    waiting = {"id": name, "reply": None, "run": None}
    assert site.get(f"/api/v1/requests/{name}?wait=0.2", Role.READ).json() == waiting
    reply = {"schema_version": 1, "id": name, "action": "reconcile", "outcome": "done", "text": "seen"}
    (site.state / "replies" / f"{name}.json").write_text(json.dumps(reply | {"at": "2026-11-29T00:00:00Z"}))
    assert site.get(f"/api/v1/requests/{name}?wait=20", Role.READ).json()["reply"]["text"] == "seen"
    assert site.get("/api/v1/requests/..%2f..%2fx", Role.READ).status_code in (404, 422)


def test_who_shows_no_token_learns_nothing(site: Site) -> None:
    """Not even which apps and runs there are."""
    paths = ["/", "/apps/notes", "/apps/nope", "/runs", "/runs/cano-56eadd", "/runs/cano-000000", "/alerts", "/changes"]
    answers = {path: site.get(path) for path in paths}
    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(paths, 401)
    assert len({answer.text.partition("<title>")[0] for answer in answers.values()}) == 1
    assert not any("notes" in answer.text or "cano-" in answer.text for answer in answers.values())
    for path in ("/api/v1/apps/notes", "/api/v1/apps/nope", "/api/v1/runs/cano-000000"):
        assert site.get(path).status_code == 401


def test_readers_side_by_side_see_each_line_once(tmp_path: Path) -> None:
    reader = StateReader(copy_state(tmp_path / "state"))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: len(reader.history(limit=1000)), range(40)))
    assert set(found) == {len((tmp_path / "state" / "history.jsonl").read_text().splitlines())}


REFUSED: list[tuple[str, dict[str, Any], int]] = [
    ("another name of this host", {"headers": {"host": "evil.example.com"}}, 421),
    ("a name that begins so", {"headers": {"host": "localhost.evil.example.com"}}, 421),
    ("asked from another page", {"headers": {"origin": "https://evil.example.com"}}, 403),
    ("asked from no page", {"headers": {"origin": "null"}}, 403),
    ("asked across sites", {"headers": {"sec-fetch-site": "cross-site"}}, 403),
    ("a body that is too large", {"data": "x" * 20_000}, 413),
    ("a form", {"data": {"action": "reconcile"}}, 422),
    ("no JSON", {"data": "{", "headers": {"content-type": "application/json"}}, 422),
    ("a list", {"json": []}, 422),
    ("a reason that is too long", {"json": {"action": "suspend", "reason": "x" * 2000}}, 422),
]


@pytest.mark.parametrize(("how", "status"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_request_that_is_not_right_writes_nothing(how: dict[str, Any], status: int, site: Site) -> None:
    before = set((site.state / "requests").iterdir())
    sent = {"json": {"action": "reconcile"}} | how if "data" not in how else how
    answer = site.ask("POST", "/api/v1/requests", Role.OPERATE, **sent)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert set((site.state / "requests").iterdir()) == before
    assert "x" * 100 not in answer.text


def test_the_name_of_a_proxied_page_is_ours(site: Site) -> None:
    assert site.get("/api/v1/apps", Role.READ, headers={"host": "CI.example.net:443"}).status_code == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /api/v1/apps HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n",
        b"POST /api/v1/requests HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_what_is_no_http_is_thrown_out(raw: bytes, site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=20) as line:
        line.sendall(raw)
        line.shutdown(socket.SHUT_WR)
        answer = line.recv(4096)
    assert answer == b"" or answer.split(b" ", 2)[1].startswith(b"4"), answer
    assert site.get("/healthz").status_code == 200


def test_a_body_that_does_not_come_is_given_up(site: Site) -> None:
    head = b"POST /api/v1/requests HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
    with socket.create_connection(("127.0.0.1", site.port), timeout=30) as line:
        line.sendall(head)
        assert b" 408 " in line.recv(4096)


def test_changes_are_told(site: Site) -> None:
    with site.get("/api/v1/changes", Role.READ, stream=True) as answer:
        lines = answer.iter_lines(chunk_size=1, decode_unicode=True)
        assert next(lines) == "retry: 5000"
        path = site.state / "status.json"
        path.write_text(path.read_text() + " ")
        until(lambda: next(lines) == "event: changed", 20)


BAD_TOKENS = [
    ("x operate y\n", 0o600, "tokens:1: web.tokens: is not `NAME read|ci|operate SHA256`"),
    ("", 0o644, "web.tokens: others can read it; chmod 600"),
]


@pytest.mark.parametrize(("text", "mode", "says"), BAD_TOKENS)
def test_a_file_of_tokens_that_is_not_right_is_an_error(text: str, mode: int, says: str, tmp_path: Path) -> None:
    site = Site(home=tmp_path / "etc", state=tmp_path, roles=(Role.READ,))
    argv = site.argv()
    (site.home / "tokens").write_text(text)
    (site.home / "tokens").chmod(mode)
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, says in ran.stderr, "Traceback" in ran.stderr) == (2, True, False), ran.stderr


def test_a_port_that_is_taken_is_an_error(site: Site, tmp_path: Path) -> None:
    second = Site(home=tmp_path / "etc", state=tmp_path, port=site.port)
    ran = subprocess.run(second.argv(), capture_output=True, text=True, timeout=60)
    assert (ran.returncode, f"web.listen 127.0.0.1:{site.port}: Address already in use" in ran.stderr) == (2, True)


def test_a_token_is_shown_once_with_the_line_that_lets_it_in(tmp_path: Path) -> None:
    site = Site(home=tmp_path / "etc", state=tmp_path)
    ran = subprocess.run(site.argv("web-token", "forge", "--role", "ci"), capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0
    token, line = ran.stdout.strip(), ran.stderr.splitlines()[-1]
    assert line.startswith("forge ci ") and token not in ran.stderr
    for words, says in ((("Forge",), "is no name"), (("forge", "--role", "root"), "it is one of read, ci, operate")):
        ran = subprocess.run(site.argv("web-token", *words), capture_output=True, text=True, timeout=60)
        assert (ran.returncode, says in ran.stderr) == (2, True)


@pytest.mark.repository
def test_the_document_of_the_api_is_made_of_its_description() -> None:
    document = Path(__file__).parents[2] / "docs" / "api.md"
    text = document.read_text()
    assert "`POST /api/v1/requests`" in text
    assert api_doc.rewritten(text) == text, f"python -m tests.web.api_doc {document}"
