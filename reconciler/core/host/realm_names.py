"""Names of realms, and which of them are dead and ours. Pure."""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

_OF_A_RUN = re.compile(r"[a-z0-9]([a-z0-9_-]{0,54}[a-z0-9])?-[0-9a-f]{6}")


def name(recipe: str, token: str) -> str:
    """`<recipe>-<6 hex>`.

    Raises:
        ValueError: that would not be a name of a run.
    """
    found = f"{recipe}-{token}"
    if not is_of_a_run(found):
        raise ValueError(
            f"{found!r} is not a name for a realm: lower-case letters, digits and dashes, then 6 hex digits"
        )
    return found


def is_of_a_run(realm: str) -> bool:
    """Say whether a realm may be a run's at all."""
    # Named on its own, although the pattern does not fit it: losing `master` would lose Keycloak.
    return realm != "master" and _OF_A_RUN.fullmatch(realm) is not None


@dataclass(frozen=True, kw_only=True)
class Sorted:
    """Realms by what may be done with them."""

    dead: Sequence[str]
    alive: Sequence[str]
    foreign: Sequence[str]


def sort(owners: Mapping[str, str], us: str, alive: AbstractSet[str]) -> Sorted:
    """Tell apart what is dead and ours, what lives, and what is none of our business. Sorted by name.

    `owners`: as the server says; `us`: our own mark; `alive`: realms whose run still holds its lock.
    """
    ours = {realm for realm, owner in owners.items() if owner == us and is_of_a_run(realm)}
    return Sorted(
        dead=sorted(ours - alive),
        alive=sorted(ours & alive),
        foreign=sorted(set(owners) - ours),
    )


def is_full(count: int, cap: int) -> str | None:
    """Why no more realms may be made; None: there is room."""
    return f"there are {count} realms, and the cap is {cap}" if count >= cap else None
