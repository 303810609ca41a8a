"""The engine's lists, asked for over its Unix socket by the standard library. Effects: HTTP to the engine.

A command that only looks would wait longer for docker-py's import than for all answers of the engine. Whatever is not a
plain answer is docker-py's to ask for again and to put into words.
"""

import http.client
import json
import os
import socket
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from typing_extensions import override

_DEFAULT = "unix:///var/run/docker.sock"
_OK = 200
_LISTS = {
    "info": "/info",
    "version": "/version",
    "services": "/services",
    "tasks": "/tasks",
    "containers": "/containers/json",
    "volumes": "/volumes",
    "networks": "/networks",
    "nodes": "/nodes",
    "secrets": "/secrets",
    "configs": "/configs",
}
"""By docker-py's name of the call."""
_PARAMETERS = frozenset({"status", "all", "filters"})


class NoPlainAnswerError(Exception):
    """Ask docker-py."""


class PlainReads:
    """One connection per question: threads share nothing, and an engine that was started again is no matter.

    `oldest`: the API version below which docker-py is left to say what is wrong.
    """

    def __init__(self, path: str, timeout_s: float, oldest: tuple[int, ...]) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._oldest = oldest
        self._version = ""

    def read(self, method: str, parameters: Mapping[str, Any]) -> Any:
        """What docker-py's method of that name would give.

        Raises:
            NoPlainAnswerError: docker-py is to be asked.
            TimeoutError: the engine has not answered in time.
        """
        if method not in _LISTS or not _PARAMETERS.issuperset(parameters):
            raise NoPlainAnswerError
        given = {key: _text(value) for key, value in parameters.items() if value is not None}
        try:
            version = self._version or self._negotiate()
            found = self._get(f"/v{version}{_LISTS[method]}{'?' if given else ''}{urlencode(given)}")
        except TimeoutError:
            raise
        except (http.client.HTTPException, OSError, ValueError, KeyError, TypeError) as exc:
            self.forget()
            raise NoPlainAnswerError from exc
        self._version = version
        return found

    def _negotiate(self) -> str:
        found = str(self._get("/version")["ApiVersion"])
        if tuple(int(part) for part in found.split(".")) < self._oldest:
            raise NoPlainAnswerError
        return found

    def _get(self, path: str) -> Any:
        with closing(_UnixLine(self._path, self._timeout_s)) as line:
            line.request("GET", path, headers={"User-Agent": "ci-warm", "Connection": "close"})
            answer = line.getresponse()
            body = answer.read()
        if answer.status != _OK:
            raise NoPlainAnswerError
        return json.loads(body)

    def forget(self) -> None:
        """Negotiate again with whatever engine is there then."""
        self._version = ""


class _UnixLine(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    @override
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _text(value: object) -> str:
    """As docker-py writes it: a filter of one value is a list of one."""
    if isinstance(value, Mapping):
        return json.dumps({key: one if isinstance(one, list) else [one] for key, one in value.items()})
    return "1" if value is True else "0" if value is False else str(value)


def find(host: str | None, timeout_s: float, oldest: tuple[int, ...]) -> PlainReads | None:
    """For an engine at a Unix socket; None elsewhere, and where the Docker configuration asks for headers."""
    given = host if host is not None else os.environ.get("DOCKER_HOST") or _DEFAULT
    if not given.startswith("unix:///") or os.environ.get("DOCKER_TLS_VERIFY") or os.environ.get("DOCKER_CERT_PATH"):
        return None
    try:
        folder = os.environ.get("DOCKER_CONFIG") or Path("~/.docker").expanduser()
        if b'"HttpHeaders"' in Path(folder, "config.json").read_bytes():
            return None
    except FileNotFoundError:
        pass
    except (OSError, RuntimeError):  # it may not be read, or there is no home: whether it says so is not known
        return None
    return PlainReads(given.removeprefix("unix://"), max(1.0, timeout_s), oldest)
