"""Where a release keeps data that outlives a container, and which of it a snapshot would not hold. Pure.

Called by `engine.live.preflight` and `engine.release.build`. A stateful app is undeployed for each upgrade and taken
back with its snapshot: data in any other place would be lost, or left as a failed release made it (docs/invariants.md).
"""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconciler.core.release import compose
from reconciler.core.release.compose import Mount
from reconciler.model.base import Json

_NOT_DATA = ("/dev/", "/proc/", "/sys/")
_ONE_FILE = ("/etc/localtime", "/etc/timezone", "/dev", "/proc", "/sys")
"""What the host gives to containers and no app keeps data in, though few recipes say `:ro`."""
_ENDS = "it is in no snapshot and ends with its task"


@dataclass(frozen=True, kw_only=True)
class Unkept:
    """A place whose data no snapshot holds. `ends`: with its task, so that taking the app down loses it."""

    where: str
    path: str
    says: str
    ends: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.says}"


def find_unkept(
    doc: Mapping[str, object], excluded: Sequence[str], declared: Mapping[str, Sequence[str]] | None = None
) -> tuple[Unkept, ...]:
    """Find each place whose data would not come back; empty: all data is kept.

    `excluded`: paths in containers whose data the operator gives up. `declared`: service -> paths that its image
    declares as volumes; a service that is not in it has an image that is not known yet.
    """
    given_up = {posixpath.normpath(path) for path in excluded}
    found = [
        one
        for name, service in compose.services(doc).items()
        for one in (
            *_judge_mounts(f"services.{name}", compose.list_mounts(service)),
            *_judge_image(f"services.{name}", service, (declared or {}).get(name, ())),
        )
    ]
    return tuple(one for one in found if posixpath.normpath(one.path) not in given_up)


def keeps_nothing(doc: Mapping[str, object]) -> bool:
    """Say whether no service mounts a named volume, so that a snapshot would be empty."""
    mounts = (mount for service in compose.services(doc).values() for mount in compose.list_mounts(service))
    return not any(mount.kind == "volume" and mount.source for mount in mounts)


def _judge_mounts(where: str, mounts: Sequence[Mount]) -> Iterator[Unkept]:
    for mount in mounts:
        at = f"{mount.kind} mount {mount.source} at {mount.target}"
        if mount.kind == "volume" and not mount.source:
            says = f"{mount.target} is an anonymous volume: {_ENDS}; name it"
            yield Unkept(where=where, path=mount.target, says=says, ends=True)
        elif (mount.kind == "bind" and not _is_harmless(mount)) or mount.kind in ("cluster", "npipe"):
            yield Unkept(where=where, path=mount.target, says=f"{at} is in no snapshot")


def is_kept_by_host(mount: Mount) -> bool:
    """Say whether a mount is a place of the host that an app may write its data to."""
    return mount.kind == "bind" and not _is_harmless(mount)


def _is_harmless(mount: Mount) -> bool:
    source = posixpath.normpath(mount.source)
    # Below /proc there are ways back into the file system of every process.
    if source.startswith("/proc/") and not {"root", "cwd", "fd"}.isdisjoint(source.split("/")):
        return mount.read_only
    # A socket is a way to a program, not a place for data.
    return mount.read_only or source.endswith(".sock") or source in _ONE_FILE or source.startswith(_NOT_DATA)


def _judge_image(where: str, service: Json, declared: Sequence[str]) -> Iterator[Unkept]:
    """Volumes that the image declares, and that the engine makes without a name where nothing is mounted."""
    covered = {posixpath.normpath(mount.target) for mount in compose.list_mounts(service)} | set(_list_tmpfs(service))
    for path in sorted(declared):
        if posixpath.normpath(path) not in covered:
            image = f"image {service.get('image')}"
            says = f"{image} declares the volume {path} and nothing is mounted there: {_ENDS}; mount a named volume"
            yield Unkept(where=where, path=path, says=says, ends=True)


def list_short_lived(doc: Mapping[str, object]) -> tuple[str, ...]:
    """Places in memory, in words: a release that uses them so means it, and its operator is told once."""
    return tuple(
        f"services.{name}: what is written to {path} (tmpfs) ends with its task"
        for name, service in compose.services(doc).items()
        for path in dict.fromkeys(
            (
                *_list_tmpfs(service),
                *(mount.target for mount in compose.list_mounts(service) if mount.kind == "tmpfs"),
            )
        )
    )


def _list_tmpfs(service: Json) -> list[str]:
    given = service.get("tmpfs")
    entries = given if isinstance(given, list) else [given] if isinstance(given, str) else []
    return [posixpath.normpath(str(entry).partition(":")[0]) for entry in entries]
