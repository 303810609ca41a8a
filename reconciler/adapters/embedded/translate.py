"""Compose services to the embedded engine's own form, and its records to observed state. Pure but for paths.

What a program gets: `PORT` (its first published port), `MOUNT_<TARGET>` for each volume (`/data` is `MOUNT_DATA`),
`SECRET_<NAME>_FILE` for each secret, and its environment.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from reconciler.adapters.embedded.images import ImageStore
from reconciler.adapters.swarm.parse import instant
from reconciler.core.release import compose
from reconciler.core.release.digest import digest
from reconciler.core.release.render import LABEL_SCALED
from reconciler.model.base import Json, parse_duration
from reconciler.model.ids import StackName
from reconciler.model.observed import ContainerObs, ServiceMode, ServiceObs, TaskObs, UpdateObs
from reconciler.model.release import Bundle

LABEL_STACK = "com.docker.stack.namespace"
_EXITED = ("complete", "failed", "shutdown")


def services(bundle: Bundle, doc: Mapping[str, object], root: Path, images: ImageStore) -> dict[str, Json]:
    """Every service of a document in the form that supervisors read.

    Raises:
        ValueError: something the embedded engine cannot run.
    """
    return {name: _service(bundle, name, body, root, images) for name, body in compose.services(doc).items()}


def _service(bundle: Bundle, name: str, body: Json, root: Path, images: ImageStore) -> Json:
    deploy = body.get("deploy") or {}
    mounts = [mount for mount in compose.list_mounts(body) if mount.kind == "volume"]
    unnamed = next((mount.target for mount in mounts if not mount.source), None)
    if unnamed is not None:
        raise ValueError(f"services.{name}.volumes: {unnamed} has no name, which the embedded engine does not support")
    mounted = [(bundle.volumes[mount.source], mount.target) for mount in mounts]
    env = {key: str(value) for key, value in (body.get("environment") or {}).items()}
    env |= {_mount_variable(target): str(root / "volumes" / volume / "_data") for volume, target in mounted}
    ports = [_published(port) for port in body.get("ports") or []]
    if ports:
        env["PORT"] = str(ports[0])
    for secret in body.get("secrets") or []:
        key = secret["source"] if isinstance(secret, Mapping) else secret
        env[f"SECRET_{str(key).upper()}_FILE"] = str(root / "secrets" / bundle.secrets.get(str(key), str(key)))
    env |= {f"FILE_{key.upper().replace('-', '_')}": base64.b64decode(v).decode() for key, v in bundle.files.items()}
    mode = str(deploy.get("mode", "replicated"))
    if mode not in ("replicated", "global"):
        raise ValueError(f"services.{name}.deploy.mode: {mode} is not supported by the embedded engine")
    restart = deploy.get("restart_policy") or {}
    template: Json = {
        "image": body["image"],
        "image_file": str(images.file(body["image"])),
        "argv": _argv(body),
        "env": env,
        "volumes": [volume for volume, _ in mounted],
        "health": _health(body.get("healthcheck") or {}),
        "grace": _seconds(body.get("stop_grace_period", "10s")),
        "restart": {
            "condition": restart.get("condition", "any"),
            "delay": _seconds(restart.get("delay", "500ms")),
        },
    }
    return template | {
        "template": digest(template),
        "stack": bundle.stack,
        "name": name,
        "labels": {**(deploy.get("labels") or {}), LABEL_STACK: bundle.stack},
        "mode": mode,
        "replicas": 1 if mode == "global" else int(deploy.get("replicas", 1)),
        "monitor": _seconds((deploy.get("update_config") or {}).get("monitor", "100ms")),
    }


def _mount_variable(target: str) -> str:
    return "MOUNT_" + re.sub(r"[^A-Z0-9]+", "_", target.upper()).strip("_")


def _published(port: object) -> int:
    if isinstance(port, Mapping):
        return int(port.get("published", port["target"]))
    return int(str(port).partition("/")[0].rsplit(":", 2)[-2 if ":" in str(port) else -1])


def _argv(body: Json) -> list[str]:
    words = []
    for key in ("entrypoint", "command"):
        value = body.get(key) or []
        words += [str(word) for word in value] if isinstance(value, list) else ["/bin/sh", "-c", str(value)]
    return words


def _health(check: Json) -> Json | None:
    test = check.get("test")
    if not test or check.get("disable") or test == ["NONE"]:
        return None
    words = list(test) if isinstance(test, list) else ["CMD-SHELL", str(test)]
    argv = words[1:] if words[0] == "CMD" else ["/bin/sh", "-c", " ".join(words[1:])]
    return {
        "argv": argv,
        "interval": _seconds(check.get("interval", "30s")),
        "timeout": _seconds(check.get("timeout", "30s")),
        "start_period": _seconds(check.get("start_period", "0s")),
        "retries": int(check.get("retries", 3)),
    }


def _seconds(value: object) -> float:
    found = parse_duration(value)
    if not isinstance(found, float):
        raise ValueError(f"{value!r} is not a duration")
    return found


def observed(spec: Json, published: Json, alive: bool) -> tuple[ServiceObs, Sequence[TaskObs], Sequence[ContainerObs]]:
    """One service's files as observed state. `alive`: its supervisor runs; if not, neither does any task."""
    service_id = spec["id"]
    records = published.get("tasks", [])
    tasks = [_task(service_id, record, alive) for record in records]
    update = published.get("update")
    mode = ServiceMode(spec["mode"])
    judged = None if LABEL_SCALED in spec["labels"] else spec["replicas"]
    service = ServiceObs(
        id=service_id,
        name=spec["name"],
        stack=StackName(spec["stack"]),
        version_index=spec["version"],
        labels=spec["labels"],
        image=spec["image"],
        mode=mode,
        replicas=0 if mode is ServiceMode.GLOBAL else spec["replicas"],
        running=sum(task.state == "running" for task in tasks),
        desired=spec["replicas"],
        spec_fingerprint=digest([spec["template"], spec["labels"], judged, spec["mode"]]),
        template_fingerprint=spec["template"],
        update=UpdateObs(**update) if update else None,
        restart_condition=spec["restart"]["condition"],
    )
    containers = [
        ContainerObs(
            id=record["id"],
            task_id=record["id"],
            state="running" if record["alive"] and alive else "exited",
            health=record["health"],
            exit_code=record["code"],
        )
        for record in records
        if record["pid"]
    ]
    return service, tasks, containers


def _task(service_id: str, record: Json, alive: bool) -> TaskObs:
    dead = not alive and record["state"] not in (*_EXITED, "rejected")
    return TaskObs(
        id=record["id"],
        service_id=service_id,
        state="failed" if dead else record["state"],
        desired_state=record["desired"],
        template_fingerprint=record["template"],
        at=instant(record["at"]),
        error="its supervisor is gone" if dead else record["error"],
        exit_code=record["code"],
        node_id="embedded",
        created_at=instant(record["created"]) if "created" in record else None,
    )
