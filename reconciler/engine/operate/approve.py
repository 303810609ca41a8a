"""An operator lets one version through its holds, once. Effects: `memory.json`."""

from collections.abc import Collection
from dataclasses import dataclass

from reconciler.core.release import versions
from reconciler.core.suggest import suggest
from reconciler.engine.context import Context
from reconciler.engine.operate import app_lock
from reconciler.model.errors import RecipeError, UsageError
from reconciler.model.memory import Approval, Memory

_KEPT = 49
"""Older approvals that stay on record beside the new one."""


@dataclass(frozen=True, kw_only=True)
class Approved:
    """`doubts`: why the approval may not do what its giver thinks."""

    approval: Approval
    doubts: tuple[str, ...]


def approve(context: Context, version: str, reason: str, *, wait_s: float = 0.0) -> Approved:
    """Open major, manual-migration, untested and the like for exactly this version, once.

    Raises:
        UsageError: no reason, not a version, or none that was seen here; nothing is recorded.
        LockBusy: the app is being worked on.
    """
    if not reason.strip():
        raise UsageError("an approval needs a reason")
    if versions.parse(version) is None:
        known = {*context.ports.store.memory(context.app).tags, *_list_fetched(context)}
        near = suggest(version, known)
        raise UsageError(f"{version!r} is not a version like 11.0.0+27.0.0{near}")
    store, app = context.ports.store, context.app
    with app_lock.hold(context, "approve", wait_s):
        memory = store.memory(app)
        # A typing error would wait for ever for a release that never comes.
        if version not in memory.tags and version not in _list_fetched(context):
            near = suggest(version, {*memory.tags, *_list_fetched(context)})
            message = f"{app} has no version {version} that ci-warm has seen{near}; see ci-warm explain {app}"
            raise UsageError(message)
        entry = Approval(version=version, reason=reason, actor=context.actor, at=context.ports.clock.now())
        # One unused approval per version: the newer reason is the one that counts.
        others = tuple(a for a in memory.approvals if a.version != version or a.used_at is not None)
        store.put_memory(memory.model_copy(update={"approvals": (*others[-_KEPT:], entry)}))
    return Approved(approval=entry, doubts=_find_doubts(context, version, memory))


def _list_fetched(context: Context) -> Collection[str]:
    """Releases that `plan` has shown and no pass has seen yet."""
    try:
        return context.ports.recipes.tags(context.spec.recipe.url).annotated
    except RecipeError:
        return ()


def _find_doubts(context: Context, version: str, memory: Memory) -> tuple[str, ...]:
    found = []
    known = context.ports.store.known_good(context.app)
    have, wanted = versions.parse(known.release.version) if known else None, versions.parse(version)
    if have is not None and have == wanted:
        found.append(f"{version} runs; what waits for this are changed settings of it alone")
    elif have is not None and wanted is not None and not have < wanted:
        found.append(f"{version} is not newer than {have.text}, which runs; versions never go backwards by themselves")
    if any(entry.version == version for entry in memory.quarantine):
        retry = f"ci-warm retry {context.app}"
        found.append(f"{version} failed here before and is in quarantine; {retry} lets it be tried again")
    return tuple(found)
