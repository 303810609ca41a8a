"""`sweeps/`: one report per night, also as pages for people. Effects: files."""

from pathlib import Path

from reconciler.model.sweep import Sweep
from reconciler.state import files, records


class SweepStore:
    """The folder of all nights."""

    def __init__(self, folder: Path, gid: int | None) -> None:
        self.folder = folder
        self._gid = gid

    def prepare(self) -> None:
        """Make the folder."""
        files.keep_folder(self.folder, files.PUBLIC_DIR, self._gid)

    def read(self, date: str) -> Sweep | None:
        """That night's report.

        Raises:
            StateError: it is unreadable.
        """
        return records.read(self.folder / f"{date}.json", Sweep)

    def write(self, report: Sweep) -> None:
        """One rename; of a sweep that ended also pages for people."""
        files.write_atomic(self.folder / f"{report.date}.json", records.dump(report), files.PUBLIC_FILE, self._gid)
        if report.finished_at is not None:
            # Imported here, because rich is slow to import and most readers of this store never write a page.
            from reconciler.state import sweep_pages

            for suffix, page in zip(("txt", "html"), sweep_pages.pages(report), strict=True):
                files.write_atomic(self.folder / f"{report.date}.{suffix}", page.encode(), files.PUBLIC_FILE, self._gid)
