"""What is known about images: on the engine, and in their registries. Effects: reads; `fetched` pulls."""

from collections.abc import Iterable
from contextlib import ExitStack

from reconciler.engine.context import Context
from reconciler.model.recipe import ImageLookup, Rendered
from reconciler.model.release import Release
from reconciler.ports.engine import Pulled
from reconciler.ports.progress import Meter


def lookup_new(context: Context, rendered: Rendered) -> list[ImageLookup]:
    """The candidate's images: what the registry has now, and whether the engine has just that."""
    asked = list(dict.fromkeys(rendered.images.values()))
    local = context.ports.engine.observe_images(asked)
    built_here = {ref for ref, image in local.items() if image.pinned.startswith("sha256:")}
    remote = context.ports.registry.lookup([ref for ref in asked if ref not in built_here])
    return [_combine(ref, local[ref].pinned if ref in local else "", remote.get(ref)) for ref in asked]


def _combine(reference: str, pinned: str, remote: ImageLookup | None) -> ImageLookup:
    digest = pinned.rpartition("@")[2] if pinned else ""
    if remote is None or (remote.exists is None and pinned):
        # Never pushed anywhere, or the registry is away: what is on the engine is what there is.
        return ImageLookup(reference=reference, exists=True, digest=digest, local=True, pinned=pinned)
    if pinned and remote.exists is False:
        return ImageLookup(reference=reference, exists=True, digest=digest, local=True, pinned=pinned)
    same = bool(pinned) and remote.digest in ("", digest)
    return ImageLookup(
        reference=reference,
        exists=remote.exists,
        created=remote.created,
        error=remote.error,
        digest=remote.digest or digest,
        local=same,
        pinned=pinned if same else "",
    )


def lookup_release(context: Context, release: Release, *, details: bool = False) -> list[ImageLookup]:
    """A recorded release's pinned images: on the engine, else in their registry. Never raises for a registry."""
    pinned = list(dict.fromkeys(release.images.values()))
    local = context.ports.engine.observe_images(pinned)
    # An image that was only ever here has no other name than its id, which no registry knows.
    built_here = {ref for ref in pinned if ref.startswith("sha256:")}
    absent = [ref for ref in pinned if ref not in local and ref not in built_here]
    remote = context.ports.registry.lookup(absent, details=details) if absent else {}
    found = []
    for ref in pinned:
        if ref in local:
            created = local[ref].created
            found.append(ImageLookup(reference=ref, exists=True, local=True, pinned=ref, created=created))
        elif ref in built_here:
            found.append(ImageLookup(reference=ref, exists=False, error="was built or loaded here, and is gone"))
        else:
            found.append(remote.get(ref) or ImageLookup(reference=ref, exists=None, error="malformed image reference"))
    return found


def pull_missing(context: Context, looked: Iterable[ImageLookup], why: str = "") -> dict[str, str]:
    """Have every image on the engine; gives the pinned reference of each by the name it was asked for.

    Raises:
        ActError: one cannot be pulled.
    """
    found = {}
    for image in looked:
        if image.local:
            found[image.reference] = image.pinned
            continue
        context.ports.progress(context.app, f"pulling {image.reference}{why}")
        found[image.reference] = _pull(context, image.reference)
    return found


def _pull(context: Context, reference: str) -> str:
    """Pull one, telling how far it is; the pinned reference."""
    ports = context.ports
    with ExitStack() as open_meter:
        meters: list[tuple[str, Meter]] = []

        def hear(far: Pulled) -> None:
            if not meters or meters[-1][0] != far.doing:
                open_meter.close()  # one part ends where the next begins
                meter = Meter(ports.tell, context.app, f"{far.doing} {reference}", far.of, ports.clock.monotonic)
                meters.append((far.doing, open_meter.enter_context(meter)))
            meters[-1][1].learn(far.done, far.of)

        return ports.engine.pull(reference, hear).pinned
