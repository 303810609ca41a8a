"""What people are told while one volume of a snapshot is worked on. Pure apart from who is told."""

from dataclasses import dataclass

from reconciler.ports.progress import Meter, Tell


@dataclass(frozen=True, kw_only=True)
class Meters:
    """`task`: what is done to the snapshot, in a word; `volume`: '' where it is the only one, and needs no name."""

    tell: Tell
    app: str
    task: str
    volume: str

    def open(self, doing: str, of: int | None) -> Meter:
        """A meter for one part of the task ('' = all of it), in bytes; None: it is not known how many."""
        task = f"{self.task}: {doing}" if doing else self.task
        return Meter(self.tell, self.app, f"{task} {self.volume}".rstrip(), of)
