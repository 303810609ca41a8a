"""What the report of a run says while it goes on. Effects: the run's folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reconciler.core import redact
from reconciler.core.testrun import level
from reconciler.model.testrun import Run, StageResult
from reconciler.state.runs import RunHandle


@dataclass(kw_only=True)
class RunReport:
    """Changes as the run goes on; `run` is what the report says now. `secrets`: values that no text may show."""

    handle: RunHandle
    run: Run
    progress: Callable[[str, str], None]
    secrets: Sequence[str] = ()

    def change(self, **updates: object) -> None:
        """Change what the report will say when it is written next."""
        self.run = self.run.model_copy(update=updates)

    def tell(self, **updates: object) -> None:
        """Bring the report up to date, on disk too."""
        self.change(**updates)
        self.handle.write(self.run)

    def mask(self, text: str) -> str:
        """Text as it may be shown."""
        return redact.Redactor(self.secrets).mask(text)

    def note(self, text: str) -> None:
        """Something worth telling beside the result."""
        text = self.mask(text)
        self.progress(self.run.run, text)
        self.tell(notes=(*self.run.notes, text))

    def add_note(self, text: str) -> None:
        """The same, for when the report is written later."""
        self.change(notes=(*self.run.notes, self.mask(text)))

    def add_stage(self, stage: StageResult, deploys: int) -> None:
        """One more stage has ended; the level follows from all of them."""
        stages = (*self.run.stages, stage)
        self.tell(stages=stages, level=level.reached(stages), level_cap=level.cap(stages), deploys=deploys)
