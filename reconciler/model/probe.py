"""One health request and its answer. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One health request: `url_host` resolved to `address`. Deadlines in seconds."""

    scheme: str
    host: str
    address: str
    port: int
    path: str
    status: Sequence[int]
    body: str | None
    tls_verify: bool
    ca_file: str | None
    timeout_s: float


@dataclass(frozen=True, kw_only=True)
class ProbeAnswer:
    """`ok`, or the reason why not; `code` 0 when nothing answered."""

    ok: bool
    code: int
    detail: str
