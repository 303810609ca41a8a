"""A stack that was deployed by hand becomes a spec, and what is just its release is adopted without a touch."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.model.settings import Settings
from reconciler.state import specs
from tests.conftest import RegistryServer
from tests.hosts.engine_host import V1, EngineHost, engine_host

pytestmark = [pytest.mark.swarm, pytest.mark.usefixtures("swarm")]
COMPOSE = """\
version: "3.8"
services:
  app:
    image: IMAGE
    environment: ["GREETING=${GREETING}", "API_TOKEN=${API_TOKEN}", "LEVEL=${LEVEL:-info}"]
    ports: [{target: 8080, published: "${PUBLISHED_PORT}", mode: host}]
    volumes: ["data:/data"]
    secrets: [db_password]
    stop_grace_period: 5s
    deploy:
      endpoint_mode: dnsrr
      labels:
        - "coop-cloud.${STACK_NAME}.version=TAG"
        - "coop-cloud.${STACK_NAME}.recipe=notes"
        - "traefik.http.routers.${STACK_NAME}.rule=Host(`${DOMAIN}`)"
volumes: {data: }
secrets: {db_password: {external: true, name: "${STACK_NAME}_db_password_${SECRET_DB_PASSWORD_VERSION}"}}
"""
OVERLAY = 'version: "3.8"\nservices: {app: {environment: ["MORE=${MORE}"]}}\n'
OTHER = 'version: "3.8"\nservices: {app: {hostname: elsewhere}}\n'
CANARY = "canary-4711-secret"


@pytest.fixture
def host(tmp_path: Path, registry_server: RegistryServer) -> Iterator[EngineHost]:
    with engine_host(tmp_path / "host", "swarm", registry=registry_server.address) as made:
        yield made


def docker(*args: str, stdin: str = "", **env: str) -> str:
    argv = ["docker", *args]
    ran = subprocess.run(argv, input=stdin, capture_output=True, text=True, env=os.environ | env, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_what_runs_becomes_a_spec_and_is_adopted(host: EngineHost, tmp_path: Path) -> None:
    stack = str(host.stack)
    domain = host.program.build().specs[0].domain
    for name, text in (("compose.more.yml", OVERLAY), ("compose.other.yml", OTHER)):
        (host.recipe.folder / name).write_text(text)
    image = host.release(V1, compose=COMPOSE.replace("TAG", V1))
    docker("push", image)
    docker("secret", "create", f"{stack}_db_password_v3", "-", stdin=CANARY)
    files = {}
    for name, text in (("compose.yml", COMPOSE.replace("IMAGE", image).replace("TAG", V1)), ("more.yml", OVERLAY)):
        (tmp_path / name).write_text(text)
        files[name] = str(tmp_path / name)
    deployed_with = {
        "STACK_NAME": stack,
        "DOMAIN": domain,
        "GREETING": "good evening",
        "API_TOKEN": CANARY,
        "PUBLISHED_PORT": str(host.port),
        "MORE": "of it",
        "SECRET_DB_PASSWORD_VERSION": "v3",
    }
    docker("stack", "deploy", "-c", files["compose.yml"], "-c", files["more.yml"], stack, **deployed_with)
    path = host.program.config.parent / "apps" / f"{host.name}.yaml"
    path.unlink()
    running = docker("service", "inspect", f"{stack}_app")

    url = host.recipe.url.replace("recipe", "{recipe}")
    asked = ("init", "--from-running", stack, "--name", host.name, "--json")
    missing = host.program.command(*asked, "--recipe", url)
    assert missing.returncode == 1 and not path.exists(), "its label says notes, and there is no such repository"
    ran = host.program.command(*asked, "--recipe", host.recipe.url)
    assert ran.returncode == 0, ran.stderr
    assert CANARY not in ran.stdout + ran.stderr
    [spec] = specs.read_specs([path], Settings())
    assert spec.env == {
        "API_TOKEN": CANARY,
        "COMPOSE_FILE": "compose.yml:compose.more.yml",
        "GREETING": "good evening",
        "MORE": "of it",
        "PUBLISHED_PORT": str(host.port),
    }
    assert (spec.domain, spec.stack_name, spec.stateful) == (domain, stack, True)
    assert {key: one.version for key, one in spec.secrets.items()} == {"db_password": "v3"}
    told = [one["text"] for one in json.loads(ran.stdout)["specs"][0]["not_taken_over"]]
    assert not [text for text in told if text.startswith("differs")], told

    text = path.read_text() + f"health: {{scheme: http, port: {host.port}, path: /health, min_healthy: 1s}}\n"
    path.write_text(text)
    assert host.program.command(*asked, "--recipe", host.recipe.url).returncode == 2, "never in the place of a spec"
    ran = host.program.command("reconcile", timeout=180)
    assert f"adopted:{V1}" in ran.stdout, ran.stdout + ran.stderr
    assert docker("service", "inspect", f"{stack}_app") == running, "not a byte of the service was touched"
    assert host.program.command("plan").returncode in (0, 20, 21)
    docker("stack", "rm", stack)
