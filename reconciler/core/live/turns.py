"""In which order apps have their turn: an app waits for those of its `after` that have something to do, too. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def arrange(
    items: Sequence[T], name_of: Callable[[T], str], after_of: Callable[[T], Iterable[str]]
) -> Iterator[list[T]]:
    """Group items into waves: what is in one may be done at the same time, when those before are done.

    Items that wait for each other in a ring come together in the last wave; `after` naming no item is no wait.
    """
    left = list(items)
    while left:
        names = {name_of(item) for item in left}
        ready = [item for item in left if not names & (set(after_of(item)) - {name_of(item)})]
        # A ring of `after` has no first; holding all of it back for ever would heal none.
        wave = ready or left
        yield wave
        left = [item for item in left if item not in wave]
