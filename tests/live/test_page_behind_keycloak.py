"""docs/examples/oidc as it stands: the page behind a real Traefik, oauth2-proxy and a real Keycloak."""

import json
import re
import secrets
import select
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from html import unescape
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest
import requests
from typing_extensions import override

from reconciler.demo.host import free_port
from reconciler.web.access import Role
from tests.live import images
from tests.live.ingress import Authority
from tests.live.keycloak import PASSWORD, Keycloak
from tests.live.site import PREFIX, site
from tests.systemd.host import PROJECT
from tests.waiting import until
from tests.web.site import Site, copy_state

pytestmark = [
    pytest.mark.swarm,
    pytest.mark.long,
    pytest.mark.live,
    pytest.mark.suites,
    pytest.mark.timeout(1800),
    pytest.mark.together("behind-keycloak"),
]
EXAMPLE = PROJECT / "docs" / "examples" / "oidc"
REALM = "hosts"
OAUTH2_PROXY = ("oauth2-proxy", "github.com/oauth2-proxy/oauth2-proxy/v7", "v7.15.6")
TRAEFIK = "3.7.15"
NAMES = re.compile(rb"CONNECT ([\w.-]+):443 ")


class Names(ThreadingTCPServer):
    """An HTTP proxy in place of a name service: whatever name is connected to is the Traefik of the test."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        self.to = port
        super().__init__(("127.0.0.1", 0), _Tunnel)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Tunnel(StreamRequestHandler):
    @override
    def handle(self) -> None:
        assert isinstance(self.server, Names)
        assert NAMES.match(self.rfile.readline())
        while self.rfile.readline().strip():
            pass
        self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with socket.create_connection(("127.0.0.1", self.server.to)) as there:
            ends = {self.connection: there, there: self.connection}
            while True:
                for one in select.select(list(ends), [], [])[0]:
                    data = one.recv(65536)
                    if not data:
                        return
                    ends[one].sendall(data)


@dataclass(kw_only=True)
class Proxied:
    """The page as people reach it. `secret`: of the client in the Keycloak."""

    keycloak: Keycloak
    page: Site
    home: Path
    ca: Path
    names: Mapping[str, str]
    name: str
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    def browser(self) -> requests.Session:
        """Somebody's, who has been nowhere yet."""
        made = requests.Session()
        made.proxies, made.verify, made.trust_env = dict(self.names), str(self.ca), False
        return made

    def get(self, browser: requests.Session, path: str = "/", **more: str) -> requests.Response:
        return browser.get(f"https://{self.name}{path}", headers=more, timeout=20)

    def log_in(self, user: str) -> tuple[requests.Session, requests.Response]:
        """To the page, over the log-in of the Keycloak that it leads to."""
        browser = self.browser()
        asked = self.get(browser)
        form = re.search(r'<form[^>]*action="([^"]+)"', asked.text)
        assert form is not None and asked.url.startswith(f"https://{self.keycloak.domain}/realms/{REALM}/"), asked.url
        given = {"username": user, "password": PASSWORD}
        return browser, browser.post(unescape(form[1]), data=given, timeout=20)


def plant(keycloak: Keycloak, client: dict[str, object]) -> None:
    """The realm of the host: its client, its role, anna who has it and alice who has not."""
    keycloak.api("POST", "", {"realm": REALM, "enabled": True})
    keycloak.api("POST", f"/{REALM}/clients", client)
    keycloak.api("POST", f"/{REALM}/roles", {"name": "ci-warm"})
    role = keycloak.api("GET", f"/{REALM}/roles/ci-warm")
    for name in ("anna", "alice"):
        secret = {"type": "password", "value": PASSWORD, "temporary": False}
        who = {"username": name, "enabled": True, "email": f"{name}@example.test", "emailVerified": True}
        who |= {"firstName": name, "lastName": "Test"}
        keycloak.api("POST", f"/{REALM}/users", {**who, "credentials": [secret]})
    [anna] = keycloak.api("GET", f"/{REALM}/users?username=anna&exact=true")
    keycloak.api("POST", f"/{REALM}/users/{anna['id']}/role-mappings/realm", [role])


