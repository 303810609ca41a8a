"""Do Engine, `docker` program and library fit each other? Effects: asks the Engine, by the program itself.

Part of the independent checker: the writers speak through docker-py, so this does not.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from importlib import metadata

from reconciler.doctor import Finding

OLDEST_API = (1, 41)
"""Engine 20.10."""
_ASK_S = 30


def examine(host: str | None) -> Iterator[Finding]:
    """Say which versions are here, and what does not fit. `host`: the Engine's, None: as the program finds it."""
    where = host or os.environ.get("DOCKER_HOST") or "the local socket"
    argv = ["docker", *(["--host", host] if host else []), "version", "--format", "{{json .}}"]
    try:
        ran = subprocess.run(argv, capture_output=True, text=True, timeout=_ASK_S, check=False)
    except FileNotFoundError:
        yield _find("docker", "there is no such program on the PATH (Debian: apt-get install docker-cli)")
        return
    except (OSError, subprocess.TimeoutExpired) as exc:
        yield _find("docker", f"does not answer: {exc}")
        return
    try:
        found = json.loads(ran.stdout)
        client, server = found["Client"], found.get("Server")
    except (ValueError, TypeError, KeyError):
        yield _find("docker", f"does not tell its version: {(ran.stderr.strip() or ran.stdout.strip())[-300:]}")
        return
    if not server:
        yield _find(where, f"no Engine answers: {ran.stderr.strip()[-300:]}")
        return
    yield from _judge(where, client, server)


def _judge(where: str, client: dict[str, str], server: dict[str, str]) -> Iterator[Finding]:
    library = metadata.version("docker")
    told = f"Engine {server.get('Version')} (API {server.get('MinAPIVersion')} to {server.get('ApiVersion')}), docker "
    told += f"{client.get('Version')} (API {client.get('ApiVersion')}), docker-py {library}"
    yield Finding(invariant="tools", path=where, message=told, severity="note")
    newest, oldest = _version(server.get("ApiVersion")), _version(server.get("MinAPIVersion"))
    if newest < OLDEST_API:
        yield _find(where, f"speaks API {server.get('ApiVersion')}; 1.41 (Engine 20.10) is the oldest that is known")
    # A program lowers its API to the Engine's, and cannot raise it; this is what it would speak by itself.
    if _version(client.get("DefaultAPIVersion") or client.get("ApiVersion")) < oldest:
        yield _find("docker", f"is too old for this Engine, which takes API {server.get('MinAPIVersion')} and newer")


def _version(text: str | None) -> tuple[int, ...]:
    return tuple(int(part) for part in str(text or "0").split(".") if part.isdigit())


def _find(path: str, message: str) -> Finding:
    return Finding(invariant="tools", path=path, message=message)
