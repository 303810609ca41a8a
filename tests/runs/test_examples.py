"""The example recipes that come with the project, as an operator enrols them."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.embedded.engine import EmbeddedEngine
from reconciler.demo import recipes
from reconciler.model.testrun import Run
from tests.conftest import missing
from tests.hosts.engine_host import EngineHost
from tests.runs.conftest import QUICK

pytestmark = pytest.mark.repository
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
IMAGES = {
    "board": ("board:3.5.0", "board-worker:3.5.0", "board-server:3.5.3"),
    "wiki": ("wiki:4.0", "wiki:4.1"),
}


class Example(EngineHost):
    """A host with one example recipe instead of the notes app's."""

    def enrol(self, name: str, **tests: Any) -> None:
        """Make the recipe's repository and its images, and write its spec."""
        into = self.home / "examples"
        argv = [sys.executable, str(EXAMPLES / "make_recipes.py"), str(into), name]
        subprocess.run(argv, check=True, capture_output=True)
        for image in IMAGES[name]:
            self._publish(f"example/{image}")
        # No proxy and no IPVS on a test machine: the surroundings change, the recipe does not.
        port = [{"target": 8080, "published": self.port, "mode": "host"}]
        document = {
            "services": {"app": {"ports": port, "deploy": {"endpoint_mode": "dnsrr"}}},
            "networks": {"proxy": {"external": True, "name": f"proxy-{self.mark}"}},
        }
        overlay = self.home / "overlay.yml"
        overlay.write_text(json.dumps(document))
        self.write_spec(
            recipe={"url": f"file://{into / name}"}, overlays=[str(overlay)], tests={"recipe_checks": True, **tests}
        )

    def _publish(self, reference: str) -> None:
        settings = {"VERSION": reference, "SCHEMA": "1", "PORT": "0"}
        if self.engine == "swarm":
            recipes.swarm_image(reference, {**settings, "PORT": "8080"}, label=self.mark)
        else:
            EmbeddedEngine(self.state / "engine").images.publish(
                reference, recipes.embedded_image(), settings, "2026-01-01T00:00:00Z"
            )
        self.images.append(reference)


@pytest.fixture
def example(swarm: str, tmp_path: Path) -> Iterator[Example]:
    if shutil.which("curl") is None:
        missing("the examples' checks need curl (apt-get install curl)")
    made = Example(home=tmp_path / "host", engine="swarm", extra={"kind": "canonical"}, health={**QUICK, "path": "/"})
    network = f"proxy-{made.mark}"
    subprocess.run(["docker", "network", "create", "--driver", "overlay", network], check=True, capture_output=True)
    try:
        yield made
    finally:
        made.clear()
        subprocess.run(["docker", "network", "rm", network], check=True, capture_output=True)


def test_specs_of_the_examples_are_good(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("domain_suffix: ci.example.net\n")
    argv = [sys.executable, "-m", "reconciler", "--config", str(config), "validate", str(EXAMPLES / "specs")]
    ran = subprocess.run(argv, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.swarm
def test_board_drops_a_service_and_changes_its_image(example: Example) -> None:
    example.enrol("board")
    run: Run = example.program.test()
    assert run.result == "green", run.stages
    assert [s.result for s in run.stages] == ["passed"] * 5
    assert "prune-orphans: removed 'worker'" in run.notes
    assert (run.version_before, run.version_after) == ("0.8.1+3.5.0", "1.0.0+3.5.3")
    assert (run.level, run.promoted, example.observed.left()) == (5, True, [])
    folder = example.state / "runs" / run.run
    assert (folder / "artefacts" / "the-board.txt").read_text().strip() != ""
    assert "restore: " in (folder / "restore.log").read_text()


@pytest.mark.swarm
def test_wikis_old_release_needs_its_previous_folder(example: Example) -> None:
    example.enrol("wiki")
    run = example.program.test()
    assert run.result == "green" and run.promoted, run.stages
    assert "ci/previous for 2.0.0+4.0 was applied to the base alone" in run.notes
    without = example.program.test(base="2.0.0+4.0")
    assert without.result == "green"
    example.write_spec(
        recipe={"url": f"file://{example.home / 'examples' / 'wiki'}"},
        overlays=[str(example.home / "overlay.yml")],
        tests={"previous": "ci/none"},
    )
    broken = example.program.test(base="2.0.0+4.0")
    assert broken.result == "partial" and broken.stages[1].reason.startswith("the base does not deploy"), broken.stages
