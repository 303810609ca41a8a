"""One Keycloak on a site: how it is enrolled, its admin API, and a realm and a user that must survive everything."""

import base64
import json
from typing import Any

import requests

from reconciler.demo.host import free_port
from tests.live.site import Site

QUICK = {
    "scheme": "http",
    "path": "/realms/master",
    "service": "app",
    "min_healthy": "2s",
    "successes": 2,
    "interval": "300ms",
    "progress": "3m",
    "deadline": "4m",
    "timeout": "5s",
    "max_restarts": 2,
}
PASSWORD = "correct horse battery staple"


class Keycloak:
    """`name` is the app's; `stack` its stack."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.name = f"kc-{site.mark}"
        self.domain = f"sso-{site.mark}.example.test"
        self.stack = self.domain.replace(".", "_")
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.admin_password = f"admin-{site.mark}-secret"
        secret = site.home / "admin_password"
        secret.write_text(self.admin_password)
        secret.chmod(0o600)

    def enrol(self, **changes: Any) -> None:
        """Write its spec as docs/examples/specs/keycloak.yaml has it, on a port of the host."""
        login = {"username": "admin", "password_file": str(self.site.home / "admin_password")}
        checks = [{"name": "login", "keycloak_login": login}]
        health = {**QUICK, "port": self.port, "checks": checks, **changes.pop("health", {})}
        spec = {
            "recipe": {"url": self.site.url("keycloak")},
            "domain": self.domain,
            "stateful": True,
            "health": health,
            "env": {"COMPOSE_FILE": "compose.yml:compose.host.yml", "HOST_PORT": str(self.port)},
            "secrets": {
                "admin_password": {"version": "v1", "file": str(self.site.home / "admin_password")},
                "db_password": {"version": "v1", "length": 40},
            },
            "upgrade": {"bake": "0s"},
            **changes,
        }
        self.site.enrol(self.name, spec)

    def reconcile(self) -> str:
        """One pass; this app's result."""
        return self.site.reconcile()[self.name]

    def token(self, realm: str, user: str, password: str, client: str = "admin-cli") -> dict[str, Any]:
        """A password grant."""
        form = {"grant_type": "password", "client_id": client, "username": user, "password": password}
        answer = requests.post(f"{self.base}/realms/{realm}/protocol/openid-connect/token", data=form, timeout=20)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """One call of the admin API."""
        bearer = self.token("master", "admin", self.admin_password)["access_token"]
        headers = {"Authorization": f"Bearer {bearer}"}
        answer = requests.request(method, f"{self.base}/admin/realms{path}", json=body, headers=headers, timeout=20)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def plant(self) -> None:
        """A realm, a client and a user that can log in."""
        self.api("POST", "", {"realm": "marker", "enabled": True, "displayName": "Marker of the tests"})
        client = {"clientId": "shop", "publicClient": True, "directAccessGrantsEnabled": True, "enabled": True}
        self.api("POST", "/marker/clients", client)
        user = {
            "username": "alice",
            "enabled": True,
            "email": "alice@example.test",
            "emailVerified": True,
            "firstName": "Alice",
            "lastName": "Marker",
            "credentials": [{"type": "password", "value": PASSWORD, "temporary": False}],
        }
        self.api("POST", "/marker/users", user)

    def planted(self) -> str:
        """The marker as the rows of the database say it, byte for byte, whatever a version makes of them."""
        tables = {
            "realm": "SELECT * FROM realm WHERE name = 'marker'",
            "user": "SELECT u.* FROM user_entity u JOIN realm r ON r.id = u.realm_id WHERE r.name = 'marker'",
            "credential": "SELECT c.id, c.user_id, c.secret_data, c.credential_data FROM credential c",
            "client": "SELECT c.client_id, c.enabled, c.public_client FROM client c JOIN realm r ON r.id = c.realm_id "
            "WHERE r.name = 'marker' ORDER BY 1",
        }
        return "\n".join(self.sql(text) for text in tables.values())

    def sql(self, text: str) -> str:
        """Ask the database itself."""
        service = f"{self.stack}_db"
        return self.site.inside(
            service,
            "psql",
            "--host=/var/run/postgresql",
            "--username=keycloak",
            "--tuples-only",
            "--command",
            text,
            "keycloak",
        )

    def schema(self) -> str:
        """Which migrations the database has seen."""
        return self.sql("SELECT count(*), max(id) FROM databasechangelog")

    def log_in(self) -> dict[str, Any]:
        """The marker user logs in; the claims of her token."""
        token = self.token("marker", "alice", PASSWORD, client="shop")["access_token"]
        middle = token.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        return claims
