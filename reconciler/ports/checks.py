"""The commands that judge an app, as a Protocol. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from reconciler.model.testrun import CheckResult
from reconciler.model.tests import CheckSpec


@dataclass(frozen=True, kw_only=True)
class CheckJob:
    """One check about to be run. `secrets`: values that must not be in its log."""

    check: CheckSpec
    folder: Path
    environment: Mapping[str, str]
    log: Path
    user: str
    output_cap: int
    secrets: Sequence[str]
    timeout_s: float


class Checks(Protocol):
    """Runs the commands that judge an app."""

    def run(self, job: CheckJob) -> CheckResult:
        """Run one to its end or its deadline; nothing of it is left running. Never raises for a bad check.

        Raises:
            ActError: the host's fault: no check can run as the user that the settings name.
            Interrupted: asked to stop; the check was ended.
        """

    def end(self, run: str) -> None:
        """Kill what is left of the checks of a run that died."""
