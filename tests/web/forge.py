"""A forge as far as it is written to: comments and statuses, as Forgejo's API has it. Effects: a thread, HTTP."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "a-token-of-the-forge"
_NEW = re.compile(r"/api/v1/repos/recipes/notes/issues/(\d+)/comments")
_EDIT = re.compile(r"/api/v1/repos/recipes/notes/issues/comments/(\d+)")
_SEARCH = re.compile(r"/api/v1/orgs/recipes/teams/search\?q=([a-z]+)&limit=50")
_MEMBER = re.compile(r"/api/v1/teams/(\d+)/members/([a-z]+)")
_STATUS = re.compile(r"/api/v1/repos/recipes/notes/statuses/([0-9a-f]{40})")


@dataclass
class FakeForge:
    """`comments`: by id, every text that each had; `statuses`: in their order; `teams`: logins by team.

    `away`: answers with 502.
    """

    url: str = ""
    comments: dict[int, list[str]] = field(default_factory=dict)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    teams: dict[str, list[str]] = field(default_factory=dict)
    refused: int = 0
    away: bool = False

    def take(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if method == "POST" and (_NEW.fullmatch(path)):
            number = len(self.comments) + 100
            self.comments[number] = [body["body"]]
            return 201, {"id": number, "body": body["body"]}
        if method == "PATCH" and (found := _EDIT.fullmatch(path)):
            if int(found[1]) not in self.comments:
                return 404, {"message": "not found"}
            self.comments[int(found[1])].append(body["body"])
            return 200, {"id": int(found[1])}
        if method == "POST" and (found := _STATUS.fullmatch(path)):
            self.statuses.append({**body, "sha": found[1]})
            return 201, {"id": len(self.statuses)}
        if method == "GET" and (found := _SEARCH.fullmatch(path)):
            names = enumerate(name for name in self.teams if found[1] in name)
            return 200, {"ok": True, "data": [{"id": number, "name": name} for number, name in names]}
        if method == "GET" and (found := _MEMBER.fullmatch(path)):
            is_in = found[2] in list(self.teams.values())[int(found[1])]
            return (200, {"login": found[2]}) if is_in else (404, {"message": "not found"})
        return 404, {"message": path}


@contextmanager
def forge() -> Iterator[FakeForge]:
    """Serve one on a port of its own."""
    made = FakeForge()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or "null")
            if self.headers["authorization"] != f"token {TOKEN}":
                made.refused += 1
                code, document = 401, {"message": "token is required"}
            elif made.away:
                code, document = 502, {"message": "bad gateway"}
            else:
                code, document = made.take(self.command, self.path, body)
            data = json.dumps(document).encode()
            self.send_response(code)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = _answer  # noqa: N815 - the names that the server calls

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
