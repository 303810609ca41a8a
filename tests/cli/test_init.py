"""`init`: what an operator starts from is right, whole or not there at all, and never in the place of something."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from reconciler.demo.host import free_port
from reconciler.engine.operate import init
from reconciler.model.app import AppSpec
from reconciler.model.settings import Settings
from reconciler.state import new_files, specs, strict_yaml
from tests.hosts.program import Program, as_installed


@pytest.fixture
def program(tmp_path: Path) -> Program:
    home = tmp_path / "host"
    return Program(home=home, state=tmp_path / "state", app="notes", executable=as_installed())


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.exists() else []


def run(program: Program, *args: str, code: int = 0) -> str:
    ran = program.command(*args)
    assert ran.returncode == code, (args, ran.stdout, ran.stderr)
    assert "Traceback" not in ran.stderr
    return ran.stdout if code == 0 else ran.stderr


def test_the_settings_that_it_writes_are_read_and_their_comments_say_the_defaults() -> None:
    text = init.settings_text()
    assert specs.validate(strict_yaml.parse(text.encode(), "x"), Settings, "x").sweep.cold is False
    commented = [re.sub(r"^(\s*)# (?=\s*[a-z_]+:)", r"\1", line) for line in text.splitlines()]
    assert len([line for line in commented if not line.startswith("#")]) > 15
    read = specs.validate(strict_yaml.parse("\n".join(commented).encode(), "x"), Settings, "x")
    assert read == Settings.model_validate({"sweep": {"cold": False}})


def test_it_writes_settings_once_and_validate_says_what_is_missing(program: Program) -> None:
    said = json.loads(run(program, "init", "--json"))
    assert str(program.config) in said["written"] and (program.config.parent / "apps").is_dir()
    assert "fine: 0 specs" in run(program, "validate")
    before = program.config.read_text()
    program.config.write_text(before + "# mine\n")
    assert "is there already; nothing was written" in run(program, "init", code=2)
    assert program.config.read_text() == before + "# mine\n"


def test_nothing_is_left_of_what_cannot_be_written_whole(program: Program) -> None:
    folder = program.config.parent
    folder.mkdir(parents=True)
    (folder / "schema").write_text("in the way")
    run(program, "init", code=1)
    assert tree(folder) == ["schema"]
    (folder / "schema").unlink()
    (folder / "apps").mkdir()
    (folder / "apps" / "notes.yaml").write_text("mine")
    assert "notes.yaml" in run(program, "init", "--example", "--engine", "embedded", code=2)
    assert tree(folder) == ["apps", "apps/notes.yaml"]


def test_a_failure_half_way_takes_back_what_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    created = new_files._create

    def fail(path: Path, content: bytes, mode: int) -> None:
        if path.name == "b":
            raise OSError(28, "No space left on device", str(path))
        created(path, content, mode)

    monkeypatch.setattr(new_files, "_create", fail)
    with pytest.raises(OSError, match="No space"):
        new_files.create_all({tmp_path / "x" / "y" / "a": b"1", tmp_path / "x" / "b": b"2"})
    assert tree(tmp_path) == []


@pytest.mark.parametrize("args", [["--engine", "moon"], ["--port", "0"], ["--from-running", "x"]], ids=" ".join)
def test_bad_input_writes_nothing(program: Program, args: list[str]) -> None:
    program.config.parent.mkdir(parents=True)
    program.config.write_text("engine: embedded\n")
    run(program, "init", *args, code=2)
    assert tree(program.config.parent) == ["config.yaml"]


def test_the_schemas_are_those_that_the_files_name(program: Program) -> None:
    run(program, "init", "--example", "--engine", "embedded")
    for path in (program.config, program.config.parent / "apps" / "notes.yaml"):
        line = path.read_text().splitlines()[0]
        schema = (path.parent / line.removeprefix("# yaml-language-server: $schema=")).read_text()
        model = Settings if path == program.config else AppSpec
        assert json.loads(schema) == model.model_json_schema(by_alias=True)


def test_the_example_runs_and_its_releases_are_taken_and_taken_back(program: Program) -> None:
    port = str(free_port())
    try:
        run(program, "init", "--example", "--engine", "embedded", "--port", port)
        assert "fine: 1 specs (notes)" in run(program, "validate")
        assert "deployed:1.0.0+5.0.0" in run(program, "reconcile")
        publish(program, "1.0.1+5.0.1", "next")
        assert "upgraded:1.0.0+5.0.0->1.0.1+5.0.1" in run(program, "reconcile")
        publish(program, "1.0.2+5.0.2", "broken")
        ran = program.command("reconcile")
        assert (ran.returncode, "rolled-back:1.0.2+5.0.2->1.0.1+5.0.1" in ran.stdout) == (1, True)
        publish(program, "1.0.3+5.0.3", "mended")
        assert "upgraded:1.0.1+5.0.1->1.0.3+5.0.3" in run(program, "reconcile")
        assert json.loads(run(program, "alerts", "list", "--json")) == []
        run(program, "sweep")
        assert "nothing found" in run(program, "doctor", "--deep")
    finally:
        program.build().ports.engine.undeploy(program.build().specs[0].stack_name)


def publish(program: Program, tag: str, branch: str) -> None:
    argv = ["git", "-C", str(program.config.parent / "recipes" / "notes"), "tag", "-a", "-m", "Release", tag, branch]
    subprocess.run(argv, check=True, env=os.environ | {"HOME": "/nonexistent"})
