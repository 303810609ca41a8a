"""Realms on a Keycloak, through python-keycloak. Effects: its admin API.

Asked at the app's own name, resolved to the address that the spec says, so that TLS is checked for the right name
whatever DNS says.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from typing_extensions import override

from reconciler.model.errors import ActError, ObserveError
from reconciler.model.realm import Credentials
from reconciler.ports.realms import Realms

T = TypeVar("T")
OWNER = "ci-warm.owner"
CLIENT = "ci-warm"
USER = "ci-warm"


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
    """One server; connects on first use."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._admin: Any = None

    def _connect(self) -> Any:
        if self._admin is None:
            from keycloak import KeycloakAdmin, KeycloakOpenIDConnection

            server = self._server
            connection = KeycloakOpenIDConnection(
                server_url=f"{server.scheme}://{server.domain}",
                username=server.admin,
                password=server.password,
                realm_name="master",
                client_id="admin-cli",
                verify=server.verify,
                timeout=server.timeout_s,
            )
            for manager in (connection, connection.keycloak_openid.connection):
                # python-keycloak has no public way to its sessions. A proxy of the environment must not see
                # the admin's token, and the adapter must hold for the token's requests, too.
                session = manager._s
                session.trust_env = False
                session.mount(f"{server.scheme}://", _Resolved(server))
            self._admin = KeycloakAdmin(connection=connection)
        return self._admin

    def _read(self, what: str, call: Callable[[Any], T]) -> T:
        from keycloak.exceptions import KeycloakError

        try:
            return call(self._connect())
        except (KeycloakError, requests.RequestException, OSError) as exc:
            self._admin = None  # a stale token or connection is not kept
            raise ObserveError(f"{what}: {_said(exc)}") from exc

    @override
    def owners(self) -> Mapping[str, str]:
        found = self._read("list realms", lambda admin: admin.get_realms())
        return {raw["realm"]: str((raw.get("attributes") or {}).get(OWNER, "")) for raw in found}

    @override
    def create(self, realm: str, owner: str) -> Credentials:
        """One call makes all of it, so that there is no half a realm."""
        from keycloak.exceptions import KeycloakError, KeycloakPostError

        secret, password = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
        body = {
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
        try:
            self._connect().create_realm(body, skip_exists=False)
        except KeycloakPostError as exc:
            # A name of six random hex digits that is taken is another program's realm: it is neither used nor
            # deleted.
            if exc.response_code == 409:
                raise ActError(f"realm {realm} is taken", permanent=True) from exc
            raise ActError(f"create realm {realm}: {_said(exc)}", host_fault=True) from exc
        except (KeycloakError, requests.RequestException, OSError) as exc:
            self._admin = None
            raise ActError(f"create realm {realm}: {_said(exc)}", host_fault=True) from exc
        # Asked, not put together: behind a proxy the server knows its own address, and tokens carry that one.
        issuer = str(self._read("discovery", lambda _admin: self._discovery(realm))["issuer"])
        return Credentials(
            realm=realm,
            issuer=issuer,
            discovery=f"{issuer}/.well-known/openid-configuration",
            client_id=CLIENT,
            client_secret=secret,
            username=USER,
            password=password,
        )

    def _discovery(self, realm: str) -> Mapping[str, Any]:
        """What the server says of the realm, asked as a client would."""
        path = f"/realms/{realm}/.well-known/openid-configuration"
        answer: Mapping[str, Any] = self._connect().connection.raw_get(path).json()
        return answer

    @override
    def delete(self, realm: str) -> bool:
        from keycloak.exceptions import KeycloakDeleteError, KeycloakError

        try:
            self._connect().delete_realm(realm)
        except KeycloakDeleteError as exc:
            if exc.response_code == 404:
                return False
            raise ActError(f"delete realm {realm}: {_said(exc)}", host_fault=True) from exc
        except (KeycloakError, requests.RequestException, OSError) as exc:
            self._admin = None
            raise ActError(f"delete realm {realm}: {_said(exc)}", host_fault=True) from exc
        return True


def _said(exc: Exception) -> str:
    """In words; never with a body that could repeat a secret."""
    code = getattr(exc, "response_code", None)
    if code == 401:
        return "the admin's user name or password is refused (401)"
    cause = exc.__cause__ or exc.__context__
    text = str(exc if cause is None else f"{exc} ({cause})").strip().replace("\n", " ")[:400]
    return f"{type(exc).__name__} {code}: {text}" if code else f"{type(exc).__name__}: {text}"
