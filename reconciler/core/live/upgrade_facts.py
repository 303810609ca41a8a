"""What is known of a release that would be taken, before anything is decided. Pure.

Collected by `engine.live.preflight`, judged by `core.live.gate`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.model.recipe import ImageLookup, Refusal, Rendered


@dataclass(frozen=True, kw_only=True)
class UpgradeFacts:
    """What would be deployed and everything known about it.

    `images_*`: lookups of the candidate's and the running release's images. `rendered` None: it cannot be rendered, and
    `problem` says why. `tested`: it was green in a cold run here; None: that is not asked for. `existing`: volumes that
    it would mount and that exist, though nothing is known-good; `leftover`: those that no record says who wrote.
    `refusals`: what Docker would not take of it; `fixed`: what exists in another shape and would stay so. `unkept`:
    places of a stateful app whose data no snapshot would hold. `unsigned`: what is wrong with its signature, where the
    spec names signers. `foreign`: its images that are made for another platform. `taken`: names, ports and addresses of
    it that others have; `strangers`: its objects that another stack made.
    """

    version: str
    commit: str
    rendered: Rendered | None = None
    problem: str | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    lost_volumes: Sequence[str] = ()
    unkept: Sequence[str] = ()
    existing: tuple[str, ...] = ()
    leftover: tuple[str, ...] = ()
    images_new: Sequence[ImageLookup] = ()
    images_prior: Sequence[ImageLookup] = ()
    missing: Sequence[str] = ()
    foreign: Sequence[str] = ()
    refusals: Sequence[Refusal] = ()
    fixed: Sequence[str] = ()
    taken: Sequence[str] = ()
    strangers: Sequence[tuple[str, str]] = ()
    prior_healthy: bool = True
    prior_detail: str = ""
    changes_release: bool = True
    tested: bool | None = None
    unsigned: str = ""

    @property
    def policy(self) -> Sequence[tuple[str, str]]:
        """What the recipe wants that the policy guards, as `(allowance, place)`."""
        return (*self.rendered.policy, *self.strangers) if self.rendered else ()
