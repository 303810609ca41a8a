"""What a registry has, without pulling: one lookup per reference, never raising. Effects: HTTP.

Distribution API v2 with bearer or basic authorisation; credentials come from Docker's own configuration.
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from reconciler.model.recipe import ImageLookup
from reconciler.model.settings import RegistrySettings
from reconciler.ports.registry import Registry

if TYPE_CHECKING:
    import requests

_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_REFERENCE = re.compile(
    r"(?:(?P<host>[a-zA-Z0-9.-]+(?::\d+)?)/)?(?P<path>[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_HUB = "registry-1.docker.io"
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
TIMEOUT_S = 5.0
_MAX_BODY = 4 << 20
_MALFORMED = (ValueError, KeyError, TypeError, IndexError, AttributeError)
"""What an answer of the wrong shape raises while it is taken apart."""


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
    # Docker's own rule: `library/nginx` is a path on the hub, `localhost/x` and `a.b/x` name a registry.
    if host and "." not in host and ":" not in host and host != "localhost":
        host, path = "", f"{host}/{path}"
    if not host:
        host, path = _HUB, path if "/" in path else f"library/{path}"
    if host in ("docker.io", "index.docker.io"):
        host, path = _HUB, path if "/" in path else f"library/{path}"
    return Reference(host=host, path=path, tag=found["tag"] or "latest", digest=found["digest"] or "")


class HttpRegistry(Registry):
    """Registries that speak the distribution API."""

    def __init__(self, settings: Mapping[str, RegistrySettings], timeout_s: float = TIMEOUT_S) -> None:
        self._settings = settings
        self._timeout_s = timeout_s

    @override
    def lookup(self, references: Sequence[str], *, details: bool = False) -> Mapping[str, ImageLookup]:
        """One session per registry, registries side by side."""
        found: dict[str, ImageLookup] = {}
        by_host: dict[str, list[tuple[str, Reference]]] = {}
        for text in dict.fromkeys(references):
            reference = parse_reference(text)
            if reference is None:
                found[text] = ImageLookup(reference=text, exists=None, error="malformed image reference")
            else:
                by_host.setdefault(reference.host, []).append((text, reference))
        if by_host:
            # Side by side, so that a registry that hangs delays only its own answers.
            with ThreadPoolExecutor(max_workers=min(4, len(by_host))) as pool:
                asked = [pool.submit(self._ask_host, host, wanted, details=details) for host, wanted in by_host.items()]
                for answers in asked:
                    found |= answers.result()
        return found

    def _ask_host(self, host: str, wanted: Sequence[tuple[str, Reference]], *, details: bool) -> dict[str, ImageLookup]:
        import requests
        import urllib3

        from reconciler.adapters import proxied

        found: dict[str, ImageLookup] = {}
        offline = ""
        with proxied.Session() as session:
            for text, reference in wanted:
                if offline:  # one time-out per registry is enough
                    found[text] = ImageLookup(reference=text, exists=None, error=offline)
                    continue
                try:
                    talk = _Talk(session, reference, self._scheme(reference.host), self._timeout_s)
                    found[text] = _ask(talk, text, details=details)
                except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, *_MALFORMED) as exc:
                    offline = f"registry {host} cannot be asked: {_short(exc)}"
                    found[text] = ImageLookup(reference=text, exists=None, error=offline)
        return found

    def _scheme(self, host: str) -> str:
        given = self._settings.get(host)
        name = host.partition(":")[0]
        insecure = given.insecure if given else name == "localhost" or name.startswith("127.")
        return "http" if insecure else "https"


class _Talk:
    """Requests about one repository: a token of its own, a total deadline, a cap on what is read."""

    def __init__(self, session: "requests.Session", reference: Reference, scheme: str, timeout_s: float) -> None:
        self.reference = reference
        self.base = f"{scheme}://{reference.host}/v2/{reference.path}"
        self._session = session
        self._timeout_s = timeout_s
        self._deadline = time.monotonic() + 3 * timeout_s
        self._token = ""

    def ask(self, url: str, method: str = "GET", **kwargs: Any) -> "requests.Response":
        # Both manifest families and lists: a registry answers 404 for an image whose type was not asked for.
        headers = {"Accept": f"{', '.join(_MANIFESTS)}, */*", **({"Authorization": self._token} if self._token else {})}
        answer = self._session.request(method, url, headers=headers, timeout=self._timeout_s, stream=True, **kwargs)
        # Once: a registry that refuses the token it has just given out would be asked for ever.
        if answer.status_code == 401 and not self._token:
            self._token = self._authorise(answer.headers.get("WWW-Authenticate", ""))
            return self.ask(url, method, **kwargs) if self._token else answer
        return answer

    def read_json(self, answer: "requests.Response") -> dict[str, Any]:
        """The body as an object.

        Raises:
            ValueError: too long, too slow, or not a JSON object.
        """
        raw = b""
        for part in answer.iter_content(64 << 10):
            raw += part
            # requests' own timeout counts from byte to byte, so a server that drips would hold us without
            # end.
            if len(raw) > _MAX_BODY or time.monotonic() > self._deadline:
                raise ValueError("its answer is too long or too slow")
        data = json.loads(raw)
        if not isinstance(data, dict):
            raise ValueError("it did not answer with a JSON object")
        return data

    def _authorise(self, challenge: str) -> str:
        from requests.auth import _basic_auth_str

        login = _credentials(self.reference.host)
        kind, _, rest = challenge.partition(" ")
        if kind.lower() == "basic":
            return _basic_auth_str(*login) if login else ""
        fields = dict(_CHALLENGE.findall(rest[:2000]))
        realm = fields.get("realm", "")
        # The login goes to the address that the registry names: over plain HTTP only to the registry itself.
        if kind.lower() != "bearer" or not realm.startswith(("https://", f"http://{self.reference.host}")):
            return ""
        params = {key: fields[key] for key in ("service", "scope") if key in fields}
        answer = self._session.get(realm, params=params, auth=login, timeout=self._timeout_s, stream=True)
        body = self.read_json(answer)
        token = body.get("token") or body.get("access_token") or ""
        return f"Bearer {token}" if token else ""


def _ask(talk: _Talk, text: str, *, details: bool) -> ImageLookup:
    """A HEAD, which no registry counts as a pull; `details` costs a few GETs more."""
    answer = talk.ask(f"{talk.base}/manifests/{talk.reference.want}", "HEAD")
    if not _is_registrys(talk, answer):
        said = f"{talk.reference.host} answers, and not as a registry does ({_kind(answer) or 'no type'})"
        return ImageLookup(reference=text, exists=None, error=said)
    if answer.status_code == 404:
        return ImageLookup(reference=text, exists=False, error="not found in its registry")
    # "Could not be asked" is not "is not there": only a clear 404 may refuse a release (I14).
    if answer.status_code != 200:
        what = {401: "refuses our credentials", 403: "refuses our credentials", 429: "asks us to slow down"}
        said = what.get(answer.status_code, f"answers {answer.status_code}")
        return ImageLookup(reference=text, exists=None, error=f"registry {talk.reference.host} {said}")
    digest = answer.headers.get("Docker-Content-Digest", "")
    return ImageLookup(reference=text, exists=True, digest=digest, created=_created(talk) if details else "")


def _kind(answer: "requests.Response") -> str:
    return answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _is_registrys(talk: _Talk, answer: "requests.Response") -> bool:
    """Whether it is a registry that says "here it is" or "not here": a login page says both, of everything."""
    if answer.status_code not in (200, 404):
        return True  # what it says is not taken for an answer anyhow
    if answer.headers.get("Docker-Content-Digest") or answer.headers.get("Docker-Distribution-Api-Version"):
        return True
    if _kind(answer) != "text/html":
        return answer.status_code == 404 or _kind(answer) in _MANIFESTS
    # Some give their own 404 as a page: what answers the base of the API as a registry must, is one.
    base = talk.ask(f"{talk.base.partition('/v2/')[0]}/v2/")
    return answer.status_code == 404 and bool(base.headers.get("Docker-Distribution-Api-Version"))


def _created(talk: _Talk) -> str:
    """When the image was made; informational, so whatever goes wrong leaves it empty."""
    import requests
    import urllib3

    try:
        manifest = talk.read_json(talk.ask(f"{talk.base}/manifests/{talk.reference.want}"))
        if "manifests" in manifest:
            linux = [m for m in manifest["manifests"] if (m.get("platform") or {}).get("os") == "linux"]
            manifest = talk.read_json(talk.ask(f"{talk.base}/manifests/{linux[0]['digest']}"))
        blob = talk.ask(f"{talk.base}/blobs/{manifest['config']['digest']}")
        return str(talk.read_json(blob).get("created", ""))
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, *_MALFORMED):
        return ""


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
