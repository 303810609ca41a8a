"""`completion bash|zsh|fish`, and the answer to what those scripts ask. Effects: stdout."""

from typing import Annotated

import typer

from reconciler.cli import common

SCRIPTS = {"bash": "ci-warm.bash", "zsh": "_ci-warm", "fish": "ci-warm.fish"}


def shells(_context: typer.Context, incomplete: str) -> list[str]:
    """The shells that there are scripts for."""
    return [shell for shell in SCRIPTS if shell.startswith(incomplete)]


def completion(
    shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish", autocompletion=shells)],
) -> None:
    """Print the script that completes commands, options, apps and runs in a shell."""
    if shell not in SCRIPTS:
        common.stop(common.USAGE, f"error: no completion for {shell!r}; there are: {', '.join(SCRIPTS)}")
    from importlib import resources

    common.say((resources.files("reconciler") / "completions" / SCRIPTS[shell]).read_text().rstrip())


def prepare() -> None:
    """Let typer answer a shell."""
    from typer.completion import completion_init  # type: ignore[attr-defined] # there is no other door

    completion_init()
