"""A real Traefik in front of what is tested."""

import http.client
import json
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reconciler.demo.host import free_port
from tests.live.site import Site


class Ingress:
    """One Traefik on a site."""

    def __init__(self, host: Site) -> None:
        self.site = host
        self.name = f"traefik-{host.mark}"
        self.wildcard = f"ci-{host.mark}.test"
        self.domain = f"traefik.{self.wildcard}"
        self.stack = self.domain.replace(".", "_")
        self.http, self.https = free_port(), free_port()
        self.authority = Authority(host.home / "ca")
        self.pair = self.authority.issue("first", self.wildcard)
        self.network = f"proxy-{host.mark}"
        subprocess.run(
            ["docker", "network", "create", "--driver", "overlay", self.network], check=True, capture_output=True
        )
        host.networks.append(self.network)

    def publish(self, tag: str, patch: Callable[[Path], None] | None = None) -> None:
        """A release whose shared network is this test's own."""

        def patched(folder: Path) -> None:
            text = (folder / "compose.yml").read_text()
            text = text.replace("    external: true\n", f"    external: true\n    name: {self.network}\n", 1)
            (folder / "compose.yml").write_text(text)
            if patch is not None:
                patch(folder)

        self.site.publish("traefik", tag, patched)

    def enrol(self, version: str = "v1", **changes: Any) -> None:
        """Write its spec as docs/examples/specs/traefik.yaml has it, on ports of its own."""
        cert, key = self.pair
        spec = {
            "recipe": {"url": self.site.url("traefik")},
            "domain": self.domain,
            "stateful": False,
            "env": {
                "HTTP_PORT": str(self.http),
                "HTTPS_PORT": str(self.https),
                "LETS_ENCRYPT_ENV": "",
                "COMPOSE_FILE": "compose.yml:compose.wildcard.yml",
                **changes.pop("env", {}),
            },
            "secrets": {
                "ssl_cert": {"version": version, "file": str(cert)},
                "ssl_key": {"version": version, "file": str(key)},
            },
            "health": {
                "path": "/api/version",
                "status": [200],
                "port": self.https,
                "ca_file": str(self.authority.ca),
                "min_healthy": "1s",
                "interval": "200ms",
                "successes": 2,
                "deadline": "60s",
                "progress": "40s",
                "max_restarts": 2,
            },
            "upgrade": {"bake": "0s"},
            **changes,
        }
        self.site.enrol(self.name, spec)

    def reconcile(self) -> str:
        """One pass; this app's result."""
        return self.site.reconcile()[self.name]

    def ask(self, host: str = "", path: str = "/api/version", timeout: float = 5) -> tuple[int, bytes, dict[str, Any]]:
        """A request over TLS, the certificate checked: code, body, certificate."""
        name = host or self.domain
        trust = ssl.create_default_context(cafile=str(self.authority.ca))
        with (
            socket.create_connection(("127.0.0.1", self.https), timeout=timeout) as plain,
            trust.wrap_socket(plain, server_hostname=name) as line,
        ):
            asked = http.client.HTTPConnection(name)
            asked.sock = line
            asked.request("GET", path)
            answer = asked.getresponse()
            return answer.status, answer.read(), dict(line.getpeercert() or {})

    def version(self) -> str:
        """What it says it is."""
        return str(json.loads(self.ask()[1])["Version"])

    def secret_ids(self) -> list[str]:
        """Ids of the certificate's secrets."""
        ran = subprocess.run(
            ["docker", "secret", "ls", "--quiet", "--filter", f"name={self.stack}"],
            capture_output=True,
            text=True,
            check=True,
        )
        return sorted(ran.stdout.split())


class Authority:
    """A private CA."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.ca = folder / "ca.pem"
        self._openssl(
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "30",
            "-subj",
            "/CN=test authority",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
        )

    def _openssl(self, *args: str) -> None:
        subprocess.run(["openssl", *args], cwd=self.folder, check=True, capture_output=True)

    def issue(self, name: str, domain: str, *, expired: bool = False) -> tuple[Path, Path]:
        """A certificate for a wildcard and its key."""
        self._openssl(
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            f"/CN={domain}",
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.csr",
        )
        (self.folder / "ext").write_text(f"subjectAltName=DNS:*.{domain},DNS:{domain}\n")
        # Only `ca` and not `x509` of this OpenSSL takes dates; -days counts from now, also backwards.
        days = "-1" if expired else "30"
        self._openssl(
            "x509",
            "-req",
            "-in",
            f"{name}.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            days,
            "-extfile",
            "ext",
            "-out",
            f"{name}.pem",
        )
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"
