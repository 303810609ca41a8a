"""`web`, `web-token`: the page and the API. Effects: a listening socket; prints a token."""

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import common


def web() -> None:
    """Serve the page and the API, read-only without a file of tokens (docs/web.md). Ends on SIGTERM."""
    from reconciler import logs

    try:
        from reconciler.web import app
    except ModuleNotFoundError as exc:
        common.stop(common.USAGE, f"error: the page needs {exc.name}: pip install 'ci-warm[web]' (docs/web.md)")
    from reconciler.adapters import allocator, host
    from reconciler.state import specs

    allocator.keep_little()  # before the first thread

    with common.errors():
        common.check_config()
        logs.configure(verbose=common.OPTIONS.verbose, service=True)
        state, settings = common.OPTIONS.state, specs.read_settings(common.OPTIONS.config)
        watched = [state, *map(Path, settings.disk.paths)]
        app.serve(state, common.OPTIONS.config, settings.web, lambda: host.usages(watched))


def web_token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="whose it is; goes on record")],
    role: Annotated[
        str, typer.Option("--role", help="read, ci (looks and tests too) or operate (decisions too)")
    ] = "read",
) -> None:
    """Make a token for the page and the API: shown once on stdout, with the line for web.tokens on stderr."""
    from reconciler.model.errors import UsageError
    from reconciler.model.ids import is_name
    from reconciler.web.access import Role, make_token

    with common.errors():
        if not is_name(name):
            raise UsageError(f"{name!r} is no name: small letters, digits, - and _, at most 63")
        if role not in tuple(Role):
            raise UsageError(f"--role {role}: it is one of {', '.join(Role)}")
        token, line = make_token(name, Role(role))
    common.say(token)
    typer.echo(f"add this line to the file of web.tokens, mode 600, and restart ci-warm-web:\n{line}", err=True)
