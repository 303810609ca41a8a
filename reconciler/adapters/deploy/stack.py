"""`docker stack deploy` of a bundle. Effects: one CLI run, a private folder that is gone afterwards.

The exit code proves nothing; settling does. Images are pinned, so `--resolve-image never` changes nothing.
"""

import base64
import functools
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from reconciler.adapters import process
from reconciler.core import redact
from reconciler.core.release import compose, interpolate, placement
from reconciler.core.release.render import add_labels
from reconciler.model.errors import ActError
from reconciler.model.release import Bundle
from reconciler.ports.engine import Deployed
from reconciler.state import files


def deploy(bundle: Bundle, workdir: Path, *, host: str | None, timeout_s: float, node_id: str = "") -> Deployed:
    """Hand the bundle to the engine. `node_id`: where what has volumes is kept; '': wherever Swarm puts it.

    Raises:
        ActError: the CLI cannot be run or hangs.
    """
    doc = add_labels(bundle)
    if node_id:
        doc = placement.pin(doc, node_id)
    # Below our own work folder and not /tmp: configs and secrets of the release lie there for a moment.
    with tempfile.TemporaryDirectory(dir=workdir, prefix=f"{bundle.app}-") as made:
        folder = Path(made)
        for name, content in bundle.files.items():
            files.write_atomic(folder / name, base64.b64decode(content))
        for section in ("configs", "secrets"):
            for body in (doc.get(section) or {}).values():
                if "file" in body:
                    body["file"] = str(folder / body["file"])
        if not knows("--detach"):
            doc.setdefault("version", "3.8")  # the CLI of Engine 20.10 refuses a document without one
        path = folder / "compose.json"
        # JSON is YAML; dollar signs are doubled because the CLI interpolates once more.
        files.write_atomic(path, json.dumps(interpolate.escape(doc), ensure_ascii=False).encode())
        at = ["--host", host] if host else []
        detach = ["--detach=true"] if knows("--detach") else []
        # The API has no call for a stack; the CLI is what makes services, networks and configs of a document.
        ran = process.run(
            [
                "docker",
                *at,
                "stack",
                "deploy",
                "--compose-file",
                str(path),
                "--resolve-image",
                "never",
                "--with-registry-auth",
                *detach,
                bundle.stack,
            ],
            timeout_s=timeout_s,
            env=_hide(doc),
            redactor=redact.for_document(bundle.doc),
        )
    return Deployed(code=ran.code, output=ran.output)


_OURS = frozenset({*process.PROXIES, "LC_ALL", "SSL_CERT_FILE", "TMPDIR"})
"""What the tool can do without. It looks nothing up, and the engine is on this host."""


def _hide(doc: Mapping[str, object]) -> dict[str, str]:
    """Our own variables that a service leaves empty, as empty ones: the tool would fill them in from ours.

    A service that is to use no proxy would get ours, and would not be what was sent.
    """
    given = [service.get("environment") or {} for service in compose.services(doc).values()]
    return {str(name): "" for pairs in given for name, value in pairs.items() if value == "" and name in _OURS}


def check_program(host: str | None) -> None:
    """See that the CLI is there and speaks to this engine before a change needs it, when the app may be down already.

    Raises:
        ActError: no such program on the PATH, or it and the engine do not fit, in its own words.
    """
    if shutil.which("docker") is None:
        raise ActError("docker cannot be started: there is no such program on the PATH", host_fault=True)
    at = ["--host", host] if host else []
    # A CLI may be too new for an engine, or too old: both say so only when they are asked for something.
    ran = process.run(["docker", *at, "version", "--format", "{{.Server.Version}}"], timeout_s=_ASK_S)
    if ran.code != 0:
        raise ActError(f"the docker CLI does not speak to this engine: {ran.output[-300:]}", host_fault=True)


_ASK_S = 30.0


@functools.cache
def knows(option: str) -> bool:
    """Old CLIs have no `--detach` for stacks, new ones may one day wait by default."""
    return option in process.run(["docker", "stack", "deploy", "--help"], timeout_s=30).output
