"""Test runs as processes of their own, as a Protocol. Pure."""

from typing import Protocol

from reconciler.model.ids import AppName


class RunStarter(Protocol):
    """Starts test runs; False: too many are there already."""

    def seed(self, app: AppName) -> bool:
        """Warm a canonical, if it is still cold when its turn comes."""

    def test(self, app: AppName, mode: str, ref: str | None) -> bool:
        """A cold or quick run, at once or after one of the same kind that is under way."""

    def tend(self) -> None:
        """Note who has ended, and start what waited for that; called now and then."""

    def stop(self) -> None:
        """Ask all to end."""
