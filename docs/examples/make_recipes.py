"""`python3 make_recipes.py INTO [NAME...]`: the example recipes as git repositories with annotated tags.

A recipe's `versions` file says which releases there are; each becomes one commit in which `@APP_VERSION@` and
`@DB_VERSION@` stand for what it says. What lies below `at/<tag>/` comes with that release and stays until a later one
replaces it. Needs git and nothing else.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

RECIPES = Path(__file__).parent / "recipes"
_NAME = "Example"


def releases(recipe: Path) -> list[tuple[str, str, str]]:
    """Tag, version of the app, version of its database ('' if it has none), oldest first."""
    rows = [line.split() for line in (recipe / "versions").read_text().splitlines() if line and line[0] != "#"]
    return [(row[0], row[1], row[2] if len(row) > 2 else "") for row in rows]


def git(folder: Path, *args: str) -> None:
    """Run git with a name of its own."""
    names = {f"GIT_{who}_{what}": _NAME for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["git", "-C", str(folder), *args], check=True, env=os.environ | names, capture_output=True)


def write(recipe: Path, into: Path, tag: str, app: str, database: str) -> None:
    """The files of one release."""
    special = recipe / "at"
    for top in (recipe, special / tag):
        for source in sorted(top.rglob("*")):
            target = into / source.relative_to(top)
            if source.is_dir() or source.name == "versions" or (top is recipe and special in source.parents):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            text = source.read_text().replace("@APP_VERSION@", app).replace("@DB_VERSION@", database)
            target.write_text(text)
            shutil.copymode(source, target)


def make(recipe: Path, into: Path) -> None:
    """One repository with every release."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    git(into, "init", "--quiet", "--initial-branch=main")
    for tag, app, database in releases(recipe):
        write(recipe, into, tag, app, database)
        git(into, "add", "--all")
        git(into, "commit", "--quiet", "--allow-empty", "--message", f"Release {tag}")
        git(into, "tag", "--annotate", "--message", tag, tag)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: make_recipes.py INTO [NAME...]")
    for chosen in sys.argv[2:] or sorted(path.name for path in RECIPES.iterdir()):
        make(RECIPES / chosen, Path(sys.argv[1]) / chosen)
        print(f"{chosen}: {', '.join(tag for tag, _, _ in releases(RECIPES / chosen))}")  # noqa: T201 - its output
