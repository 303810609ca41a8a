"""What keeps a service of the embedded engine, killed: there is never a second writer."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.adapters.embedded import services
from reconciler.adapters.embedded.services import ServiceFolders
from reconciler.model.base import Json
from reconciler.model.ids import StackName
from tests.processes import supervisors
from tests.waiting import until

STACK = StackName("notes")
OUTLIVES = "import ctypes, time; ctypes.CDLL(None).prctl(1, 0); open('up', 'w').close(); time.sleep(600)"
"""A program that its supervisor's end does not end, as one that dies slowly."""


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[ServiceFolders]:
    image = tmp_path / "image.json"
    image.write_text('{"argv": [], "env": {}}')
    made = ServiceFolders(tmp_path / "services")
    made.root.mkdir()
    spec: Json = {
        "image": "it",
        "image_file": str(image),
        "argv": [sys.executable, "-c", OUTLIVES],
        "env": {},
        "health": None,
        "template": "one",
        "volumes": ["data"],
        "replicas": 1,
        "grace": 1.0,
        "monitor": 0.0,
        "restart": {"condition": "any", "delay": 0.0},
    }
    made.put(STACK, "app", spec)
    until(lambda: (tmp_path / "up").exists(), 20, "its program is up")
    yield made
    (tmp_path / "up").unlink()
    made.remove(list(made.folders()))


def test_a_program_waits_for_the_end_of_the_one_before(kept: ServiceFolders, tmp_path: Path) -> None:
    [folder] = kept.folders()
    [first] = services.read(folder / "tasks.json")["tasks"]
    [supervisor] = supervisors(folder)
    os.kill(supervisor, signal.SIGKILL)
    until(lambda: not services.is_alive(folder), 10, "its supervisor is gone")
    assert [one.id for one in kept.holders(STACK, ["data"])] == [first["id"]], "it is up, and writes"
    (tmp_path / "up").unlink()
    kept.put(STACK, "app", services.read(folder / "service.json"))
    until(lambda: services.read(folder / "tasks.json")["tasks"] == [], 10, "the next one has looked")
    assert services.is_alive(folder)
    assert not (tmp_path / "up").exists(), "a second one beside it"
    os.kill(first["pid"], signal.SIGKILL)
    until(lambda: (tmp_path / "up").exists(), 20, "the next one is up")
    [second] = services.read(folder / "tasks.json")["tasks"]
    assert second["pid"] != first["pid"]
