"""A realm per run: made before it, gone after it, reaped when it died. Effects: realms, records, locks, alerts.

A run holds the lock of its realm from before the realm exists until after it is gone. A lock that can be taken is the
proof that its run is dead, and the reaper keeps it while it reaps.
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from reconciler.core.conditions import ManyRealms
from reconciler.core.host import realm_names
from reconciler.model.errors import ActError, LockBusy, UsageError
from reconciler.model.ids import HOST
from reconciler.model.realm import Credentials
from reconciler.model.settings import KeycloakSettings
from reconciler.ports.clock import Clock
from reconciler.ports.realms import Realms
from reconciler.state.alerts import AlertStore
from reconciler.state.realms import RealmStore


@dataclass(frozen=True, kw_only=True)
class RealmContext:
    """Everything that realms need."""

    realms: Realms
    store: RealmStore
    alerts: AlertStore
    clock: Clock
    settings: KeycloakSettings


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A realm for the length of a run. `file`: where the credentials lie."""

    credentials: Credentials
    file: str


@contextmanager
def lease(context: RealmContext, recipe: str) -> Iterator[Lease]:
    """A realm of one's own, deleted at the end whatever happened.

    Raises:
        UsageError: that recipe cannot have a realm.
        ActError, ObserveError: it cannot be made; nothing of it is left.
    """
    try:
        realm = realm_names.name(recipe, secrets.token_hex(3))
    except ValueError as exc:
        raise UsageError(str(exc)) from exc
    full = realm_names.is_full(len(_count_realms(context)), context.settings.cap)
    if full is not None:
        raise ActError(f"{full}; ci-warm realm reap removes those of dead runs", host_fault=True)
    # Before the realm exists, and held until it is gone: that is what makes "lock free" a proof of death.
    held = context.store.acquire(realm, f"ci-warm realm {realm}")
    try:
        try:
            credentials = context.realms.create(realm, context.store.owner)
            yield Lease(credentials=credentials, file=context.store.write(realm, credentials))
        finally:
            # Also when making it failed half way; but a realm of that name may be another program's.
            if context.realms.owners().get(realm) == context.store.owner:
                context.realms.delete(realm)
            context.store.forget(realm)
    finally:
        held.release()


@dataclass(frozen=True, kw_only=True)
class Reaped:
    """What the reaper did, or would do. `alive`: runs that still hold their lock. `foreign`: not ours."""

    removed: Sequence[str]
    alive: Sequence[str]
    foreign: Sequence[str]


def survey(context: RealmContext) -> realm_names.Sorted:
    """Tell the realms apart.

    Raises:
        ObserveError: the server cannot be asked.
    """
    owners, us = _count_realms(context), context.store.owner
    alive = {realm for realm, owner in owners.items() if owner == us and _is_alive(context, realm)}
    return realm_names.sort(owners, us, alive)


def _count_realms(context: RealmContext) -> dict[str, str]:
    """Every realm with its owner; raises the alert before their number hurts."""
    owners = dict(context.realms.owners())
    if len(owners) < context.settings.warn:
        context.alerts.resolve(HOST, [], reason=ManyRealms.REASON)
        return owners
    most = f"{context.settings.warn} realms or more; slow near 300, the cap is {context.settings.cap}"
    context.alerts.raise_(ManyRealms().alert(context.clock.now(), [most]))
    return owners


def _is_alive(context: RealmContext, realm: str) -> bool:
    if not realm_names.is_of_a_run(realm):
        return False
    try:
        context.store.acquire(realm, "ci-warm realm list").release()
    except LockBusy:
        return True
    return False


def reap(context: RealmContext, *, dry_run: bool = False) -> Reaped:
    """Delete the realms of dead runs, each under its lock.

    Raises:
        ObserveError, ActError: the server cannot be asked, or refused; what is left is for the next time.
    """
    seen = survey(context)
    removed, alive = [], list(seen.alive)
    for realm in seen.dead:
        try:
            held = context.store.acquire(realm, "ci-warm realm reap")
        except LockBusy:  # it came to life between the two looks: another process reaps
            alive.append(realm)
            continue
        try:
            if not dry_run:
                context.realms.delete(realm)
                context.store.forget(realm)
            removed.append(realm)
        finally:
            held.release()
    if not dry_run:
        # Only after all deletions: credentials of a realm that still exists are the only way to look into it.
        _forget_the_gone(context, {*seen.dead, *seen.alive})
    return Reaped(removed=removed, alive=alive, foreign=seen.foreign)


def _forget_the_gone(context: RealmContext, seen: set[str]) -> None:
    """Credentials of runs that died after their realm went."""
    for realm in context.store.known():
        if realm in seen:
            continue
        try:
            held = context.store.acquire(realm, "ci-warm realm reap")
        except LockBusy:
            continue  # it is just starting
        context.store.forget(realm)
        held.release()
