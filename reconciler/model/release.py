"""Releases as records keep them: what was rendered, what is known good, and the way back. Pure.

Written and read by `state.records`. A newer `schema_version` than we know is refused by the reader, never guessed at.
"""

from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from reconciler.model.base import Json, Record


class Release(Record):
    """A version of a recipe made deployable: `bundle` is the digest of its rendered form on disk."""

    version: str
    commit: str
    bundle: str
    images: dict[str, str] = Field(default_factory=dict, description="service -> image, pinned")


class Fallback(Record):
    """The way back from known-good; `snapshot` is None for stateless apps."""

    release: Release
    snapshot: str | None = None
    desired: str = Field("", description="digest of the settings it was rendered with")


class KnownGood(Record):
    """`known_good.json`: what passed the gate, settled and answered; moves in one rename.

    `bake_until` None: a record from before bake watches were recorded. `baked`: a pass saw the app well after that.
    """

    schema_version: Literal[1] = 1
    app: str
    stack: str = Field("", description="the stack that its data belongs to")
    release: Release
    fallback: Fallback | None = None
    services: dict[str, str] = Field(default_factory=dict, description="service -> fingerprint as settled")
    desired: str = Field("", description="digest of the settings that rendering depends on")
    at: datetime
    bake_until: datetime | None = Field(None, description="until then a release that fails is taken back")
    baked: bool = Field(False, description="seen well after that: only an operator takes it back")

    def ends_watch(self, bake_s: float) -> datetime:
        """When the bake watch ends; `bake_s`: seconds of the spec, for a record that does not say."""
        return self.bake_until or self.at + timedelta(seconds=bake_s)

    def is_watched(self, bake_s: float, now: datetime) -> bool:
        """Say whether the bake watch is on; a clock that was set back before the commit ends it."""
        return not self.baked and self.at <= now < self.ends_watch(bake_s)


class Bundle(Record):
    """`<app>/releases/<id>.json`: a release rendered into one compose document, deployable without git or network.

    `files`: content of recipe files that configs and secrets refer to, base64, by the name used in `doc`.
    `asked`: images as the recipe wrote them, `images` as pinned. `volumes`: compose key -> engine volume name.
    """

    schema_version: Literal[1] = 1
    id: str
    app: str
    stack: str
    version: str
    commit: str
    domain: str = ""
    health: Json = Field(default_factory=dict, description="how this release is probed, as the spec said it then")
    doc: Json
    files: dict[str, str] = Field(default_factory=dict)
    asked: dict[str, str] = Field(default_factory=dict)
    images: dict[str, str] = Field(default_factory=dict)
    volumes: dict[str, str] = Field(default_factory=dict)
    external_volumes: tuple[str, ...] = ()
    secrets: dict[str, str] = Field(default_factory=dict, description="external secrets: key -> engine name")

    @property
    def release(self) -> Release:
        """The bundle as other records refer to it."""
        return Release(version=self.version, commit=self.commit, bundle=self.id, images=self.images)
