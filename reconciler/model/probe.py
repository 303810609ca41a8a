"""One health request and its answer. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.model.settling import Fault

_SHOWN = 300


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One health request: `host` resolved to `address`. Deadlines in seconds.

    `form`: sent as a form by POST; empty: a GET. It may hold a password, so it is in no text about a probe.
    """

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
    form: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class ProbeAnswer:
    """`ok`, or the reason why not; `code` 0 when nothing answered.

    `fault`: of a bad answer; not the app's where the question could not be asked. `remarks`: checks that are not
    required and failed. `unreached`: address and port where nothing took the connection.
    """

    ok: bool
    code: int
    detail: str
    fault: Fault = Fault.APP
    remarks: tuple[str, ...] = ()
    unreached: tuple[str, int] | None = None


def describe_end(code: int, output: str) -> str:
    """How a command ended, with what it said last."""
    last = (output.strip().splitlines() or [""])[-1].strip()[:_SHOWN]
    return f"ended with {code}{f': {last}' if last else ''}"
