"""The Engine API through docker-py's low-level client, its errors translated. Effects: HTTP to the engine.

Lists are asked for without it where that can be (`plain`); whatever goes wrong there is asked again, and told, by it.

Reads raise `ObserveError` (UNKNOWN), writes `ActError`. "Not found" is an answer, not an error.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from reconciler.adapters.swarm import plain
from reconciler.model.errors import ActError, ObserveError

OLDEST_API = (1, 41)


class SwarmClient:
    """One engine; connects on first use. `calls` counts requests that a look needs (shown in bench/)."""

    def __init__(self, host: str | None, timeout_s: float) -> None:
        self._host = host
        self.timeout_s = timeout_s
        self._api: Any = None
        self._platform = ""
        self._plain = plain.find(host, timeout_s, OLDEST_API)
        self.calls = 0

    @property
    def is_local(self) -> bool:
        """Say whether the engine's files are this machine's: only then are volume paths ours to read."""
        import os

        host = self._host or os.environ.get("DOCKER_HOST") or "unix://"
        return host.startswith(("unix://", "/"))

    def api(self) -> Any:
        """The connected client, API version negotiated.

        Raises:
            ObserveError: no engine answers, or it is older than 20.10.
        """
        if self._api is None:
            self._api = self._connect()
        return self._api

    def _connect(self) -> Any:
        import requests
        from docker import APIClient
        from docker.errors import DockerException
        from docker.utils import kwargs_from_env

        settings = kwargs_from_env()
        if self._host is not None:
            settings["base_url"] = self._host
        try:
            api = APIClient(version="auto", timeout=int(self.timeout_s) or 1, **settings)
        except (DockerException, requests.RequestException, OSError, ValueError) as exc:
            where = settings.get("base_url", "the local socket")
            raise ObserveError(f"no Docker engine answers at {where}: {_said(exc)}") from exc
        found = tuple(int(part) for part in api.api_version.split("."))
        if found < OLDEST_API:
            api.close()
            raise ObserveError(
                f"the Docker engine speaks API {api.api_version}; 1.41 (Engine 20.10) is the oldest we know"
            )
        return api

    def platform(self) -> str:
        """`os/architecture` of the engine; asked once."""
        if not self._platform:
            told = self.read("the engine's version", "version")
            self._platform = f"{told.get('Os') or ''}/{told.get('Arch') or ''}"
        return self._platform

    def read(self, what: str, method: str, /, *args: Any, **kwargs: Any) -> Any:
        """Ask; anything but an answer is `ObserveError`. `method` is docker-py's name for the call."""
        found = self.find(what, method, *args, **kwargs)
        if found is None:
            raise ObserveError(f"{what}: not found")
        return found

    def find(self, what: str, method: str, /, *args: Any, **kwargs: Any) -> Any:
        """Ask for something that may be absent: None means the engine said it is."""
        self.calls += 1
        if self._plain is not None and not args:
            try:
                return self._plain.read(method, kwargs)
            except plain.NoPlainAnswerError:
                pass
            except TimeoutError as exc:
                self._drop()
                text = f"{what}: the engine does not answer: Read timed out. (read timeout={self.timeout_s:g})"
                raise ObserveError(text) from exc
        import requests
        from docker.errors import APIError, DockerException

        try:
            return getattr(self.api(), method)(*args, **kwargs)
        except APIError as exc:
            if exc.status_code == 404:
                return None
            raise ObserveError(f"{what}: {_said(exc)}") from exc
        except (DockerException, requests.RequestException, OSError, ValueError) as exc:
            self._drop()
            raise ObserveError(f"{what}: the engine does not answer: {_said(exc)}") from exc

    def write(self, what: str, method: str | Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Change something; None means it was not there. A timed-out write is unknown: callers look again."""
        import requests
        from docker.errors import APIError, DockerException

        try:
            api = self.api()
            return getattr(api, method)(*args, **kwargs) if isinstance(method, str) else method(api, *args)
        except APIError as exc:
            if exc.status_code == 404:
                return None
            # A 4xx is the release's own: the engine understood and refused. Everything else says nothing
            # about the release.
            host_fault = exc.status_code is None or exc.status_code >= 500
            raise ActError(f"{what}: {_said(exc)}", host_fault=host_fault) from exc
        except (DockerException, requests.RequestException, OSError, ValueError) as exc:
            self._drop()
            # It may have been done all the same, so callers look again before they judge.
            raise ActError(f"{what}: the engine did not confirm it: {_said(exc)}", host_fault=True) from exc

    def update_service(self, service_id: str, version: int, spec: dict[str, Any]) -> None:
        """Send a whole spec back; docker-py's own method would drop the fields it does not know."""
        self.write(f"update service {spec['Name']}", _post_service, service_id, version, spec)

    def events(self, *, since: float, until: float, filters: dict[str, list[str]]) -> Iterator[Any]:
        """Events as they come. Unlike docker-py's own method this one ends when nothing comes for `timeout_s`.

        Raises:
            ObserveError: the stream broke or hangs.
        """
        import requests
        from docker.errors import DockerException
        from urllib3.exceptions import HTTPError

        try:
            api = self.api()
            params = {"since": since, "until": until, "filters": json.dumps(filters)}
            # docker-py has no public way to give this request a read timeout.
            url = api._url("/events")
            answer = api._get(url, params=params, stream=True, timeout=(10, self.timeout_s))
            yield from api._stream_helper(answer, decode=True)
        except (DockerException, requests.RequestException, HTTPError, OSError, ValueError) as exc:
            self._drop()
            raise ObserveError(f"events: {_said(exc)}") from exc

    def pull(self, reference: str, timeout_s: float) -> Iterator[Any]:
        """What the engine says while it pulls, as it comes; a refusal is a message with `error`, as a failure later is.

        The credentials are those of the host's Docker configuration, read anew: a login counts at once.

        Raises:
            ActError: the engine or a credential helper does not answer, or it is not done within `timeout_s`.
        """
        import requests
        from docker.errors import APIError, DockerException
        from docker.utils import parse_repository_tag
        from urllib3.exceptions import HTTPError

        until = time.monotonic() + timeout_s
        try:
            api = self.api()
            name, tag = parse_repository_tag(reference)
            header = _registry_credentials(api, name)
            # docker-py's own method would wait for ever.
            answer = api._post(
                api._url("/images/create"),
                params={"fromImage": name, "tag": tag or "latest"},
                headers={"X-Registry-Auth": header} if header else {},
                stream=True,
                timeout=(10, timeout_s),
            )
            with closing(answer):
                api._raise_for_status(answer)
                for message in api._stream_helper(answer, decode=True):
                    yield message
                    if time.monotonic() > until:
                        raise ActError(f"the pull did not end within {timeout_s:g} s", host_fault=True)
        except APIError as exc:
            yield {"error": _said(exc)}
        except (DockerException, requests.RequestException, HTTPError, OSError, ValueError) as exc:
            self._drop()
            raise ActError(f"the engine does not answer: {_said(exc)}", host_fault=True) from exc

    def _drop(self) -> None:
        """Forget the connection, so that the next call negotiates again with whatever engine is there then."""
        if self._plain is not None:
            self._plain.forget()
        if self._api is not None:
            self._api.close()
            self._api = None


def _post_service(api: Any, service_id: str, version: int, spec: dict[str, Any]) -> None:
    url = api._url("/services/{0}/update", service_id)
    api._result(api._post_json(url, data=spec, params={"version": version}), json=True)


def _registry_credentials(api: Any, name: str) -> str | None:
    """The header for the registry of a repository, as the host's Docker configuration is now; None: it has none."""
    from docker.auth import get_config_header, resolve_repository_name
    from docker.errors import DockerException

    try:
        api.reload_config()
        found: str | None = get_config_header(api, resolve_repository_name(name)[0])
    except DockerException as exc:
        raise ActError(f"the credentials of its registry: {_said(exc)}", host_fault=True) from exc
    return found


def _said(exc: Any) -> str:
    text = str(getattr(exc, "explanation", None) or exc)
    return text.strip().replace("\n", " ")[:300] or type(exc).__name__
