"""Did the world move away from what was settled? Pure."""

from collections.abc import Mapping

from reconciler.core.release.render import LABEL_BUNDLE
from reconciler.model.observed import StackObs
from reconciler.model.release import KnownGood


def find_foreign_images(known: KnownGood, stack: StackObs) -> tuple[str, ...]:
    """Services that run another image than known-good's: whoever put it there may have had it change the data."""
    wanted = known.release.images
    return tuple(
        f"service {service.name} runs {service.image}, known-good has {wanted[service.name]}"
        for service in stack.services
        if service.image and wanted.get(service.name) not in (None, service.image)
    )


def find_drift(known: KnownGood, stack: StackObs) -> tuple[str, ...]:
    """Every difference between the services as settled and as they stand; empty = none.

    Services that known-good never had are orphans, and drift too. The version index says nothing: a deploy
    that changes nothing bumps it.
    """
    found: list[str] = []
    here: Mapping[str, str] = {service.name: service.spec_fingerprint for service in stack.services}
    for name, fingerprint in sorted(known.services.items()):
        if name not in here:
            found.append(f"service {name} is gone")
        elif here[name] != fingerprint:
            service = stack.service(name)
            what = "scaled or edited"
            if service is not None and service.labels.get(LABEL_BUNDLE) != known.release.bundle:
                what = "another release"
            found.append(f"service {name} was changed by hand ({what})")
    # Left over from a deploy that a crash cut off, or made by hand in our stack: either way it may write to
    # the volumes.
    found += [f"service {name} does not belong to the release" for name in sorted(set(here) - set(known.services))]
    return tuple(found)
