"""What every request must be before anything of it is read: small, in time, and meant for this host. Effects: none.

A pure ASGI wrapper, because it must also bound the body before any framework reads it.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any

from reconciler.web.access import Access

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

MAX_BODY = 16 << 10
BODY_S = 5.0
_HEADERS = {
    # Nothing of this page comes from elsewhere, and nothing of it is shown inside another page.
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    # Not no-referrer: a browser would send its own forms with an Origin of null.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Refusal(Exception):  # noqa: N818 - it is an answer, not a fault
    """An answer that is given before the application is asked."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        self.status, self.detail = status, detail
        super().__init__(detail)


class Guard:
    """Wraps the application. `larger`: paths whose bodies may have more bytes than MAX_BODY, and how many."""

    def __init__(self, app: App, access: Access, larger: Mapping[str, int]) -> None:
        self._app = app
        self._access = access
        self._larger = larger

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        guarded = _with_headers(send)
        try:
            headers = _read_headers(scope)
            self._check(str(scope["method"]), headers)
            body = await _read_body(receive, headers, self._larger.get(str(scope["path"]), MAX_BODY))
        except Refusal as refusal:
            await _answer(guarded, refusal)
            return
        await self._app(scope, _replay(body, receive), guarded)

    def _check(self, method: str, headers: dict[str, str]) -> None:
        if not self._access.is_ours(headers.get("host", "")):
            raise Refusal(HTTPStatus.MISDIRECTED_REQUEST, "this host has no such name; see web.hosts")
        if method in ("GET", "HEAD"):
            return
        origin = headers.get("origin")
        if origin is not None and not self._access.is_ours(origin.partition("://")[2]):
            raise Refusal(HTTPStatus.FORBIDDEN, "asked from another page")
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise Refusal(HTTPStatus.FORBIDDEN, "asked from another page")


def _read_headers(scope: Message) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        # Two of these are read by one program so and by the next one otherwise.
        if name in found and name in ("host", "authorization", "origin", "content-length"):
            raise Refusal(HTTPStatus.BAD_REQUEST, f"two headers {name}")
        found[name] = raw_value.decode("latin-1")
    return found


async def _read_body(receive: Receive, headers: dict[str, str], most: int) -> bytes:
    """All of it, for it is small.

    Raises:
        Refusal: it is too large, or does not come.
    """
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit() or int(length) > most:
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {most} bytes")
    if length == "0" and "transfer-encoding" not in headers:
        return b""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            while True:
                message = await receive()
                body += message.get("body", b"")
                if len(body) > most:
                    raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {most} bytes")
                if message["type"] != "http.request" or not message.get("more_body"):
                    return bytes(body)
    except TimeoutError as exc:
        raise Refusal(HTTPStatus.REQUEST_TIMEOUT, f"the body did not come within {BODY_S:g} s") from exc


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give the body that was read, then whatever comes: a stream waits there for its reader to go away."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {name for name, _ in message["headers"]}
            added = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
            if b"cache-control" not in own:
                added.append((b"cache-control", b"no-store"))
            message["headers"] = [*message["headers"], *added]
        await send(message)

    return wrapped


async def _answer(send: Send, refusal: Refusal) -> None:
    text = json.dumps(
        {"title": refusal.status.phrase, "status": int(refusal.status), "detail": refusal.detail}
    ).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(text)).encode())]
    # What is left of the body is not read, so that the connection is of no more use.
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": int(refusal.status), "headers": headers})
    await send({"type": "http.response.body", "body": text})
