"""Test runs as processes of their own, as a Protocol. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from reconciler.model.ids import AppName


@dataclass(frozen=True, kw_only=True)
class LostRun:
    """A test run that ended without a report. `why`: its command line and how it ended, in words.

    `requests`: ids of those who asked for it.
    """

    app: AppName
    why: str
    requests: tuple[str, ...] = ()


class RunStarter(Protocol):
    """Starts test runs; False: too many are there already."""

    def seed(self, app: AppName) -> bool:
        """Warm a canonical, if it is still cold when its turn comes."""

    def test(self, app: AppName, mode: str, ref: str | None, request: str = "", at: str = "") -> bool:
        """A cold or quick run, at once or after one of the same kind that is under way.

        `request`: its report will name it, so that whoever asked finds the run. `at`: the commit that `ref` must lead
        to, or nothing is tested; '' any.
        """

    def stop_test(self, app: AppName, ref: str | None, spare: str = "") -> int:
        """Forget tests of an app's ref that wait, and ask those under way to end; how many they were.

        `spare`: those that are `at` this commit go on.
        """

    def collect_lost(self) -> Sequence[LostRun]:
        """Note which have ended, and start what waited for that; gives those without a report, each once."""

    def stop(self) -> None:
        """Ask all to end."""
