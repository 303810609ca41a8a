"""The specs under docs/examples, each with the recipe that it names: what a new operator starts from."""

import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.core.release import render
from reconciler.engine.release.needs import secret_key
from reconciler.model.settings import Settings
from reconciler.state import specs
from reconciler.state.specs import RecipeYaml

pytestmark = pytest.mark.repository
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
NAMES = sorted(path.stem for path in (EXAMPLES / "specs").glob("*.yaml"))


def files(repository: Path, tag: str) -> dict[str, bytes]:
    """Everything in a release."""

    def git(*args: str) -> bytes:
        return subprocess.run(["git", "-C", str(repository), *args], check=True, capture_output=True).stdout

    return {name: git("show", f"{tag}:{name}") for name in git("ls-tree", "-r", "--name-only", tag).decode().split()}


@pytest.mark.parametrize("name", NAMES)
def test_an_example_spec_has_what_its_recipe_asks_for(name: str, tmp_path: Path) -> None:
    argv = [sys.executable, str(EXAMPLES / "make_recipes.py"), str(tmp_path), name]
    subprocess.run(argv, check=True, capture_output=True)
    settings = Settings.model_validate({"domain_suffix": "ci.example.net"})
    [spec] = specs.read_specs([EXAMPLES / "specs" / f"{name}.yaml"], settings, complete=False)
    rows = (EXAMPLES / "recipes" / name / "versions").read_text().split("\n")
    tag = [line.split()[0] for line in rows if line and line[0] != "#"][-1]
    found, yaml = files(tmp_path / name, tag), RecipeYaml()
    env = render.environment(
        spec, yaml.env(found[".env.sample"], ".env.sample"), yaml.env(found.get("abra.sh", b""), "abra.sh")
    )
    content = render.RecipeContent(version=tag, commit="c" * 40, files=found, overlays={})
    rendered = render.render(spec, content, env, yaml.compose)
    assert {allowed for allowed, _ in rendered.policy} <= set(spec.allow)
    assert set(rendered.networks) <= {"proxy"}
    versions = {key: secret.version for key, secret in spec.secrets.items()}
    assert [one for one in rendered.secrets.values() if secret_key(spec.stack_name, versions, one) is None] == []


def test_what_the_operators_guide_says_of_the_examples_is_in_them() -> None:
    """Traefik routes by labels with the certificate of the host; the admin's password is one that is known."""
    settings = Settings.model_validate({"domain_suffix": "ci.example.net"})
    found = {spec.name: spec for spec in specs.read_specs([EXAMPLES / "specs"], settings)}
    assert found["traefik"].env["COMPOSE_FILE"] == "compose.yml:compose.wildcard.yml:compose.swarm.yml"
    assert found["keycloak"].secrets["admin_password"].file is not None
    assert found["keycloak"].after == ("traefik",) and found["keycloak"].stateful
