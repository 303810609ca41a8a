"""Parts of pages that are the same for everybody, kept while what they show stays. Called by `pages`. No effects."""

from collections.abc import Callable, Hashable

from markupsafe import Markup

_MOST = 8
"""Of a host with two thousand apps each takes half a MiB."""


class Rendered:
    """The last few parts. What is of one session (names, words of forms, what a role may) must not be among them."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[Hashable, Markup]] = {}

    def find(self, key: Hashable, stamp: Hashable | None, render: Callable[[], Markup]) -> Markup:
        """The part of that key as it was made at that stamp, or made now. `stamp` None: made now, and not kept.

        `stamp` must be taken before `render` reads anything, so that what changes meanwhile makes it another one.
        """
        known = self._kept.get(key)
        if stamp is not None and known is not None and known[0] == stamp:
            return known[1]
        made = render()
        if stamp is not None:
            kept = [one for one in self._kept.items() if one[0] != key]  # requests have threads: never changed in place
            self._kept = dict([*kept[-_MOST + 1 :], (key, (stamp, made))])
        return made
