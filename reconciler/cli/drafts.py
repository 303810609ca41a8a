"""`import abra`, and the part of `init` that looks at what runs. Effects: new spec files; a recipe's mirror."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import common
from reconciler.cli.common import JsonFlag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.model.draft import Draft

group = typer.Typer(help="Specs from what another tool has on file.", no_args_is_help=True)


def from_running(stack: str, *, recipe: str | None, domain: str | None, name: str | None, json: bool) -> None:
    """Write the spec of a stack that runs; what could not be taken over goes to stderr."""
    from reconciler.engine.operate import draft as use_case

    with common.errors():
        built = common.app()
        asked = use_case.Asked(stack=stack, recipe=recipe, domain=domain, name=name)
        found = use_case.draft_from_stack(built.ports, built.settings, asked)
        paths = _write([found], f"Taken from the stack {stack} as it runs.")
    _tell([found], paths, json=json)


def _write(drafts: "Sequence[Draft]", heading: str) -> list[Path]:
    """All of them, or none."""
    from reconciler.engine.operate import init
    from reconciler.model.errors import UsageError
    from reconciler.state import new_files, spec_text

    apps = common.OPTIONS.config.parent / "apps"
    texts = {apps / f"{one.name}.yaml": spec_text.write(_hold(one), [heading]).encode() for one in drafts}
    if len(texts) < len(drafts):
        raise UsageError("two of these apps would have one name; import them one by one")
    editors = {path: text for path, text in init.schema_texts(common.OPTIONS.config).items() if not path.exists()}
    # Settings of an app may be secret, and a spec is read by root alone.
    new_files.create_all({**texts, **editors})
    return list(texts)


def _hold(draft: "Draft") -> "Draft":
    """A daemon that runs reads the file at once, and nobody has read it yet."""
    from dataclasses import replace

    from reconciler.model.draft import Doubt

    doubt = Doubt(key="upgrade", text="takes no release yet: read this spec, then take suspend out")
    return replace(draft, spec={**draft.spec, "upgrade": {"suspend": True}}, doubts=(*draft.doubts, doubt))


def _tell(drafts: "Sequence[Draft]", paths: "Sequence[Path]", *, json: bool) -> None:
    from reconciler.model.printed import DoubtRow, DraftFile, Drafts
    from reconciler.state import spec_text

    for draft, path in zip(drafts, paths, strict=True):
        for line in spec_text.note_of(path, draft.doubts):
            typer.echo(f"not taken over: {line}", err=True)
    if json:
        rows = [
            DraftFile(
                app=draft.name,
                file=str(path),
                not_taken_over=tuple(DoubtRow(key=one.key, text=one.text) for one in draft.doubts),
            )
            for draft, path in zip(drafts, paths, strict=True)
        ]
        common.print_json(Drafts(specs=tuple(rows)))
        return
    for path in paths:
        common.say(f"wrote {path}")
    common.say("now: read it, ci-warm validate, ci-warm plan; what runs and is just its release is adopted")
    common.say("then take upgrade.suspend out, and releases are taken")


@group.command()
def abra(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="~/.abra, or one servers/<server> in it")],
    recipes: Annotated[
        str | None, typer.Option("--recipes", metavar="URL", help="where recipes lie; {recipe} stands for the name")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Write a spec for each app that abra has on file. Nothing is executed, nothing is replaced."""
    from reconciler.adapters.git_origin import find_origin
    from reconciler.engine.operate import import_abra

    with common.errors():
        found = import_abra.draft_all(folder, recipes, find_origin)
        paths = _write(found, f"Taken from abra's files in {folder}.")
    _tell(found, paths, json=json)
