"""What a registry has, without pulling: one lookup per reference, never raising. Effects: HTTP.

Distribution API v2 with bearer or basic authorisation; credentials come from Docker's own configuration.
"""

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.model.recipe import ImageLookup
from reconciler.model.settings import RegistrySettings

if TYPE_CHECKING:
    import requests

_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_REFERENCE = re.compile(
    r"(?:(?P<host>[a-zA-Z0-9.-]+(?::\d+)?)/)?(?P<path>[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_HUB = "registry-1.docker.io"
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
TIMEOUT_S = 5.0
_MAX_BODY = 4 << 20


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A parsed image reference; `want` is the digest if there is one, else the tag."""

    host: str
    path: str
    tag: str
    digest: str

    @property
    def want(self) -> str:
        """What to ask the registry for."""
        return self.digest or self.tag


def parse_reference(text: str) -> Reference | None:
    """Split `[host/]path[:tag][@digest]` the way Docker does; None if it is malformed."""
    found = _REFERENCE.fullmatch(text)
    if found is None or len(text) > 512:
        return None
    host, path = found["host"] or "", found["path"]
    if host and "." not in host and ":" not in host and host != "localhost":
        host, path = "", f"{host}/{path}"
    if not host:
        host, path = _HUB, path if "/" in path else f"library/{path}"
    if host in ("docker.io", "index.docker.io"):
        host, path = _HUB, path if "/" in path else f"library/{path}"
    return Reference(host=host, path=path, tag=found["tag"] or "latest", digest=found["digest"] or "")


class HttpRegistry:
    """`ports.Registry`."""

    def __init__(self, settings: Mapping[str, RegistrySettings], timeout_s: float = TIMEOUT_S) -> None:
        self._settings = settings
        self._timeout_s = timeout_s

    def lookup(self, references: Sequence[str]) -> Mapping[str, ImageLookup]:
        """See `ports.Registry`. One session per registry, registries side by side."""
        found: dict[str, ImageLookup] = {}
        by_host: dict[str, list[tuple[str, Reference]]] = {}
        for text in dict.fromkeys(references):
            reference = parse_reference(text)
            if reference is None:
                found[text] = ImageLookup(reference=text, exists=None, error="malformed image reference")
            else:
                by_host.setdefault(reference.host, []).append((text, reference))
        if by_host:
            with ThreadPoolExecutor(max_workers=min(4, len(by_host))) as pool:
                for answers in pool.map(lambda item: self._ask_host(*item), by_host.items()):
                    found |= answers
        return found

    def _ask_host(self, host: str, wanted: Sequence[tuple[str, Reference]]) -> dict[str, ImageLookup]:
        import requests

        found: dict[str, ImageLookup] = {}
        offline = ""
        with requests.Session() as session:
            session.trust_env = False
            for text, reference in wanted:
                if offline:  # one time-out per registry is enough
                    found[text] = ImageLookup(reference=text, exists=None, error=offline)
                    continue
                try:
                    found[text] = self._ask(session, text, reference)
                except (requests.RequestException, ValueError, KeyError, TypeError) as exc:
                    offline = f"registry {host} cannot be asked: {_short(exc)}"
                    found[text] = ImageLookup(reference=text, exists=None, error=offline)
        return found

    def _ask(self, session: "requests.Session", text: str, reference: Reference) -> ImageLookup:
        base = f"{self._scheme(reference.host)}://{reference.host}/v2/{reference.path}"
        answer = self._get(session, f"{base}/manifests/{reference.want}", reference)
        if answer.status_code == 404:
            return ImageLookup(reference=text, exists=False, error="not found in its registry")
        if answer.status_code != 200:
            what = {
                401: "refuses our credentials",
                403: "refuses our credentials",
                429: "asks us to slow down",
            }
            said = what.get(answer.status_code, f"answers {answer.status_code}")
            return ImageLookup(reference=text, exists=None, error=f"registry {reference.host} {said}")
        digest = answer.headers.get("Docker-Content-Digest", "")
        return ImageLookup(
            reference=text,
            exists=True,
            digest=digest,
            created=self._created(session, base, reference, answer),
        )

    def _created(
        self, session: "requests.Session", base: str, reference: Reference, answer: "requests.Response"
    ) -> str:
        manifest = _json(answer)
        if "manifests" in manifest:
            linux = [m for m in manifest["manifests"] if m.get("platform", {}).get("os") == "linux"] or manifest[
                "manifests"
            ]
            manifest = _json(self._get(session, f"{base}/manifests/{linux[0]['digest']}", reference))
        config = manifest.get("config", {}).get("digest")
        if not config:
            return ""
        blob = self._get(session, f"{base}/blobs/{config}", reference)
        return str(_json(blob).get("created", "")) if blob.status_code == 200 else ""

    def _get(self, session: "requests.Session", url: str, reference: Reference) -> "requests.Response":
        headers = {"Accept": f"{_MANIFESTS}, */*"}
        answer = session.get(url, headers=headers, timeout=self._timeout_s, stream=True)
        if answer.status_code == 401 and "Authorization" not in session.headers:
            value = self._authorise(session, answer.headers.get("WWW-Authenticate", ""), reference)
            if value:
                session.headers["Authorization"] = value
                answer = session.get(url, headers=headers, timeout=self._timeout_s, stream=True)
        return answer

    def _authorise(self, session: "requests.Session", challenge: str, reference: Reference) -> str:
        from requests.auth import _basic_auth_str

        login = _credentials(reference.host)
        kind, _, rest = challenge.partition(" ")
        if kind.lower() == "basic":
            return _basic_auth_str(*login) if login else ""
        fields = dict(_CHALLENGE.findall(rest))
        realm = fields.get("realm", "")
        if kind.lower() != "bearer" or not realm.startswith(("https://", f"http://{reference.host}")):
            return ""
        params = {key: fields[key] for key in ("service", "scope") if key in fields}
        answer = session.get(realm, params=params, auth=login, timeout=self._timeout_s, stream=True)
        body = _json(answer)
        token = body.get("token") or body.get("access_token") or ""
        return f"Bearer {token}" if token else ""

    def _scheme(self, host: str) -> str:
        given = self._settings.get(host)
        name = host.partition(":")[0]
        insecure = given.insecure if given else name == "localhost" or name.startswith("127.")
        return "http" if insecure else "https"


def _json(answer: "requests.Response") -> dict[str, Any]:
    raw = answer.raw.read(_MAX_BODY, decode_content=True)
    import json

    data = json.loads(raw)
    if not isinstance(data, dict):
        raise ValueError("the registry did not answer with a JSON object")
    return data


def _credentials(host: str) -> tuple[str, str] | None:
    from docker import auth

    try:
        found = auth.load_config().resolve_authconfig("docker.io" if host == _HUB else host)
    except Exception:  # noqa: BLE001 - credential helpers fail in their own ways; without a login we ask anonymously
        return None
    if not found or not found.get("username"):
        return None
    return found["username"], found.get("password") or ""


def _short(exc: Exception) -> str:
    reason = getattr(exc.args[0], "reason", None) if exc.args else None
    text = str(reason or exc)
    return text.rpartition(": ")[2][:200] or type(exc).__name__
