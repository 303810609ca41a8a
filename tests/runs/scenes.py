"""Scenes that several tests of runs start from."""

import json
import subprocess
from typing import Any

from reconciler.demo.host import free_port
from tests.hosts.engine_host import V3, EngineHost
from tests.waiting import until


def slow(host: EngineHost) -> None:
    commit(host, {"ci/slow.sh": "#!/bin/sh\nsleep 300\n"})
    host.release(V3, SCHEMA="3")
    host.write_spec(tests={"checks": [{"name": "slow", "run": ["ci/slow.sh"]}]})


def started(host: EngineHost, *args: str) -> "subprocess.Popen[bytes]":
    child = subprocess.Popen(host.program.argv(*args), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: any((host.state / "runs").glob("*/custom.log")), 60, "the custom checks began")
    return child


def state(host: EngineHost) -> dict[str, Any]:
    """The canonical as `canonical list` tells it."""
    ran = host.program.command("canonical", "list", "--json")
    assert ran.returncode == 0, ran.stderr
    [row] = json.loads(ran.stdout)
    return dict(row)


def whole(host: EngineHost) -> str:
    """The version that the record names; it, its snapshot and the idle data must belong together."""
    app = host.program.build()
    name = app.specs[0].app
    canonical = app.ports.canonicals.canonical(name)
    manifest = app.snapshots.observe(name)
    if canonical is None:
        return ""
    assert manifest is not None and manifest.id == canonical.snapshot and manifest.version == canonical.version
    assert app.snapshots.verify(name) == ()
    return canonical.version


def commit(host: EngineHost, files: dict[str, str], *, modes: tuple[str, ...] = ()) -> None:
    """Put files beside the recipe's compose.yml; they come with the next release or commit."""
    for name, body in files.items():
        path = host.recipe.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body)
        path.chmod(0o755 if name in modes or name.endswith(".sh") else 0o644)
    host.recipe.git("add", "--all")
    host.recipe.git("commit", "--quiet", "--allow-empty", "--message", "Add files")


KEYCLOAK_SECRET = "secret-of-the-admin"


def keycloak_is_away(host: EngineHost) -> None:
    """The settings name a live Keycloak at an address where nobody listens, and the recipe's tests need one."""
    password = host.home / "password"
    password.write_text(KEYCLOAK_SECRET)
    live = {
        "name": "sso",
        "recipe": {"url": host.recipe.url},
        "domain": "sso.example.test",
        "stateful": False,
        "health": {"scheme": "http", "port": free_port()},
    }
    (host.home / "etc" / "apps" / "sso.yaml").write_text(json.dumps(live))
    host.set(keycloak={"app": "sso", "password_file": str(password)})
    host.write_spec(tests={"needs": ["keycloak"]})
