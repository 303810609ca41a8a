"""What a recipe repository tells: tags, notes, rendered content. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Tags:
    """Tags of one mirror. `annotated`: name -> peeled commit. `lightweight`: names that do not count."""

    annotated: Mapping[str, str]
    lightweight: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ImageLookup:
    """Answer of a registry or the engine about one reference; never raised, always a value.

    `exists` None = could not be asked (`error` says why), which is not the same as False.
    `created`: RFC 3339 or ''. `local`: present on the engine, so no registry is needed. `pinned` if local.
    """

    reference: str
    exists: bool | None
    created: str = ""
    error: str = ""
    digest: str = ""
    local: bool = False
    pinned: str = ""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """One thing that Docker refuses in a release. `file`, `place`: where it stands, '' if that is not known."""

    file: str
    place: str
    says: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.place, self.says) if part)


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """A recipe at one commit merged with the spec into one compose document, images still as asked.

    `policy`: findings as `(allowance, place)`. `files` as in `records.Bundle`. `volume_options`: key -> why a
    snapshot cannot keep it. `secrets` (key -> engine name), `networks`, `configs`: external ones, which must exist.
    `places`: key of the document, dotted -> file that sets it.
    """

    version: str
    commit: str
    doc: Mapping[str, object]
    files: Mapping[str, str]
    images: Mapping[str, str]
    volumes: Mapping[str, str]
    external_volumes: tuple[str, ...] = ()
    volume_options: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    networks: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    policy: tuple[tuple[str, str], ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)
