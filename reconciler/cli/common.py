"""What every command shares: options, building the app, output, exit codes. Effects: stdout, stderr, exit."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from reconciler.cli import names

if TYPE_CHECKING:
    from pydantic import BaseModel

    from reconciler.app import App
    from reconciler.cli.progress import Shown
    from reconciler.engine.context import Context

FINE, FAILED, USAGE, HOST, CHANGES, HELD, BUSY = 0, 1, 2, 3, 20, 21, 75
"""HOST: of a test run, whose recipe has no part in it."""

COMPLETE = "_CI_WARM_COMPLETE"
"""Set by the scripts of `completion` when they ask; typer's own name for a program of this name."""

JsonFlag = Annotated[bool, typer.Option("--json", help="print JSON on stdout")]
WaitFlag = Annotated[
    float, typer.Option("--wait", min=0, help="seconds to wait for a busy app; 0 = refuse at once (exit 75)")
]
AppArgument = Annotated[str, typer.Argument(metavar="APP", help="name of the app", autocompletion=names.apps)]
ReasonOption = Annotated[str, typer.Option("--reason", help="why; goes on record")]
YesFlag = Annotated[bool, typer.Option("--yes", help="do not ask")]


@dataclass
class Globals:
    """The global options."""

    config: Path = Path("/etc/ci-warm/config.yaml")
    state: Path = Path("/var/lib/ci-warm")
    verbose: bool = False


OPTIONS = Globals()


def stop(code: int, message: str = "") -> NoReturn:
    """End the program; the message goes to stderr."""
    if message:
        typer.echo(message, err=True)
    raise typer.Exit(code)


@contextmanager
def errors() -> Iterator[None]:
    """Turn typed errors into one clear message and an exit code."""
    from reconciler.model.errors import Interrupted, LockBusy, ReconcilerError, SpecError, UsageError

    try:
        yield
    except SpecError as exc:
        stop(USAGE, "\n".join(f"error: {problem}" for problem in exc.problems))
    except UsageError as exc:
        stop(USAGE, f"error: {exc}")
    except LockBusy as exc:
        stop(BUSY, f"busy: {exc}")
    except Interrupted:
        stop(FAILED, "stopped at a safe step; the next run goes on from there")
    except ReconcilerError as exc:
        stop(FAILED, f"error: {exc}")
    except BrokenPipeError:
        raise  # whoever reads has read enough; `main` ends without a word
    except OSError as exc:
        stop(FAILED, f"error: {exc.filename}: {exc.strerror}" if exc.filename else f"error: {exc.strerror or exc}")


@contextmanager
def change(action: str, app: str) -> Iterator[None]:
    """As `errors`, for a command that changes something: one that is refused is a line of the history, too."""
    from reconciler.cli import refusals
    from reconciler.model.errors import Interrupted, LockBusy, ReconcilerError

    with errors():
        try:
            yield
        except (LockBusy, Interrupted):
            raise  # it is tried again, or goes on by itself
        except ReconcilerError as exc:
            refusals.record(action, app, str(exc))
            raise
        except typer.Abort:
            refuse(action, app)


def refuse(action: str, app: str) -> NoReturn:
    """End a command to whose question the answer was no."""
    from reconciler.cli import refusals

    refusals.record(action, app, f"{actor()} did not say yes")
    stop(FAILED, "aborted, nothing touched")


def check_config() -> None:
    """A config that was named must be there: defaults in its place would be another host's.

    Raises:
        UsageError: it is not.
    """
    from reconciler.model.errors import UsageError

    if not OPTIONS.config.exists() and Globals().config != OPTIONS.config:
        raise UsageError(f"{OPTIONS.config}: there is no such config file")


def app() -> "App":
    """Build the app from the global options, with progress on stderr and signals wired to a safe stop."""
    import signal

    from reconciler import app as composition
    from reconciler import logs
    from reconciler.cli import progress
    from reconciler.ports.progress import Listener

    check_config()
    os.umask(0o077)
    logs.configure(verbose=OPTIONS.verbose)
    shown = progress.Shown(_DOING)
    built = composition.build(OPTIONS.config, OPTIONS.state, listener=Listener(step=shown.step, tell=shown.tell))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _stop(built, shown))
    return built


_DOING: dict[str, str] = {}
"""What each app's change is at, for the words that a stop is answered with."""


def _stop(built: "App", shown: "Shown") -> None:
    """Ask for a stop, and say what is finished first: silence looks like a hang, and is answered with SIGKILL."""
    # Asked before it is set: the second signal is told apart from the first by that.
    again = built.clock.stop.is_set()
    built.clock.stop.set()
    if again:
        text = "stopping: what can be done again is given up"
    else:
        doing = "; ".join(f"{name}: {step}" for name, step in _DOING.items()) or "what is under way"
        text = f"stopping at the next safe step, after {doing}; once more gives up a snapshot that is being taken"
    # Not through a logger: the signal may have come while that one holds its lock.
    os.write(2, f"{shown.fresh_line()}{text}\n".encode())


def note_doing(name: str, text: str) -> None:
    """What a command waits for, for the words that a stop is answered with."""
    _DOING[name] = text


def confirmer(*, yes: bool) -> "Callable[[str], bool]":
    """Asks the person at the terminal before something is done; `yes`: they said so already."""

    def ask(question: str) -> bool:
        return yes or typer.confirm(question, err=True)

    return ask


def context(built: "App", name: str, who: str = "") -> "Context":
    """The context of one app; `who` acts; '' means the user at the keyboard."""
    from reconciler.engine.context import Context

    return Context(ports=built.ports, settings=built.settings, spec=built.spec(name), actor=who or actor())


@contextmanager
def hold_lock(built: "App", name: str, what: str, wait: float = 0.0) -> Iterator[None]:
    """Hold the app's lock, waiting up to `wait` seconds for it.

    Raises:
        LockBusy: another process still holds it.
    """
    from reconciler.engine.operate import app_lock

    with app_lock.hold(context(built, name), what, wait):
        yield


def actor() -> str:
    """Who is at the keyboard, or asked the daemon for it; for records."""
    return (
        os.environ.get("CI_WARM_ACTOR") or os.environ.get("SUDO_USER") or os.environ.get("USER") or f"uid {os.getuid()}"
    )


def print_json(value: "BaseModel | Sequence[BaseModel]") -> None:
    """One JSON document on stdout: a record, or a list of them."""
    data = [dump(one) for one in value] if isinstance(value, Sequence) else dump(value)
    sys.stdout.write(json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on stdout; plain columns when stdout is not a terminal."""
    from reconciler.cli import tables

    tables.print_table(columns, rows)


def say(text: str) -> None:
    """One line on stdout."""
    sys.stdout.write(text + "\n")


def fields(value: "Any") -> dict[str, Any]:
    """A dataclass as JSON data."""
    import dataclasses

    return dataclasses.asdict(value)


def dump(record: "BaseModel") -> Mapping[str, Any]:
    """A record as JSON data."""
    found: Mapping[str, Any] = record.model_dump(mode="json", by_alias=True)
    return found
