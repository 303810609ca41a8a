"""What test runs and canonicals need from outside, as Protocols. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from reconciler.model.canonical import Canonical, Greens, InFlight, Promotion, Use
from reconciler.model.ids import AppName
from reconciler.model.testrun import CheckResult, Run
from reconciler.model.tests import CheckSpec, TestSpec
from reconciler.ports.data import Snapshots, Store


class Canonicals(Protocol):
    """Records of canonicals, and of what passed here. Reading raises StateError for what is torn, newer or foreign."""

    def canonical(self, app: AppName) -> Canonical | None:
        """None: cold."""

    def put_canonical(self, record: Canonical) -> None:
        """One rename."""

    def use(self, app: AppName) -> Use | None:
        """Since when its volumes may differ from the snapshot; None: they equal it."""

    def put_use(self, record: Use) -> None:
        """One rename; durable when it returns."""

    def end_use(self, app: AppName) -> None:
        """Its volumes equal the snapshot again; durable when it returns."""

    def promotion(self, app: AppName) -> Promotion | None:
        """What is about to become the canonical; None: nothing."""

    def put_promotion(self, record: Promotion) -> None:
        """One rename; durable when it returns."""

    def end_promotion(self, app: AppName) -> None:
        """It is over; durable when it returns."""

    def in_flight(self, app: AppName) -> InFlight | None:
        """The mark of a seeding run; None also when it cannot be read: it fails open."""

    def put_in_flight(self, app: AppName, record: InFlight) -> None:
        """Leave the mark, if that is possible: without it the next look asks again."""

    def end_in_flight(self, app: AppName) -> None:
        """Take the mark away; never raises."""

    def greens(self, url: str) -> Greens:
        """What passed of a recipe; empty if nothing did."""

    def change_greens(self, url: str, change: Callable[[Greens], Greens]) -> None:
        """Read, change and write in one piece: two runs that end together lose nothing."""


class Seeds(Protocol):
    """How a seeding run is asked for."""

    def ask(self, app: AppName) -> None:
        """Leave a wish that the daemon takes up; OSError if it cannot be left."""


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


class Metadata(Protocol):
    """`ci/tests.yaml`."""

    def tests(self, text: bytes, name: str) -> TestSpec:
        """Read it strictly; RecipeError names file, line and key."""


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


class RunFolder(Protocol):
    """One run on disk, its lock held."""

    @property
    def store(self) -> Store:
        """Scratch records, gone with the run."""

    @property
    def snapshots(self) -> Snapshots:
        """Scratch snapshots, gone with the run."""

    @property
    def work(self) -> Path:
        """Private: scratch."""

    @property
    def checkout(self) -> Path:
        """The recipe's head; private, gone with the run."""

    @property
    def artefacts(self) -> Path:
        """Where checks leave what people should see."""

    def hand_over(self, user: str, credentials: str) -> str:
        """Let the user that checks run as have the checkout and the artefacts; gives its copy of the credentials.

        `credentials`: path of the file, '' without one. ActError: there is no such user.
        """

    def write(self, run: Run) -> None:
        """`run.json`, `summary.txt` and `junit.xml`."""

    def log(self, stage: str) -> Path:
        """The log of a stage."""

    def say(self, name: str, text: str) -> None:
        """Add to a log of that name."""

    def publish(self) -> None:
        """Let the operators' group read the artefacts; OSError if that cannot be."""

    def clear(self) -> None:
        """Remove what is private."""

    def close(self) -> None:
        """Let go of the lock."""


class RunDesk(Protocol):
    """`runs/`."""

    def open(self, run: str, what: str) -> RunFolder:
        """Take the run's lock and make its folder. LockBusy: it is alive."""

    def reopen(self, run: str, what: str) -> RunFolder:
        """Take the lock of a run that is on record, and make nothing. LockBusy: it is alive."""

    def reports(self) -> Sequence[Run]:
        """Every readable report, newest first."""

    def report(self, run: str) -> Run | None:
        """One report; None if there is none. StateError if it is unreadable."""

    def unfinished(self) -> Sequence[Run]:
        """Runs that are not torn down, whoever is at it."""

    def prune(self, keep: int) -> None:
        """Remove the oldest finished reports beyond `keep`."""


class BackupFiles(Protocol):
    """Single paths of a running app's volumes; no link in a volume is ever followed."""

    def take(self, volume: Path, paths: Sequence[str], to: Path) -> int:
        """Copy paths out; gives the bytes. ActError if one is not there or is no plain file or folder."""

    def give(self, volume: Path, paths: Sequence[str], source: Path) -> None:
        """Put them back, replacing what is there. ActError if that cannot be done."""
