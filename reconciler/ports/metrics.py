"""Where figures go, as a Protocol. Pure."""

from typing import Protocol


class Metrics(Protocol):
    """Where figures go."""

    def passed(self, elapsed_s: float) -> None:
        """A pass came to its end."""

    def failed(self) -> None:
        """A pass threw."""

    def realms(self, count: int) -> None:
        """How many realms the shared single sign-on has."""

    def publish(self) -> None:
        """Write the figures where a scraper of files finds them, if that is wanted."""
