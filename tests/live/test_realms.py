"""A realm per run on a real Keycloak, through a real Traefik and TLS with a private authority."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler import app as composition
from reconciler.adapters.keycloak import KeycloakRealms
from reconciler.demo import recipes
from reconciler.engine.testrun.realms import RealmContext
from reconciler.model.errors import ActError, ObserveError
from reconciler.model.ids import AppName, StackName
from tests.live import images
from tests.live.ingress import Ingress
from tests.live.keycloak import QUICK, Keycloak
from tests.live.site import PREFIX, Site, site
from tests.waiting import until

pytestmark = [
    pytest.mark.swarm,
    pytest.mark.long,
    pytest.mark.live,
    pytest.mark.timeout(900),
    pytest.mark.together("realms"),
]

# What a test run does with its realm: a password grant, asked at the public name, resolved to this machine.
GRANT = """
import base64, json, os, socket, sys, urllib.parse, urllib.request, ssl
port, ca = int(sys.argv[1]), sys.argv[2]
real = socket.getaddrinfo
socket.getaddrinfo = lambda host, _port, *rest, **more: real("127.0.0.1", port, *rest, **more)
c = json.load(open(os.environ["CI_WARM_CREDENTIALS"]))
trust = ssl.create_default_context(cafile=ca)
discovery = json.load(urllib.request.urlopen(c["discovery"], context=trust))
form = urllib.parse.urlencode({"grant_type": "password", "client_id": c["client_id"], "username": c["username"],
                               "client_secret": c["client_secret"], "password": c["password"]}).encode()
