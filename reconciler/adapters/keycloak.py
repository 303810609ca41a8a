"""Realms on a Keycloak. Effects: its admin API (Keycloak documents it as "Admin REST API").

Asked at the app's own name, resolved to the address that the spec says, so that TLS is checked for the right name
whatever DNS says.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from typing_extensions import override

from reconciler.model.errors import ActError, ObserveError
from reconciler.model.realm import Credentials
from reconciler.ports.realms import Realms

OWNER = "ci-warm.owner"
CLIENT = "ci-warm"
USER = "ci-warm"
_PROBLEMS = (requests.RequestException, OSError, LookupError, TypeError, AttributeError)
"""No answer, or one that Keycloak would not give."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where it is. `verify`: True, False, or the path of a private CA."""

    scheme: str
    domain: str
    address: str
    port: int
    verify: bool | str
    admin: str
    password: str
    timeout_s: int = 30


class _Resolved(HTTPAdapter):
    """Sends every request to one address, under the name that it was made for."""

    def __init__(self, server: Server) -> None:
        self._server = server
        # A retried POST could make a realm twice, or report our own one as taken.
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """TLS asks for the name and checks it, not the address."""
        if self._server.scheme == "https":
            kwargs |= {"server_hostname": self._server.domain, "assert_hostname": self._server.domain}
        super().init_poolmanager(*args, **kwargs)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Take the name out of the URL; it goes on as the Host header."""
        server = self._server
        prefix = f"{server.scheme}://{server.domain}"
        # A redirect may lead to another host; the admin's token must not go there.
        if request.url is None or not request.url.startswith(prefix):
            raise requests.exceptions.InvalidURL(f"{request.url} is not at {prefix}")
        request.headers["Host"] = server.domain
        host = f"[{server.address}]" if ":" in server.address else server.address
        request.url = f"{server.scheme}://{host}:{server.port}{request.url.removeprefix(prefix)}"
        return super().send(request, *args, **kwargs)


class KeycloakRealms(Realms):
    """One server, asked with a token per request: one lives for a minute, which a batch may outlast."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def ask(self, method: str, path: str, body: object = None) -> requests.Response:
        """One request to the admin API; the answer, whatever it is.

        Raises:
            RequestException: no answer, or the admin is refused.
        """
        server = self._server
        base = f"{server.scheme}://{server.domain}"
        with requests.Session() as session:
            # A proxy of the environment must not see the admin's token.
            session.trust_env = False
            session.verify = server.verify
            session.mount(f"{server.scheme}://", _Resolved(server))
            session.headers["Authorization"] = f"Bearer {self._token(session, base)}"
            return session.request(method, f"{base}{path}", json=body, timeout=server.timeout_s, allow_redirects=False)

    def _token(self, session: requests.Session, base: str) -> str:
        form = {
            "grant_type": "password",
            "client_id": "admin-cli",
            "username": self._server.admin,
            "password": self._server.password,
        }
        path = "/realms/master/protocol/openid-connect/token"
        answer = session.post(f"{base}{path}", data=form, timeout=self._server.timeout_s, allow_redirects=False)
        if answer.status_code == 401:
            raise requests.HTTPError("the admin's user name or password is refused (401)")
        return str(_expect(answer, 200).json()["access_token"])

    def _read(self, what: str, path: str) -> Any:
        try:
            return _expect(self.ask("GET", path), 200).json()
        except _PROBLEMS as exc:
            raise ObserveError(f"{what}: {_said(exc)}") from exc

    @override
    def owners(self) -> Mapping[str, str]:
        found = self._read("list realms", "/admin/realms")
        try:
            return {raw["realm"]: str((raw.get("attributes") or {}).get(OWNER, "")) for raw in found}
        except _PROBLEMS as exc:
            raise ObserveError("list realms: what answers is no Keycloak") from exc

    @override
    def create(self, realm: str, owner: str) -> Credentials:
        """One call makes all of it, so that there is no half a realm."""
        secret, password = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
        try:
            answer = self.ask("POST", "/admin/realms", _representation(realm, owner, secret, password))
            # A name of six random hex digits that is taken is another program's realm: it is neither used nor
            # deleted.
            if answer.status_code == 409:
                raise ActError(f"realm {realm} is taken", permanent=True)
            _expect(answer, 201)
        except _PROBLEMS as exc:
            raise ActError(f"create realm {realm}: {_said(exc)}", host_fault=True) from exc
        # Asked, not put together: behind a proxy the server knows its own address, and tokens carry that one.
        issuer = self._issuer(realm)
        return Credentials(
            realm=realm,
            issuer=issuer,
            discovery=f"{issuer}/.well-known/openid-configuration",
            client_id=CLIENT,
            client_secret=secret,
            username=USER,
            password=password,
        )

    def _issuer(self, realm: str) -> str:
        found = self._read("discovery", f"/realms/{realm}/.well-known/openid-configuration")
        try:
            return str(found["issuer"])
        except _PROBLEMS as exc:
            raise ObserveError("discovery: what answers is no Keycloak") from exc

    @override
    def delete(self, realm: str) -> bool:
        try:
            answer = self.ask("DELETE", f"/admin/realms/{realm}")
            if answer.status_code != 404:
                _expect(answer, 204)
        except _PROBLEMS as exc:
            raise ActError(f"delete realm {realm}: {_said(exc)}", host_fault=True) from exc
        return answer.status_code == 204


def _representation(realm: str, owner: str, secret: str, password: str) -> dict[str, object]:
    """A realm with one client and one user, as Keycloak imports it."""
    return {
        "realm": realm,
        "enabled": True,
        "attributes": {OWNER: owner},
        "clients": [
            {
                "clientId": CLIENT,
                "enabled": True,
                "secret": secret,
                "directAccessGrantsEnabled": True,
                "redirectUris": ["*"],
                "webOrigins": ["*"],
            },
        ],
        "users": [
            {
                "username": USER,
                "enabled": True,
                "email": f"{USER}@example.invalid",
                "emailVerified": True,
                "firstName": "Test",
                "lastName": "Run",
                "credentials": [{"type": "password", "value": password, "temporary": False}],
            },
        ],
    }


def _expect(answer: requests.Response, code: int) -> requests.Response:
    """The answer, if it is the one that Keycloak gives: a login page or a redirect of a proxy is none.

    Raises:
        HTTPError: it is not; without the body, which could repeat a secret.
    """
    if answer.status_code != code:
        raise requests.HTTPError(f"answered {answer.status_code} {answer.reason or ''}".strip())
    return answer


def _said(exc: Exception) -> str:
    """In words; a missing field is told as what it means."""
    if isinstance(exc, (LookupError, TypeError, AttributeError, requests.exceptions.JSONDecodeError)):
        return "what answers is no Keycloak"
    cause = exc.__cause__ or exc.__context__
    text = str(exc if cause is None else f"{exc} ({cause})").strip().replace("\n", " ")[:400]
    return text if isinstance(exc, requests.HTTPError) else f"{type(exc).__name__}: {text}"
