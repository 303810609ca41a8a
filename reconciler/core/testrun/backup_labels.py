"""What a recipe says of its backups, in `backupbot.*` labels (Co-op Cloud's backup specification). Pure."""

import posixpath
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.core.release import compose
from reconciler.core.release.compose import ComposeError

_PREFIX = "backupbot."


@dataclass(frozen=True, kw_only=True)
class Hook:
    """A command that runs in a service's container."""

    service: str
    argv: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class BackupPlan:
    """`whole`: engine names of volumes taken whole; `parts`: engine name -> paths in it; hooks in service order."""

    whole: tuple[str, ...]
    parts: Mapping[str, tuple[str, ...]]
    before: tuple[Hook, ...]
    after: tuple[Hook, ...]
    restore_before: tuple[Hook, ...]
    restore_after: tuple[Hook, ...]


def read_plan(doc: Mapping[str, object], volumes: Mapping[str, str]) -> BackupPlan | None:
    """Read the labels of a rendered document; None: the recipe declares no backup. `volumes`: key -> engine name.

    Raises:
        ComposeError: a path leads out of its volume, or a hook cannot be read.
    """
    labels = {name: _labels(service) for name, service in compose.services(doc).items()}
    if not any(body.get("backupbot.backup", "").lower() == "true" for body in labels.values()):
        return None
    excluded: set[str] = set()
    parts: dict[str, tuple[str, ...]] = {}
    for name, body in labels.items():
        for key, value in body.items():
            rest = key.removeprefix("backupbot.backup.volumes.")
            if rest == key:
                continue
            volume, _, what = rest.partition(".")
            if not what and value.lower() == "false":
                excluded.add(volume)
            elif what == "path":
                parts[volume] = tuple(_inside(path, f"services.{name}") for path in value.split(",") if path.strip())
    return BackupPlan(
        whole=tuple(engine for key, engine in volumes.items() if key not in excluded and key not in parts),
        parts={volumes[key]: paths for key, paths in parts.items() if key in volumes and key not in excluded},
        before=_hooks(labels, "backup.pre-hook"),
        after=_hooks(labels, "backup.post-hook"),
        restore_before=_hooks(labels, "restore.pre-hook"),
        restore_after=_hooks(labels, "restore.post-hook"),
    )


def _labels(service: Mapping[str, object]) -> dict[str, str]:
    deploy = service.get("deploy")
    found = deploy.get("labels") if isinstance(deploy, Mapping) else None
    body = found if isinstance(found, Mapping) else {}
    return {str(key): str(value) for key, value in body.items() if str(key).startswith(_PREFIX)}


def _inside(path: str, where: str) -> str:
    # Recipes write paths as in the container; here each is relative to the volume, and may not lead out of
    # it.
    clean = posixpath.normpath(path.strip().lstrip("/"))
    if clean in (".", "") or clean.startswith("../") or clean == "..":
        raise ComposeError(f"{where}: backup path {path!r} is not inside its volume")
    return clean


def _hooks(labels: Mapping[str, Mapping[str, str]], name: str) -> tuple[Hook, ...]:
    found = []
    for service, body in labels.items():
        text = body.get(_PREFIX + name, "")
        if text:
            try:
                # Only to find a mistake while nothing runs yet; the shell in the container is what reads it
                # in the end.
                shlex.split(text)
            except ValueError as exc:
                raise ComposeError(f"services.{service}: {name}: {exc}") from exc
            found.append(Hook(service=service, argv=("/bin/sh", "-c", text)))
    return tuple(found)
