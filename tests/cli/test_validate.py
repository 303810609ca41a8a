"""`validate`: every mistake at once, and what is written rightly and will not work here."""

import json
from importlib import resources
from pathlib import Path

import pytest

from reconciler.state import spec_doubts
from tests.hosts.program import Program, as_installed


@pytest.fixture
def program(tmp_path: Path) -> Program:
    made = Program(home=tmp_path / "host", state=tmp_path / "state", app="a", executable=as_installed())
    (made.config.parent / "apps").mkdir(parents=True)
    return made


def write(program: Program, *, settings: str = "", **apps: str) -> None:
    program.config.write_text(settings)
    for name, text in apps.items():
        (program.config.parent / "apps" / f"{name}.yaml").write_text(text)


def warnings(program: Program, *args: str, code: int = 0) -> list[str]:
    ran = program.command("validate", "--json", *args)
    assert ran.returncode == code, ran.stdout + ran.stderr
    return [f"{one['key']}: {one['message']}" for one in json.loads(ran.stdout)["warnings"]]


def test_a_key_that_stands_twice_does_not_hide_the_other_mistakes(program: Program) -> None:
    text = "name: A!\nname: B!\nrecipe: {url: u, url: v, tracked: x}\ndomain: a.example.org\nstateful: perhaps\n"
    write(program, settings="group: a\ngroup: b\nnothing: 1\n", a=text, b="name: b\n")
    ran = program.command("validate")
    assert ran.returncode == 2
    for place in (
        "config.yaml:2: group: stands twice",
        "config.yaml:3: nothing: is not a key we know",
        "a.yaml:2: name: stands twice",
        "a.yaml:2: name: must match",
        "a.yaml:3: recipe.url: stands twice",
        "a.yaml:3: recipe.tracked: is not a key we know",
        "a.yaml:5: stateful:",
        "b.yaml:1: recipe:",
    ):
        assert place in ran.stderr, (place, ran.stderr)


def test_what_is_no_data_is_told_once(program: Program) -> None:
    write(program, a="name: &x a\nrecipe: {url: *x}\ndomain: a.example.org\nstateful: true\n")
    ran = program.command("validate")
    assert ran.returncode == 2 and ran.stderr.count("recipe.url") == 1, ran.stderr


SPEC = "name: a\nrecipe: {{url: 'file://{path}'}}\ndomain: a.example.org\nstateful: true\n"


@pytest.mark.parametrize(
    ("path", "allowed", "expected"),
    [
        (
            "/root/recipe",
            True,
            ["recipe.url: the daemon's unit does not see /root/recipe; put it elsewhere, such as /srv"],
        ),
        ("/var/tmp/x", True, ["recipe.url: the daemon's unit does not see /var/tmp/x; put it elsewhere, such as /srv"]),
        ("/rooted/nowhere", True, ["recipe.url: /rooted/nowhere is not there"]),
        ("/etc", True, []),
        ("/etc", False, ["recipe.url: file:// recipes are fetched only with git.allow_file: true in the settings"]),
    ],
)
def test_recipes_on_this_host_that_the_daemon_cannot_have(
    program: Program, path: str, allowed: bool, expected: list[str]
) -> None:
    write(program, settings="git: {allow_file: true}\n" if allowed else "", a=SPEC.format(path=path))
    assert warnings(program) == expected
    assert warnings(program, "--strict", code=2 if expected else 0) == expected


def test_files_that_are_absent_or_hidden_and_canonicals_without_a_suffix(program: Program, tmp_path: Path) -> None:
    text = (
        "name: a\nkind: canonical\nrecipe: {url: 'https://git.example.org/a.git', signers: /nowhere/signers}\n"
        "stateful: true\noverlays: [/etc/passwd, /nowhere/over.yml]\nsecrets:\n  one: {file: /nowhere/one}\n"
        "  two: {file: /run/credentials/ci-warm.service/two}\n  three: {file: /home/x/three}\n  four: {length: 20}\n"
    )
    write(program, a=text)
    assert warnings(program) == [
        "secrets.one.file: /nowhere/one is not there",
        "secrets.three.file: the daemon's unit does not see /home/x/three",
        "recipe.signers: /nowhere/signers is not there",
        "overlays: /nowhere/over.yml is not there",
        "kind: test runs of a canonical answer below domain_suffix, and the settings have none",
    ]
    ran = program.command("validate")
    assert ran.returncode == 0 and ran.stderr.count("warning: ") == 5 and "fine: 1 specs (a)" in ran.stdout
    write(program, settings="domain_suffix: ci.example.org\n")
    assert not [text for text in warnings(program) if text.startswith("kind")]


def test_what_it_says_of_the_unit_is_in_the_unit() -> None:
    unit = (resources.files("reconciler") / "units" / "ci-warm.service").read_text().splitlines()
    assert {"ProtectHome=yes", "PrivateTmp=yes"} <= set(unit)
    assert spec_doubts.HIDDEN == ("/home", "/root", "/run/user", "/tmp", "/var/tmp")


BAD = {
    "a zone that is a folder": ("upgrade: {window: '02:00-05:00 Europe'}", "no time zone 'Europe'"),
    "a duration beyond every clock": ("upgrade: {bake: 99999999999d}", "longer than 100 years"),
    "a number of hundreds of digits": (f"health: {{deadline: {'9' * 330}}}", "health.deadline"),
    "a track of thousands of digits": (f"recipe: {{url: 'https://x.test/a', track: {'9' * 5000}.x}}", "track"),
}


@pytest.mark.parametrize(("line", "says"), BAD.values(), ids=BAD)
def test_what_no_clock_and_no_number_can_be_is_refused_with_its_key(line: str, says: str, program: Program) -> None:
    recipe = "" if line.startswith("recipe") else "recipe: {url: 'https://x.test/a'}\n"
    write(program, a=f"name: a\n{recipe}domain: a.example.org\nstateful: true\n{line}\n")
    ran = program.command("validate")
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert says in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("name", ["requests", "alerts", "runs", "sweeps", "recipes"])
def test_an_app_is_not_called_as_a_folder_of_ours(name: str, program: Program) -> None:
    text = f"name: {name}\nrecipe: {{url: 'https://x.test/a'}}\ndomain: a.example.org\nstateful: true\n"
    write(program, **{name: text})
    ran = program.command("validate")
    assert ran.returncode == 2 and f"{name} is the name of a folder of ours" in ran.stdout + ran.stderr
