"""What an engine says by itself, as a Protocol. Pure."""

from collections.abc import Callable
from typing import Protocol


class Events(Protocol):
    """What an engine says when something happens: a hint to look, never the truth."""

    def follow(self, wake: Callable[[str], None], stopped: Callable[[], bool]) -> None:
        """Call `wake` per event with a word about it, until `stopped`; whatever happens to the stream."""