@contextmanager
def process(argv: list[str], log: Path, **environment: str) -> Iterator[None]:
    """A program while it is needed."""
    with log.open("wb") as out, subprocess.Popen(argv, stdout=out, stderr=out, env=environment) as child:
        try:
            yield
            assert child.poll() is None, log.read_text()
        finally:
            child.terminate()
            child.wait(20)


def fill_in(name: str, to: Path, words: Mapping[str, str]) -> Path:
    """One of the example's files with this test's names and ports; each of them must stand there."""
    text = (EXAMPLE / name).read_text()
    for word, ours in words.items():
        text = text.replace(word, ours)
    to.write_text(text)
    return to


@pytest.fixture(scope="module")
def proxied(build: Callable[[Callable[[], str]], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    build(lambda: images.postgres(PREFIX))
    build(lambda: images.keycloak(PREFIX, "26.5.6"))
    program = build(lambda: str(images.from_go(*OAUTH2_PROXY)))
    home = tmp_path_factory.mktemp("oidc")
    traefik = home / "traefik"
    build(lambda: str(traefik.write_bytes(images.traefik_program(TRAEFIK))))
    traefik.chmod(0o755)
    with ExitStack() as stack:
        host = stack.enter_context(site(home / "site"))
        host.publish("keycloak", "10.7.1+26.5.6")
        keycloak = Keycloak(host)
        name = f"ci-{host.mark}.example.test"
        keycloak.enrol()
        assert keycloak.reconcile().startswith("deployed:")

        authority = Authority(home / "ca")
        port, gate = free_port(), free_port()
        names = stack.enter_context(Names(port))
        threading.Thread(target=names.serve_forever, daemon=True).start()
        stack.callback(names.shutdown)
        page = Site(home=home / "page", state=copy_state(home / "state"), roles=tuple(Role), hosts=(name,))
        stack.enter_context(page.serving())
        made = Proxied(
            keycloak=keycloak,
            page=page,
            home=home,
            ca=authority.ca,
            names={"https": names.url},
            name=name,
        )
        words = {"sso.example.net": keycloak.domain, "ci.example.net": name, "127.0.0.1:8765": f"127.0.0.1:{page.port}"}
        words |= {"127.0.0.1:4180": f"127.0.0.1:{gate}", "/etc/ci-warm/": f"{home}/"}
        client = json.loads(fill_in("client.json", home / "client.json", words).read_text())
        plant(keycloak, {**client, "secret": made.secret})
        (home / "oidc-secret").write_text(made.secret)
        (home / "oidc-cookie").write_text(secrets.token_hex(16))
        start_traefik(stack, made, traefik, port, words, authority.issue("page", "example.test"))
        config = fill_in("oauth2-proxy.cfg", home / "oauth2-proxy.cfg", words)
        argv = [program, f"--config={config}", f"--provider-ca-file={authority.ca}"]
        stack.enter_context(process(argv, home / "oauth2-proxy.log", HTTPS_PROXY=names.url))
        ping = f"http://127.0.0.1:{gate}/ping"
        until(partial(answers, lambda: requests.get(ping, timeout=5)), 60, "oauth2-proxy has asked the Keycloak")
        yield made
        host.check()


def start_traefik(
    stack: ExitStack, made: Proxied, program: Path, port: int, words: Mapping[str, str], pair: tuple[Path, Path]
) -> None:
    """The example's routes, and beside them what the host's own recipe does: a certificate, and the way to Keycloak."""
    folder = made.home / "dynamic"
    folder.mkdir()
    fill_in("traefik.yml", folder / "page.yml", words)
    sso = {"rule": f"Host(`{made.keycloak.domain}`)", "service": "sso", "tls": {}}
    beside = {
        "http": {
            "routers": {"sso": sso},
            "services": {"sso": {"loadBalancer": {"servers": [{"url": made.keycloak.base}]}}},
        },
        "tls": {"stores": {"default": {"defaultCertificate": {"certFile": str(pair[0]), "keyFile": str(pair[1])}}}},
    }
    (folder / "beside.yml").write_text(json.dumps(beside))
    argv = [str(program), f"--entrypoints.websecure.address=127.0.0.1:{port}", f"--providers.file.directory={folder}"]
    stack.enter_context(process([*argv, "--global.checknewversion=false"], made.home / "traefik.log"))
    until(partial(answers, lambda: made.get(made.browser(), "/api/v1/status")), 60, "Traefik leads to the page")


def answers(ask: Callable[[], requests.Response]) -> bool:
    """Whatever it says, also a redirect to nobody or a gateway that finds nobody."""
    try:
        return ask().status_code > 0
    except requests.ConnectionError:
        return False


def test_who_is_known_to_the_keycloak_reaches_the_page_and_logs_in_there(proxied: Proxied) -> None:
    browser, page = proxied.log_in("anna")
    assert (page.status_code, page.url) == (401, f"https://{proxied.name}/")
    assert "Log in" in page.text, "the page asks for its own token all the same"
    sent = {"token": proxied.page.tokens[Role.OPERATE]}
    page = browser.post(f"https://{proxied.name}/login", data=sent, timeout=20)
    assert "/apps/notes" in page.text
    assert proxied.get(browser, "/apps/notes").status_code == 200
    cookies = {cookie.name: cookie for cookie in browser.cookies}
    assert cookies["ci_warm_session"].secure, "the proxy says that it was https"


def test_who_lacks_the_role_sees_nothing_of_the_page(proxied: Proxied) -> None:
    browser, answer = proxied.log_in("alice")
    assert (answer.status_code, "/apps/" in answer.text) == (403, False)
    for path in ("/", "/apps/notes", "/login"):
        again = proxied.get(browser, path)  # the Keycloak knows her still, and sends her back at once
        assert (again.status_code, "notes" in again.text) == (403, False)


@pytest.mark.parametrize(
    "claims",
    [
        {"X-Forwarded-User": "anna", "X-Forwarded-Email": "anna@example.test", "X-Auth-Request-User": "anna"},
        {"X-Forwarded-Uri": "/oauth2/static/x", "X-Forwarded-Host": "elsewhere.test", "X-Forwarded-For": "127.0.0.1"},
        {"Cookie": "_oauth2_proxy=made-up|1|x"},
        {"Authorization": "Bearer made.up.token"},
    ],
    ids=["names", "another address", "a cookie", "a token"],
)
@pytest.mark.parametrize("path", ["/", "/apps/notes", "/runs", "/login", "/static/style.css"])
def test_nobody_talks_himself_past_the_keycloak(proxied: Proxied, claims: dict[str, str], path: str) -> None:
    answer = proxied.browser().get(f"https://{proxied.name}{path}", headers=claims, timeout=20, allow_redirects=False)
    assert answer.status_code in (302, 401, 403)
    assert answer.headers.get("location", f"https://{proxied.keycloak.domain}/").startswith(
        f"https://{proxied.keycloak.domain}/"
    )
    assert "content-security-policy" not in answer.headers, "which everything has that the page says"


def test_programs_bring_tokens_of_their_own(proxied: Proxied) -> None:
    browser = proxied.browser()
    assert proxied.get(browser, "/api/v1/status").status_code == 401
    bearer = f"Bearer {proxied.page.tokens[Role.READ]}"
    assert proxied.get(browser, "/api/v1/status", Authorization=bearer).json()["schema_version"] == 1
    assert proxied.get(browser, "/api/../apps/notes", Authorization=bearer).url.startswith(
        f"https://{proxied.keycloak.domain}/"
    )
