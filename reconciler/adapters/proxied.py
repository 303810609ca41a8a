"""HTTP that goes where the host's proxies say, for the registry client. Effects: HTTP.

Of the environment only the proxies count: no .netrc, no other authorities. As with Docker itself, nothing on this host
is asked through a proxy.
"""

import ipaddress
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.utils import get_environ_proxies


class Session(requests.Session):
    """A session that asks the environment for each address anew, also for where a redirect leads."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """See `requests`; redirects come through here, too."""
        return super().send(request, **(kwargs | {"proxies": proxies_for(request.url or "")}))


def proxies_for(url: str) -> dict[str, str]:
    """The proxy to ask for an address, by scheme; {} = ask it directly."""
    return {} if _is_here(urlsplit(url).hostname or "") else dict(get_environ_proxies(url))


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