token = json.load(urllib.request.urlopen(discovery["token_endpoint"], form, context=trust))["access_token"]
middle = token.split(".")[1]
claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
assert claims["iss"] == discovery["issuer"] == os.environ["CI_WARM_ISSUER"], claims
print(json.dumps({"iss": claims["iss"], "user": claims["preferred_username"], "realm": os.environ["CI_WARM_REALM"]}))
"""


class Sso:
    """Traefik and Keycloak on one site."""

    def __init__(self, host: Site) -> None:
        self.site = host
        self.ingress = Ingress(host)
        self.keycloak = Keycloak(host)
        self.keycloak.domain = f"sso.{self.ingress.wildcard}"
        self.keycloak.stack = self.keycloak.domain.replace(".", "_")
        self.password = host.home / "admin_password"

    def enrol(self) -> None:
        """Both, the ingress first, as the examples have it."""
        socket = os.environ["DOCKER_HOST"].removeprefix("unix://")

        def routes_by_label(folder: Path) -> None:
            path = folder / "compose.swarm.yml"
            path.write_text(path.read_text().replace("/var/run/docker.sock:/", f"{socket}:/"))
            compose = folder / "traefik.yml"
            compose.write_text(compose.read_text().replace("network: proxy", f"network: {self.ingress.network}"))

        def on_the_proxy(folder: Path) -> None:
            path = folder / "compose.proxy.yml"
            text = path.read_text().replace("external: true", f"external: true\n    name: {self.ingress.network}")
            path.write_text(text.replace("swarm.network=proxy", f"swarm.network={self.ingress.network}"))

        self.ingress.publish("3.0.2+3.7.15", routes_by_label)
        self.site.publish("keycloak", "10.7.1+26.5.6", on_the_proxy)
        self.ingress.enrol(
            env={"COMPOSE_FILE": "compose.yml:compose.wildcard.yml:compose.swarm.yml"},
            allow=["docker-socket", "host-mounts"],
        )
        health = {"scheme": "https", "port": self.ingress.https, "ca_file": str(self.ingress.authority.ca)}
        overlay = self.site.home / "dnsrr.yml"
        endpoint = {"deploy": {"endpoint_mode": "dnsrr"}}
        overlay.write_text(json.dumps({"version": "3.8", "services": {"app": endpoint, "db": endpoint}}))
        self.keycloak.enrol(
            after=[self.ingress.name],
            env={"COMPOSE_FILE": "compose.yml:compose.proxy.yml"},
            overlays=[str(overlay)],
            health={**QUICK, **health},
        )
        self.settings()

    def settings(self, **changes: object) -> None:
        """Name the Keycloak in the settings."""
        path = self.site.home / "etc" / "config.yaml"
        keycloak = {"app": self.keycloak.name, "password_file": str(self.password), **changes}
        path.write_text(json.dumps(json.loads(path.read_text()) | {"keycloak": keycloak}))

    def keeper(self) -> RealmContext:
        """What realms need, as a command would have it."""
        return composition.realm_context(self.site.build())

    def let_tokens_live(self, seconds: int) -> None:
        """How long a token of the admin does."""
        realms = self.keeper().realms
        assert isinstance(realms, KeycloakRealms)
        assert realms.ask("PUT", "/admin/realms/master", {"accessTokenLifespan": seconds}).status_code == 204

    def grant(self) -> list[str]:
        """The command line of what a run does."""
        return [sys.executable, "-c", GRANT, str(self.ingress.https), str(self.ingress.authority.ca)]

    def realms(self) -> set[str]:
        """Every realm there is."""
        return set(self.keeper().realms.owners())


@pytest.fixture(scope="module")
def sso(build: Callable[[Callable[[], str]], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sso]:
    """The shared ingress and single sign-on, up in one pass."""
    build(lambda: images.postgres(PREFIX))
    build(lambda: images.keycloak(PREFIX, "26.5.6"))
    build(lambda: images.traefik(PREFIX, "3.7.15"))
    with site(tmp_path_factory.mktemp("realms") / "site") as host:
        made = Sso(host)
        made.enrol()
        results = host.reconcile()
        assert [result.partition(":")[0] for result in results.values()] == ["deployed", "deployed"], results
        yield made
        host.check()


def test_a_password_grant_in_a_fresh_realm_and_only_master_is_left(sso: Sso) -> None:
    ran = sso.site.run("realm", "run", "notes", "--", *sso.grant())
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    assert answer["iss"] == f"https://{sso.keycloak.domain}/realms/{answer['realm']}"
    assert answer["realm"].startswith("notes-") and answer["user"] == "ci-warm"
    assert f"using the live Keycloak: realm {answer['realm']}" in ran.stderr
    assert f"deleted realm {answer['realm']}" in ran.stderr
    assert sso.keycloak.admin_password not in ran.stdout + ran.stderr
    assert sso.realms() == {"master"}


def test_two_runs_of_one_recipe_have_two_realms(sso: Sso) -> None:
    options = ["--config", str(sso.site.home / "etc" / "config.yaml"), "--state-dir", str(sso.site.state)]
    argv = [sys.executable, "-m", "reconciler", *options, "realm", "run", "notes", "--", *sso.grant()]
    runs = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [json.loads(run.communicate(timeout=120)[0]) for run in runs]
    assert len({answer["realm"] for answer in answers}) == 3
    assert sso.realms() == {"master"}


def test_a_killed_run_is_reaped_and_nobody_elses_is(sso: Sso) -> None:
    keeper = sso.keeper()
    keeper.realms.create("acme-abcdef", "another host")
    started = sso.site.home / "started"
    options = ["--config", str(sso.site.home / "etc" / "config.yaml"), "--state-dir", str(sso.site.state)]
    command = ["sh", "-c", f"touch {started}; exec sleep 600"]
    run = subprocess.Popen([sys.executable, "-m", "reconciler", *options, "realm", "run", "notes", "--", *command])
    until(started.exists, 60)
    [alive] = json.loads(sso.site.run("realm", "list", "--json").stdout)["alive"]
    assert json.loads(sso.site.run("realm", "reap", "--json").stdout)["removed"] == []
    child = subprocess.run(["pgrep", "-P", str(run.pid)], capture_output=True, text=True).stdout.split()
    run.send_signal(signal.SIGKILL)
    run.wait()
    for pid in child:
        os.kill(int(pid), signal.SIGKILL)
    assert json.loads(sso.site.run("realm", "list", "--json").stdout)["dead"] == [alive]
    ran = sso.site.run("realm", "reap")
    assert ran.stdout == f"deleted realm {alive}\n"
    assert sso.realms() == {"master", "acme-abcdef"}
    assert keeper.realms.delete("acme-abcdef") and not keeper.realms.delete("acme-abcdef"), "twice is fine"
    assert not list((sso.site.state / "realms").glob("*.json"))


def test_a_signal_ends_the_command_and_the_realm_goes(sso: Sso) -> None:
    started = sso.site.home / "started-2"
    options = ["--config", str(sso.site.home / "etc" / "config.yaml"), "--state-dir", str(sso.site.state)]
    command = ["sh", "-c", f"touch {started}; exec sleep 600"]
    run = subprocess.Popen([sys.executable, "-m", "reconciler", *options, "realm", "run", "notes", "--", *command])
    until(started.exists, 60)
    run.terminate()
    assert run.wait(60) == 128 + signal.SIGTERM
    assert sso.realms() == {"master"}


def test_a_token_that_ran_out_in_the_middle_of_a_batch_is_renewed(sso: Sso) -> None:
    keeper = sso.keeper()
    sso.let_tokens_live(1)
    try:
        keeper = sso.keeper()
        assert set(keeper.realms.owners()) == {"master"}
        out = time.monotonic() + 2.5
        until(lambda: time.monotonic() > out, 10, "the token ran out")
        assert set(keeper.realms.owners()) == {"master"}
        keeper.realms.create("notes-aaaaaa", keeper.store.owner)
        assert keeper.realms.delete("notes-aaaaaa")
    finally:
        sso.let_tokens_live(60)


def test_a_name_that_is_taken_is_told_apart(sso: Sso) -> None:
    keeper = sso.keeper()
    keeper.realms.create("notes-bbbbbb", keeper.store.owner)
    with pytest.raises(ActError, match="realm notes-bbbbbb is taken") as caught:
        keeper.realms.create("notes-bbbbbb", keeper.store.owner)
    assert caught.value.permanent
    assert keeper.realms.delete("notes-bbbbbb")


def test_a_wrong_password_is_one_clear_line_without_it(sso: Sso) -> None:
    right = sso.password.read_text()
    sso.password.write_text("wrong-and-secret")
    ran = sso.site.run("realm", "list")
    sso.password.write_text(right)
    assert ran.returncode == 1
    assert "the admin's user name or password is refused (401)" in ran.stderr
    assert "wrong-and-secret" not in ran.stderr and len(ran.stderr.splitlines()) == 1


def test_an_authority_that_is_not_trusted_is_refused(sso: Sso) -> None:
    keeper = sso.keeper()
    assert isinstance(keeper.realms, KeycloakRealms)
    trusting_none = replace(keeper.realms._server, verify=True)
    with pytest.raises(ObserveError, match=r"(?i)certificate"):
        KeycloakRealms(trusting_none).owners()


def test_settings_that_name_nothing_useful(sso: Sso) -> None:
    sso.settings(app="nosuch")
    ran = sso.site.run("realm", "list")
    assert ran.returncode == 2 and "nosuch" in ran.stderr
    sso.settings(password_file="/nonexistent")
    ran = sso.site.run("realm", "list")
    assert ran.returncode == 2 and "/nonexistent" in ran.stderr
    sso.settings()
    assert sso.site.run("realm", "run", "notes").returncode == 2


def test_a_run_that_needs_single_sign_on_gets_a_realm_and_leaves_none(sso: Sso) -> None:
    recipes.swarm_image(f"{PREFIX}portal:2.0", {"VERSION": "2.0", "SCHEMA": "1", "PORT": "8080"}, label="portal")

    def on_the_proxy(folder: Path) -> None:
        path = folder / "compose.yml"
        text = path.read_text().replace("external: true", f"external: true\n    name: {sso.ingress.network}")
        path.write_text(text.replace("swarm.network=proxy", f"swarm.network={sso.ingress.network}"))

    sso.site.publish("portal", "1.0.0+2.0", on_the_proxy)
    overlay = sso.site.home / "portal.yml"
    overlay.write_text(json.dumps({"version": "3.8", "services": {"app": {"deploy": {"endpoint_mode": "dnsrr"}}}}))
    health = {"scheme": "https", "port": sso.ingress.https, "ca_file": str(sso.ingress.authority.ca), "path": "/"}
    name = f"portal-{sso.site.mark}"
    sso.site.enrol(
        name,
        {
            "kind": "canonical",
            "recipe": {"url": sso.site.url("portal")},
            "stateful": True,
            "overlays": [str(overlay)],
            "domain": f"warm-portal.{sso.ingress.wildcard}",
            "health": {**QUICK, **health},
            "tests": {"recipe_checks": True},
        },
    )
    path = sso.site.home / "etc" / "config.yaml"
    runs = {"domain_suffix": sso.ingress.wildcard, "min_free": 0}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"runs": runs}))
    try:
        for mode in ("cold", "quick"):
            ran = sso.site.run(mode, name)
            assert ran.returncode == 0, ran.stdout + ran.stderr
            [realm] = [line.split()[1] for line in ran.stdout.splitlines() if line.startswith("realm ")]
            assert realm.startswith(f"{name}-") and f"RUN RESULT: {name} {mode}-green:1.0.0+2.0" in ran.stdout
            assert f"using the live Keycloak: realm {realm}" in ran.stderr and f"deleted realm {realm}" in ran.stderr
            assert "deploy-count = 1 (expect 1)" in ran.stdout
            assert sso.realms() == {"master"}
        for log in (sso.site.state / "runs").glob("*/custom.log"):
            assert f"a token of https://{sso.keycloak.domain}/realms/{name}-" in log.read_text()
        listed = json.loads(sso.site.run("canonical", "list", "--json").stdout)
        assert [(row["app"], row["version"]) for row in listed] == [(name, "1.0.0+2.0")]
    finally:
        sso.site.run("canonical", "undeploy", name)
        engine = sso.site.build().ports.engine
        engine.purge(StackName(f"warm-portal.{sso.ingress.wildcard}".replace(".", "_")))
        engine.protect_images(AppName(name), [])
        (sso.site.home / "etc" / "apps" / f"{name}.yaml").unlink()
