"""Desired state as the operator wrote it: one spec per app. Pure.

Called by `state.specs` (files in) and read by `core`. Units: durations are seconds.
"""

import re
from enum import StrEnum
from typing import Literal

from pydantic import Field, field_validator, model_validator

from reconciler.model.base import Seconds, Strict, Variables
from reconciler.model.health import HealthSpec
from reconciler.model.ids import AppName, StackName, is_name, stack_for
from reconciler.model.tests import TestSpec

_TRACK = re.compile(r"\d{1,9}(\.\d{1,9})?\.x|\d{1,9}\.\d{1,9}\.\d{1,9}[0-9A-Za-z.+_-]{0,200}")


class Kind(StrEnum):
    """What ci-warm keeps of an app."""

    LIVE = "live"
    CANONICAL = "canonical"


class RecipeSpec(Strict):
    """Where releases come from and which of them are wanted."""

    url: str = Field(min_length=1, description="git URL of the recipe repository")
    track: str = Field("latest", description="latest | an exact version | a range like 10.x or 10.7.x")
    signers: str | None = Field(
        None,
        pattern="^/",
        description="file of SSH allowed signers or armoured GPG keys: only tags signed by one of them are taken",
    )
    prerelease: bool = Field(False, description="also pre-releases, such as 2.0.0-rc.1+3.0 or 1.0.0+5.0.9-beta1")

    @field_validator("url")
    @classmethod
    def _no_option(cls, value: str) -> str:
        if value.startswith("-") or any(ord(char) < 0x20 for char in value):
            raise ValueError("is not a git URL")
        return value

    @field_validator("track")
    @classmethod
    def _track(cls, value: str) -> str:
        if value != "latest" and not _TRACK.fullmatch(value):
            raise ValueError("must be 'latest', an exact version like '10.7.1+26.6.2' or a range like '10.x'")
        return value


class SecretSpec(Strict):
    """One versioned Swarm secret: generated once, or inserted from a file."""

    version: str = Field("v1", pattern=r"^[a-z0-9]{1,12}$")
    length: int = Field(32, ge=8, le=500, description="characters of a generated secret")
    charset: Literal["alnum", "hex"] = "alnum"
    file: str | None = Field(None, description="read the value from this file instead of generating it")


class SnapshotSpec(Strict):
    """What the snapshot of a stateful app need not hold."""

    exclude: tuple[str, ...] = Field(
        (), description="paths in containers, outside named volumes, whose data may be lost or stay as a failed release"
    )

    @field_validator("exclude")
    @classmethod
    def _exclude(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for path in value:
            if not path.startswith("/") or ".." in path.split("/"):
                raise ValueError(f"{path!r} is not an absolute path in a container")
        return value


class DriftSpec(Strict):
    """Which differences from what was deployed are nobody's mistake."""

    ignore: tuple[Literal["replicas"], ...] = Field(
        (), description="replicas: a scheduler or an operator scales the services, and that is left as it is"
    )


class UpgradeSpec(Strict):
    """When a newer release may be taken."""

    hold: tuple[Literal["major", "manual-migration"], ...] = ("major", "manual-migration")
    cooldown: Seconds = Field(0.0, ge=0, description="age counted from our own first sight of the tag")
    window: str | None = Field(None, description='e.g. "02:00-05:00 Europe/Berlin"')
    suspend: bool = False
    bake: Seconds = Field(120.0, ge=0, description="after a commit, unhealthy still rolls back for this long")
    require_clean_stop: bool = Field(
        False, description="a release waits for `retry` if the app had to be killed at the end of its grace"
    )
    copy_ahead: bool = Field(
        True, description="volumes are copied while the app still runs, so that it is down for less"
    )
    after_green: bool = Field(False, description="only releases that passed a full cold run on this host")

    @field_validator("window")
    @classmethod
    def _window(cls, value: str | None) -> str | None:
        if value is not None:
            Window.parse(value)
        return value


class Window(Strict):
    """A daily maintenance window in one time zone; may pass midnight."""

    start_minute: int
    end_minute: int
    zone: str

    @classmethod
    def parse(cls, text: str) -> "Window":
        """Read `HH:MM-HH:MM Zone/Name`.

        Raises:
            ValueError: not a window, or no such time zone.
        """
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d) ([A-Za-z0-9/_+-]+)", text)
        if found is None:
            raise ValueError(f"{text!r} is not a window; write it like '02:00-05:00 Europe/Berlin'")
        try:
            ZoneInfo(found[5])
        except (ZoneInfoNotFoundError, ValueError, OSError) as exc:  # OSError: a folder of zones, as `Europe`
            raise ValueError(f"no time zone {found[5]!r}") from exc
        start, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
        if start == end:
            raise ValueError("a window must not start and end at the same minute")
        return cls(start_minute=start, end_minute=end, zone=found[5])


