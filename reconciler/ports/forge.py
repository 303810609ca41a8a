"""What is told to a forge, as a Protocol. Pure."""

from typing import Protocol

from reconciler.model.forge import CommitStatus
from reconciler.model.request import ForgePlace


class Forge(Protocol):
    """One forge. ObserveError: it does not answer, or refuses."""

    def comment(self, place: ForgePlace, text: str, known: int | None) -> int:
        """Write a comment, or edit the one that is known; gives its id. One that was deleted is written anew."""

    def is_member(self, team: str, login: str) -> bool:
        """Say whether that login is in a team, `ORGANISATION/TEAM`."""

    def set_status(self, place: ForgePlace, status: CommitStatus) -> None:
        """Set the status of a commit, in a context of its own."""
