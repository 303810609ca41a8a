"""Whether what runs is the head and nothing else: images, services, and the commit in the chaos label. Pure."""

from collections.abc import Mapping

from reconciler.model.ids import StackName
from reconciler.model.observed import StackObs

DIRTY = "+U"


def labels(stack: StackName, commit: str) -> dict[str, str]:
    """The labels of a deploy of a commit that is not asked for as a release."""
    return {f"coop-cloud.{stack}.chaos": "true", f"coop-cloud.{stack}.chaos-version": commit[:8]}


def problems(seen: StackObs, stack: StackName, images: Mapping[str, str], commit: str) -> tuple[str, ...]:
    """What differs from the head's compose; a dirty suffix on the label is allowed."""
    found = []
    running = {service.name: service for service in seen.services}
    found += [f"service {name} is missing" for name in sorted(set(images) - set(running))]
    found += [f"service {name} is not in the head's compose" for name in sorted(set(running) - set(images))]
    for name in sorted(set(images) & set(running)):
        service = running[name]
        if service.image != images[name]:
            found.append(f"service {name} runs {service.image}, the head asks for {images[name]}")
        label = service.labels.get(f"coop-cloud.{stack}.chaos-version", "")
        told = label.removesuffix(DIRTY)
        # Other tools write the commit in other lengths; fewer than seven digits could fit another commit by
        # chance.
        if len(told) < 7 or not commit.startswith(told):
            found.append(f"service {name} carries chaos-version {label or 'none'}, the head is {commit[:8]}")
    return tuple(found)


def is_anew(before: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Say whether a stack (service name -> id) was deployed anew: none of the services that stayed is the same one.

    An update in place keeps its services; a head may add some and drop others.
    """
    if not before:
        return bool(now)
    stayed = set(before) & set(now)
    return bool(stayed) and all(before[name] != now[name] for name in stayed)
