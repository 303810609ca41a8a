"""Images on the engine: looked at, pulled, pinned by digest, kept alive. Effects: the engine."""

import hashlib
from collections.abc import Callable, Mapping, Sequence

from reconciler.adapters.registry import parse_reference
from reconciler.adapters.swarm.client import SwarmClient
from reconciler.adapters.swarm.pulling import Layers
from reconciler.core.release import platforms
from reconciler.model.base import Json
from reconciler.model.errors import ActError, ObserveError
from reconciler.model.ids import AppName, RunName
from reconciler.model.observed import ImageObs
from reconciler.ports.engine import Pulled

LABEL_PIN = "ci-warm.pin"
LABEL_PIN_IMAGE = "ci-warm.pin.image"
_PERMANENT = ("manifest unknown", "not found", "repository does not exist", "denied")


def observe(client: SwarmClient, references: Sequence[str]) -> Mapping[str, ImageObs]:
    """The images present on the engine; malformed references are simply absent."""
    found = {}
    for text in dict.fromkeys(references):
        # The engine would answer 400 to a malformed name, which would read as "cannot be seen".
        if parse_reference(text) is None and not text.startswith("sha256:"):
            continue
        raw = client.find(f"image {text}", "inspect_image", text)
        if raw is not None:
            found[text] = _image(text, raw, client.platform())
    return found


def _image(reference: str, raw: Json, platform: str) -> ImageObs:
    volumes = tuple((raw.get("Config") or {}).get("Volumes") or ())
    made_for = f"{raw.get('Os') or ''}/{raw.get('Architecture') or ''}"
    foreign = "" if platforms.fits(made_for, platform) else made_for
    return ImageObs(pinned=pin(reference, raw), created=raw.get("Created", ""), volumes=volumes, foreign=foreign)


def pin(reference: str, raw: Json) -> str:
    """A reference that cannot move: by digest if the image came from its registry, else by image id."""
    if "@sha256:" in reference or reference.startswith("sha256:"):
        return reference
    wanted = parse_reference(reference)
    # An image may have digests of several registries; only the one of this name can be pulled under it again.
    for digested in raw.get("RepoDigests") or []:
        have = parse_reference(digested)
        if have and wanted and (have.host, have.path) == (wanted.host, wanted.path):
            return f"{reference}@{have.digest}"
    # Built or loaded here: no registry knows it, and its id is the only name that cannot move.
    return str(raw["Id"])


def pull(client: SwarmClient, reference: str, timeout_s: float, hear: Callable[[Pulled], None]) -> ImageObs:
    """Fetch an image with the credentials of the host's Docker configuration; `hear`: told how far it is.

    Raises:
        ActError: `permanent` if the registry says there is no such image, else a host fault.
    """
    layers = Layers()
    try:
        for message in client.pull(reference, timeout_s):
            far = layers.hear(message)
            if far is not None:
                hear(far)
    except (ActError, ObserveError) as exc:
        raise ActError(f"{reference} cannot be pulled: {exc}", host_fault=True) from exc
    if layers.error:
        permanent = any(text in layers.error.lower() for text in _PERMANENT)
        raise ActError(
            f"{reference} cannot be pulled: {layers.error[-300:]}", permanent=permanent, host_fault=not permanent
        )
    found = observe(client, [reference]).get(reference)
    if found is None:
        raise ActError(f"{reference} was pulled but is not there", host_fault=True)
    return found


def protect(client: SwarmClient, owner: AppName | RunName, pinned: Sequence[str]) -> None:
    """Keep a created, never started container per image, so that no pruning takes it; drop those of other images."""
    label = {"label": f"{LABEL_PIN}={owner}"}
    existing = client.read("pins", "containers", all=True, filters=label)
    have = {(raw.get("Labels") or {}).get(LABEL_PIN_IMAGE): raw["Id"] for raw in existing}
    for reference in dict.fromkeys(pinned):
        if reference not in have:
            _create_pin(client, owner, reference)
    # New pins first, old ones after: a crash between keeps too much, never too little (I21).
    for kept, container in have.items():
        if kept not in pinned:
            client.write("remove pin", "remove_container", container)


def _create_pin(client: SwarmClient, owner: AppName | RunName, reference: str) -> None:
    image = observe(client, [reference]).get(reference)
    if image is None:
        raise ActError(f"image {reference} is not on the engine, so it cannot be kept", permanent=True)
    name = f"ci-warm-pin-{owner}-{hashlib.sha256(reference.encode()).hexdigest()[:12]}"
    # A tmpfs over each declared volume, or the engine would make an anonymous volume for it.
    mounts = [{"Type": "tmpfs", "Target": target} for target in image.volumes]
    body = {
        "Image": reference,
        "Cmd": ["/ci-warm-pin"],
        "Labels": {LABEL_PIN: owner, LABEL_PIN_IMAGE: reference},
        "HostConfig": {"NetworkMode": "none", "Mounts": mounts},
    }
    try:
        client.write(f"pin {reference}", "create_container_from_config", body, name)
    except ActError as exc:
        # Another process pinned the same image for the same owner just now: that is what was wanted.
        if "already in use" not in str(exc):
            raise
