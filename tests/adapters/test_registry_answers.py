"""What answers where a registry should be: "not here" and "here it is" count only if a registry says so."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from reconciler.adapters.registry import HttpRegistry
from reconciler.model.recipe import ImageLookup

HTML = "text/html; charset=utf-8"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
API = {"Docker-Distribution-Api-Version": "registry/2.0"}
DIGEST = {"Docker-Content-Digest": "sha256:" + "1" * 64}
Answer = tuple[int, str, Mapping[str, str]]


@contextmanager
def answering(image: Answer, base: Answer) -> Iterator[str]:
    """A server that answers so to a manifest, and so to the base of the API."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            code, kind, more = base if self.path == "/v2/" else image
            self.send_response(code)
            for name, value in {"Content-Type": kind, "Content-Length": "0", **more}.items():
                self.send_header(name, value)
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def look(image: Answer, base: Answer) -> ImageLookup:
    with answering(image, base) as host:
        return HttpRegistry({}).lookup([f"{host}/a/b:1"])[f"{host}/a/b:1"]


PAGE: Answer = (200, HTML, {})


@pytest.mark.parametrize(
    ("image", "base", "there"),
    [
        pytest.param((200, MANIFEST, DIGEST), PAGE, True, id="there"),
        pytest.param((200, MANIFEST, {}), PAGE, True, id="there, by one that tells no digest"),
        pytest.param(PAGE, PAGE, None, id="a login page says yes to everything"),
        pytest.param((200, "application/json", {}), PAGE, None, id="another API"),
        pytest.param((404, "application/json", API), PAGE, False, id="not there"),
        pytest.param((404, "application/json", {}), PAGE, False, id="not there, by one that names no API"),
        pytest.param((404, HTML, {}), PAGE, None, id="a web server that has no such page"),
        pytest.param((404, HTML, {}), (401, "application/json", API), False, id="a registry with pages for errors"),
        pytest.param((401, "application/json", API), PAGE, None, id="it does not know us"),
        pytest.param((429, "application/json", API), PAGE, None, id="too often"),
        pytest.param((503, HTML, {}), PAGE, None, id="out of order"),
    ],
)
def test_only_a_registry_says_whether_an_image_is_there(image: Answer, base: Answer, there: bool | None) -> None:
    assert look(image, base).exists is there


def test_what_is_no_registry_is_told_as_such() -> None:
    assert look(PAGE, PAGE).error.endswith("answers, and not as a registry does (text/html)")
