"""Realms of the shared single sign-on, as a Protocol. Pure."""

from collections.abc import Mapping
from typing import Protocol

from reconciler.model.realm import Credentials


class Realms(Protocol):
    """One server's realms. All may raise ObserveError (could not be asked) or ActError (could not be done)."""

    def owners(self) -> Mapping[str, str]:
        """Every realm with the mark of who made it; '' for those that we did not make."""

    def create(self, realm: str, owner: str) -> Credentials:
        """Make a realm with a client and a user. ActError if a realm that is not ours has the name."""

    def delete(self, realm: str) -> bool:
        """Remove it; False if it was gone already."""
