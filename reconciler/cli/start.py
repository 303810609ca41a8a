"""Where the program begins. What needs no command line parser is answered before one is imported. Effects: exit."""

import gc
import os
import sys

_RARELY = 50_000
"""New objects before a look for garbage; 700 is Python's own."""


def main() -> None:
    """Run the command line."""
    # What is imported stays: looking through it for garbage takes a tenth of a short command's time. The daemon sets
    # it back.
    gc.set_threshold(_RARELY, 10, 10)
    if not _answer_plainly():
        from reconciler.cli.main import main as run

        try:
            run()
        finally:
            # Python would look through all that was imported once more, only to end.
            gc.disable()
            gc.freeze()


def _answer_plainly() -> bool:
    """Whether it was `status` into a pipe, and is answered. A reader who has gone, too, is left to the ordinary way."""
    if sys.stdout is None or sys.stdout.isatty() or "status" not in sys.argv:
        return False
    from reconciler.cli import plain_status

    text = plain_status.answer(sys.argv[1:], os.environ)
    if text is None:
        return False
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except (BrokenPipeError, UnicodeEncodeError):
        return False
    return True
