"""Everything else outside: clock, probes, registries, recipes, files of the host. As Protocols. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from reconciler.model.app import AppSpec
from reconciler.model.recipe import ImageLookup, Tags


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


class Clock(Protocol):
    """Wall time for records, monotonic time for deadlines."""

    def now(self) -> datetime:
        """Aware, UTC."""

    def monotonic(self) -> float:
        """Seconds; never jumps."""

    def wait(self, seconds: float) -> None:
        """Pause between polls.

        Raises:
            Interrupted: a stop was requested.
        """


class Stop(Protocol):
    """A request to stop, which may come from a signal handler."""

    def set(self) -> None:
        """Ask for it."""

    def is_set(self) -> bool:
        """Whether it was asked for."""

    def wait(self, seconds: float) -> bool:
        """Pause; True as soon as it is asked for."""


class Registry(Protocol):
    """Where images come from."""

    def lookup(self, references: Sequence[str], *, details: bool = False) -> Mapping[str, ImageLookup]:
        """One answer per reference; never raises. Batched per registry. `details`: also when it was created."""


class Recipes(Protocol):
    """Git mirrors of recipes."""

    def fetch(self, url: str) -> None:
        """Bring the mirror up to date.

        Raises:
            RecipeError: the old state stays.
        """

    def tags(self, url: str) -> Tags:
        """Tags of the mirror."""

    def files(self, url: str, commit: str) -> Mapping[str, bytes]:
        """Every regular file of the recipe at that commit, by path. Raises RecipeError if the commit is gone."""

    def notes(self, url: str, commit: str, versions: Sequence[str]) -> Mapping[str, str]:
        """Release notes of those versions as they stand at `commit`, from all known places."""


class Overlays(Protocol):
    """Overlay files that lie on the host."""

    def read(self, path: str) -> bytes:
        """Content of an absolute path; RecipeError if it cannot be read."""


class Prober(Protocol):
    """Health requests."""

    def probe(self, probe: Probe) -> ProbeAnswer:
        """Ends within the probe's deadline, never raises."""


class SecretSource(Protocol):
    """Values for new secrets."""

    def value(self, spec: AppSpec, name: str) -> bytes:
        """From the file the spec names, or generated. RecipeError if the file cannot be read."""


class Yaml(Protocol):
    """A strict YAML reader for compose files and env files of recipes."""

    def compose(self, text: bytes, name: str) -> Mapping[str, object]:
        """One compose document; RecipeError naming file and line if it does not parse."""

    def env(self, text: bytes, name: str) -> Sequence[tuple[str, str]]:
        """Names and values of an env file, line by line, not interpolated."""