Allowance = Literal[
    "docker-socket",
    "host-mounts",
    "privileged",
    "host-network",
    "capabilities",
    "devices",
    "foreign-objects",
    "foreign-platform",
]


RESERVED = frozenset(
    (
        *("alerts", "asked", "engine", "green", "locks", "recipes", "replies", "requests", "runs", "sweeps"),
        *("unproven", "work"),
    )
)
"""What lies beside the apps' folders."""


class AppSpec(Strict):
    """One app: `/etc/ci-warm/apps/<name>.yaml`."""

    name: str
    kind: Kind = Kind.LIVE
    recipe: RecipeSpec
    domain: str = Field("", description="canonicals default to warm-<name>.<domain suffix>")
    stack: str | None = Field(None, description="default: the domain with dots as underscores")
    stateful: bool = Field(description="true: data and version roll back together; false: version only")
    after: tuple[str, ...] = ()
    env: Variables = Field(default_factory=dict)
    secrets: dict[str, SecretSpec] = Field(default_factory=dict)
    overlays: tuple[str, ...] = Field((), description="compose files that may not change images or services")
    allow: tuple[Allowance, ...] = Field((), description="what the recipe policy forbids by default")
    health: HealthSpec = HealthSpec.model_construct()
    upgrade: UpgradeSpec = UpgradeSpec.model_construct()
    snapshot: SnapshotSpec = SnapshotSpec.model_construct()
    drift: DriftSpec = DriftSpec.model_construct()
    tests: TestSpec | None = Field(None, description="canonicals only: how the recipe is tested")

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if not is_name(value):
            raise ValueError("must match [a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")
        if value in RESERVED:
            raise ValueError(f"{value} is the name of a folder of ours in the state root")
        return value

    @field_validator("domain")
    @classmethod
    def _domain(cls, value: str) -> str:
        if value and not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", value):
            raise ValueError("is not a domain name")
        return value

    @field_validator("stack")
    @classmethod
    def _stack(cls, value: str | None) -> str | None:
        if value is not None and (not is_name(value) or len(value) > 45):
            raise ValueError("must be a name of at most 45 characters, [a-z0-9_-]")
        return value

    @field_validator("secrets")
    @classmethod
    def _secrets(cls, value: dict[str, SecretSpec]) -> dict[str, SecretSpec]:
        for key in value:
            if not re.fullmatch(r"[a-z0-9]([a-z0-9_]{0,30}[a-z0-9])?", key):
                raise ValueError(f"{key!r} is not a secret name")
        return value

    @model_validator(mode="after")
    def _whole(self) -> "AppSpec":
        if self.kind is Kind.LIVE and not self.domain:
            raise ValueError("a live app needs a domain")
        if self.name in self.after:
            raise ValueError("an app cannot come after itself")
        if self.kind is Kind.LIVE and self.tests is not None:
            raise ValueError("tests: only a canonical is tested; enrol the recipe with a spec of its own")
        return self

    @property
    def app(self) -> AppName:
        """The name, typed."""
        return AppName(self.name)

    @property
    def test_spec(self) -> TestSpec:
        """How the recipe is tested, as far as the spec says."""
        return self.tests or TestSpec()

    @property
    def stack_name(self) -> StackName:
        """The Swarm stack this app owns."""
        return StackName(self.stack) if self.stack else stack_for(self.domain)
