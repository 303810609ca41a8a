"""Commits of a recipe brought up on the run's stack, and deploys counted from outside. Effects: the stack, images."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.core.release import render
from reconciler.core.testrun import base, chaos_label
from reconciler.engine.change import unjournaled
from reconciler.engine.context import Context, failed
from reconciler.engine.release import build
from reconciler.engine.release.render import Extras
from reconciler.engine.testrun.report import RunReport
from reconciler.model.errors import (
    ActError,
    ObserveError,
    RecipeError,
)
from reconciler.model.journal import Failure, Step
from reconciler.model.release import Bundle
from reconciler.model.settling import Fault
from reconciler.model.testrun import Source


@dataclass(kw_only=True)
class Deployer:
    """`standing`: what runs now. `base_broken`: the base did not deploy, and the head was installed in its place."""

    context: Context
    report: RunReport
    standing: Bundle | None = None
    deploys: int = 0
    base_broken: bool = False
    ids: Mapping[str, str] = field(default_factory=dict)

    def deploy(
        self, source: Source, extras: Extras, *, head: bool, known: Mapping[str, str] | None = None
    ) -> Failure | None:
        """Render and deploy a commit, in place if something stands; a fault of the host is tried once more."""
        failure = self._try(source, extras, head=head, known=known)
        if failure is not None and failure.fault is not Fault.APP:
            self.report.note(f"the host was at fault at first ({failure.reason}); tried once more")
            failure = self._try(source, extras, head=head, known=known)
        return failure if failure is not None else self._check_standing(source, head=head)

    def _try(self, source: Source, extras: Extras, *, head: bool, known: Mapping[str, str] | None) -> Failure | None:
        try:
            bundle = self._build(source, extras, head=head, known=known)
        except RecipeError as exc:
            return failed(Step.DEPLOY, str(exc))
        except (ActError, ObserveError) as exc:
            return failed(Step.DEPLOY, str(exc), host=not isinstance(exc, ActError) or exc.host_fault)
        failure = unjournaled.deploy(self.context, bundle)
        if failure is not None:
            self.count()
            return failure
        for name in sorted(set(self.standing.images) - set(bundle.images) if self.standing else ()):
            self.report.note(f"prune-orphans: removed {name!r}")
        self.standing = bundle
        return None

    def _build(self, source: Source, extras: Extras, *, head: bool, known: Mapping[str, str] | None) -> Bundle:
        """Render, and have the images here, pinned for the run and known as brought by a test."""
        ports, run = self.context.ports, self.report.run
        bundle = build.build_bundle(self.context, source, extras, run.run, head=head, known=known)
        # What stands is kept as well: a prune between two deploys must not take the image of the running
        # base.
        pins = {*bundle.images.values(), *(self.standing.images.values() if self.standing else ())}
        ports.engine.protect_images(self.context.app, sorted(pins))
        had = {bundle.asked[name]: pinned for name, pinned in bundle.images.items() if name in bundle.asked}
        ports.canonicals.change_greens(self.context.spec.recipe.url, lambda greens: base.brought(greens, had))
        return bundle

    def _check_standing(self, source: Source, *, head: bool) -> Failure | None:
        """Look at what really stands: whose deploy it is, and whether it is the head."""
        stack = self.context.ports.engine.observe_stack(self.context.stack)
        self.count()
        seen = render.running_version(stack, self.context.stack) or ""
        self.report.change(**{"version_after" if head else "version_before": seen})
        if not head or self.standing is None:
            return None
        wrong = chaos_label.problems(stack, self.context.stack, self.standing.images, source.commit)
        return failed(Step.SETTLE, "what runs is not the head", *wrong) if wrong else None

    def count(self) -> None:
        """Count deploys from outside, by what the engine shows."""
        stack = self.context.ports.engine.observe_stack(self.context.stack)
        # By identity, not by what we did: a deploy that the recipe or an operator made by the side counts as
        # one.
        found = {service.name: service.id for service in stack.services}
        self.deploys += chaos_label.is_anew(self.ids, found)
        # An empty stack is one that is down between two deploys, not a deploy.
        self.ids = found or self.ids

    def start_over(self) -> None:
        """What stood before is gone and counts for nothing: the base was broken."""
        self.deploys, self.ids, self.base_broken = 0, {}, True
