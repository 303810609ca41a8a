"""`import abra`: the apps that abra has on file become specs, without a shell, and what cannot is told."""

import json
import subprocess
from pathlib import Path

import pytest

from reconciler.model.settings import Settings
from reconciler.state import specs
from tests.hosts.program import Program, as_installed

CANARY = "canary-4711-secret"
BLOG = f"""\
# an app
TYPE=blog:2.1.0+8.4.1
DOMAIN=blog.example.org
EXTRA_DOMAINS=', `www.blog.example.org`'
LETS_ENCRYPT_ENV=
TIMEOUT=300
COMPOSE_FILE="compose.yml"
COMPOSE_FILE="$COMPOSE_FILE:compose.mariadb.yml"
export GREETING="hello from ${{DOMAIN}}"
API_TOKEN={CANARY}
SECRET_DB_PASSWORD_VERSION=v2  # length=40 charset=hex
SECRET_SMTP_PASSWORD_VERSION=v1 # generate=false
POST_DEPLOY_CMDS="app migrate"
"""
RECIPES = "https://git.example.org/recipes/{recipe}.git"


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(home=tmp_path / "host", state=tmp_path / "state", app="blog", executable=as_installed())


def abra(tmp_path: Path, **files: str) -> Path:
    folder = tmp_path / "abra"
    (folder / "servers" / "default").mkdir(parents=True)
    for name, text in files.items():
        (folder / "servers" / "default" / f"{name}.env").write_text(text)
    return folder


def clone(folder: Path, recipe: str, compose: str) -> None:
    at = folder / "recipes" / recipe
    subprocess.run(["git", "init", "--quiet", str(at)], check=True)
    origin = f"https://forge.example.org/{recipe}.git"
    subprocess.run(["git", "-C", str(at), "remote", "add", "origin", origin], check=True)
    (at / "compose.yml").write_text(compose)
    (at / "compose.mariadb.yml").write_text("version: '3.8'\nservices: {db: {image: mariadb}}\n")


def test_an_app_becomes_a_spec_and_what_does_not_is_told(program: Program, tmp_path: Path) -> None:
    folder = abra(tmp_path, **{"blog.example.org": BLOG})
    clone(folder, "blog", "services: {app: {image: blog}}\nvolumes: {data: {}}\n")
    ran = program.command("import", "abra", str(folder), "--json")
    assert ran.returncode == 0, ran.stderr
    assert CANARY not in ran.stdout + ran.stderr
    path = program.config.parent / "apps" / "blog.yaml"
    [spec] = specs.read_specs([path], Settings())
    assert spec.recipe.url == "https://forge.example.org/blog.git" and spec.recipe.track == "latest"
    assert (spec.name, spec.domain, spec.stack_name, spec.stateful) == (
        "blog",
        "blog.example.org",
        "blog_example_org",
        True,
    )
    assert spec.env == {
        "EXTRA_DOMAINS": ", `www.blog.example.org`",
        "LETS_ENCRYPT_ENV": "",
        "TIMEOUT": "300",
        "COMPOSE_FILE": "compose.yml:compose.mariadb.yml",
        "GREETING": "hello from blog.example.org",
        "API_TOKEN": CANARY,
    }
    assert {key: (one.version, one.length, one.charset) for key, one in spec.secrets.items()} == {
        "db_password": ("v2", 40, "hex"),
        "smtp_password": ("v1", 32, "alnum"),
    }
    assert path.stat().st_mode & 0o777 == 0o600
    [row] = json.loads(ran.stdout)["specs"]
    told = "\n".join(one["text"] for one in row["not_taken_over"])
    for part in ("POST_DEPLOY_CMDS", "smtp_password: is never generated", "2.1.0+8.4.1", "API_TOKEN sounds secret"):
        assert part in told and part in ran.stderr and part in path.read_text().replace("\n# ", " ")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("TYPE=blog\nDOMAIN=$(hostname)\n", "x.env:2: DOMAIN: asks a shell"),
        ("TYPE=blog\n\n# y\nDOMAIN=x.example.org\nKEY=`cat /etc/shadow`\n", "x.env:5: KEY: asks a shell"),
        ("source ../common.env\nTYPE=blog\nDOMAIN=x.example.org\n", "x.env:1: is no NAME=value"),
        ("TYPE=blog\nDOMAIN=x.example.org\nexport FOO\n", "x.env:3: is no NAME=value"),
        ("TYPE=blog\n", "x.env: DOMAIN: is not there"),
        ("TYPE=blog\nDOMAIN=no domain\n", "domain: is not a domain name"),
        ("TYPE=blog\nDOMAIN=x.example.org\nSECRET_A_VERSION=$HOME/x\n", "secrets.a.version"),
    ],
)
def test_what_needs_a_shell_or_makes_no_spec_is_refused_by_its_place(
    program: Program, tmp_path: Path, text: str, place: str
) -> None:
    fine = "TYPE=wiki\nDOMAIN=wiki.example.org\n"
    ran = program.command("import", "abra", str(abra(tmp_path, x=text, wiki=fine)), "--recipes", RECIPES)
    assert ran.returncode == 2 and place in ran.stderr, ran.stderr
    assert not list(tmp_path.glob("host/**/*.yaml")), "one bad file, and nothing is written"


def test_single_quotes_protect_what_looks_like_a_shell(program: Program, tmp_path: Path) -> None:
    text = "TYPE=blog\nDOMAIN=x.example.org\nCRON='$(date) `x` $5'\n"
    ran = program.command("import", "abra", str(abra(tmp_path, x=text)), "--recipes", RECIPES)
    assert ran.returncode == 0, ran.stderr
    [spec] = specs.read_specs([program.config.parent / "apps"], Settings())
    assert spec.env == {"CRON": "$(date) `x` $5"} and spec.recipe.url == "https://git.example.org/recipes/blog.git"
    again = program.command("import", "abra", str(tmp_path / "abra"), "--recipes", "https://elsewhere.example/{recipe}")
    assert again.returncode == 2 and "is there already; nothing was written" in again.stderr


def test_two_apps_of_one_recipe_are_named_after_their_stacks(program: Program, tmp_path: Path) -> None:
    files = {name: f"TYPE=blog\nDOMAIN={name}.example.org\n" for name in ("a", "b")}
    ran = program.command("import", "abra", str(abra(tmp_path, **files)), "--recipes", RECIPES)
    assert ran.returncode == 0, ran.stderr
    found = specs.read_specs([program.config.parent / "apps"], Settings())
    assert [spec.name for spec in found] == ["a_example_org", "b_example_org"]


def test_it_asks_which_of_several_servers_and_where_recipes_lie(program: Program, tmp_path: Path) -> None:
    folder = abra(tmp_path, x="TYPE=blog\nDOMAIN=x.example.org\n")
    assert "where the recipe blog lies is not known" in program.command("import", "abra", str(folder)).stderr
    (folder / "servers" / "other.example.org").mkdir()
    ran = program.command("import", "abra", str(folder), "--recipes", RECIPES)
    assert ran.returncode == 2 and "which server is this host?" in ran.stderr
    one = str(folder / "servers" / "default")
    assert program.command("import", "abra", one, "--recipes", RECIPES).returncode == 0
    assert "is not a folder" in program.command("import", "abra", str(tmp_path / "nowhere")).stderr
