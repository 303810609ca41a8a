"""What one web process has at hand. Called by API and pages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi import Request

from reconciler.model.host import Usage
from reconciler.web.access import Access
from reconciler.web.reading import StateReader
from reconciler.web.rendered import Rendered
from reconciler.web.wishes import Wishes

if TYPE_CHECKING:
    from reconciler.web.webhook import Hook


@dataclass(kw_only=True)
class Deployment:
    """`hook`: what a forge may ask for, None: nothing. `disks`: how full the host's file systems are now.

    `streams`: how many follow changes at this moment.
    """

    reader: StateReader
    access: Access
    wishes: Wishes
    hook: "Hook | None" = None
    rendered: Rendered = field(default_factory=Rendered)
    disks: Callable[[], Sequence[Usage]] = tuple
    streams: int = 0


def deployment(request: Request) -> Deployment:
    """The one that this application was made with."""
    found: Deployment = request.app.state.deployment
    return found
