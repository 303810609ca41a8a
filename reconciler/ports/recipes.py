"""Git mirrors of recipes, as Protocols. Pure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from reconciler.model.recipe import Tags


class Recipes(Protocol):
    """Git mirrors of recipes."""

    def fetch(self, url: str) -> None:
        """Bring the mirror up to date.

        Raises:
            RecipeError: the old state stays.
        """

    def tags(self, url: str) -> Tags:
        """Tags of the mirror."""

    def files(self, url: str, commit: str) -> Mapping[str, bytes]:
        """Every regular file of the recipe at that commit, by path. Raises RecipeError if the commit is gone."""

    def find_signature_problem(self, url: str, commit: str, signers: Path, tag: str = "") -> str:
        """Why the signature of this tag of the commit, or of the commit itself, is none of these signers'; '': it is.

        Asked anew each time, so that a key that was taken out of the file counts no more.
        """

    def notes(self, url: str, commit: str, versions: Sequence[str]) -> Mapping[str, str]:
        """Release notes of those versions as they stand at `commit`, from all known places."""


class Refs(Protocol):
    """Commits of a recipe that are not releases. All raise RecipeError."""

    def resolve(self, url: str, ref: str) -> str:
        """The commit of a tag, a branch, a commit or `refs/...`, the last being fetched if need be."""

    def describe(self, url: str, commit: str) -> str:
        """A name for a commit that has no version of its own, by the newest tag before it."""

    def main(self, url: str) -> tuple[str, str] | None:
        """(name, commit) of the main branch; None without one."""

    def is_ancestor(self, url: str, one: str, other: str) -> bool:
        """Say whether commit `one` is in the history of `other`, and is another."""

    def checkout(self, url: str, commit: str, to: Path) -> None:
        """Write the recipe's files there, executable where the recipe says so."""
