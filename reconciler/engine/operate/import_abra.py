"""Specs of all apps that abra has on file for this host. Effects: reads abra's files."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from reconciler.core.host import draft_of_abra
from reconciler.core.host.draft_of_abra import AbraApp
from reconciler.core.release import interpolate
from reconciler.model.draft import Draft
from reconciler.model.errors import Problem, SpecError
from reconciler.model.ids import is_name, stack_for
from reconciler.state import abra


def draft_all(folder: Path, recipes: str | None, origin: Callable[[Path], str | None]) -> Sequence[Draft]:
    """A draft for each app.

    `recipes`: git URL in which `{recipe}` stands for the name; None: what `origin` of abra's own clone says.

    Raises:
        UsageError: there is nothing to import.
        SpecError: every problem of every file.
    """
    tree = abra.read(folder)
    problems: list[Problem] = []
    apps: list[tuple[abra.EnvFile, AbraApp, str]] = []
    for file in tree.apps:
        try:
            app = _expand(file)
            apps.append((file, app, _url(file, app, recipes, tree.recipes, origin)))
        except SpecError as exc:
            problems += exc.problems
    if problems:
        raise SpecError(problems)
    count = Counter(_short(app) for _, app, _ in apps)

    def keeps_data(app: AbraApp) -> bool | None:
        return abra.keeps_data(tree.recipes / _folder(app.recipe), app.compose_files)

    return [draft_of_abra.draft(app, _name(app, count), url, keeps_data) for _, app, url in apps]


def _expand(file: abra.EnvFile) -> AbraApp:
    env: dict[str, str] = {}
    problems = []
    for one in file.variables:
        try:
            env[one.name] = interpolate.env_value(one.template, env)
        except interpolate.InterpolationError as exc:
            problems.append(Problem(file=str(file.path), line=one.line, key=one.name, message=str(exc)))
    app = AbraApp(variables=env, comments={one.name: one.comment for one in file.variables if one.comment})
    for key, value in (("TYPE", app.recipe), ("DOMAIN", app.domain)):
        if not value:
            problems.append(Problem(file=str(file.path), line=0, key=key, message="is not there"))
    if problems:
        raise SpecError(problems)
    return app


def _url(
    file: abra.EnvFile, app: AbraApp, recipes: str | None, clones: Path, origin: Callable[[Path], str | None]
) -> str:
    found = recipes.replace("{recipe}", app.recipe) if recipes else origin(clones / _folder(app.recipe))
    if not found:
        message = f"where the recipe {app.recipe} lies is not known: --recipes 'URL with {{recipe}} in it'"
        raise SpecError([Problem(file=str(file.path), line=0, key="TYPE", message=message)])
    return found


def _folder(recipe: str) -> str:
    """Clones of recipes from other forges are named flat."""
    return recipe.replace("/", "_").replace(".", "_")


def _name(app: AbraApp, count: Counter[str]) -> str:
    """The recipe's name; that of its stack where several apps would have it."""
    short = _short(app)
    return short if count[short] == 1 and is_name(short) else str(stack_for(app.domain))


def _short(app: AbraApp) -> str:
    return app.recipe.rpartition("/")[2]
