"""Data in places that no snapshot holds: held before anything is touched, on a real Swarm."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.demo import recipes
from tests.hosts.engine_host import V1, V2, EngineHost, engine_host

if TYPE_CHECKING:
    from tests.conftest import RegistryServer

pytestmark = [pytest.mark.swarm, pytest.mark.usefixtures("swarm")]


def compose(*volumes: str, declared: str = "data") -> str:
    doc: dict[str, Any] = json.loads(recipes.compose("IMAGE", stateful=True))
    doc["services"]["app"]["volumes"] = list(volumes)
    doc["volumes"] = {declared: {}} if declared else {}
    return json.dumps(doc)


def declare_volume(image: str, path: str) -> None:
    """Make the image declare a volume, as a Dockerfile would."""
    made = subprocess.run(["docker", "create", image], capture_output=True, text=True, check=True).stdout.strip()
    subprocess.run(["docker", "commit", "--change", f"VOLUME {path}", made, image], capture_output=True, check=True)
    subprocess.run(["docker", "rm", made], capture_output=True, check=True)


def containers(host: EngineHost) -> str:
    label = f"label=com.docker.stack.namespace={host.stack}"
    return subprocess.run(
        ["docker", "ps", "--no-trunc", "-q", "--filter", label], capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EngineHost]:
    with engine_host(tmp_path / "host", "swarm", extra={"allow": ["host-mounts"]}) as made:
        yield made


def test_a_release_that_moves_its_data_into_an_anonymous_volume_is_held(host: EngineHost) -> None:
    host.release(V1)
    host.deploy_first()
    before, runs = host.observed.digest(), containers(host)
    host.release(V2, compose=compose("data:/data", "/var/lib/app"))
    assert host.program.command("plan").returncode == 21
    assert host.program.reconcile() == f"held-preflight:{V1}->{V2}"
    (alert,) = host.observed.alerts()
    assert "services.app: /var/lib/app is an anonymous volume" in str(alert.evidence)
    assert "snapshot.exclude" in alert.clears_when
    assert (host.observed.digest(), containers(host)) == (before, runs)
    host.write_spec(snapshot={"exclude": ["/var/lib/app"]})
    assert host.program.reconcile() == f"upgraded:{V1}->{V2}"
    assert host.observed.alerts() == []


@pytest.mark.parametrize(
    ("volumes", "says"),
    [
        (("/data",), "/data is an anonymous volume"),
        (("data:/data", "/srv/lab:/lab"), "bind mount /srv/lab at /lab is in no snapshot"),
        (("/etc/timezone:/etc/timezone:ro",), "it mounts no named volume, so nothing would be kept"),
    ],
)
def test_a_first_deploy_is_held_too(host: EngineHost, volumes: tuple[str, ...], says: str) -> None:
    host.release(V1, compose=compose(*volumes))
    assert host.program.reconcile() == f"held-preflight:{V1}"
    assert says in str(host.observed.alerts()[0].evidence)
    assert containers(host) == ""


def test_a_volume_that_the_image_declares_is_held_as_soon_as_the_image_is_known(
    tmp_path: Path, registry_server: "RegistryServer"
) -> None:
    """The image lies in a registry alone: nothing tells before the pull, and after it the app is still untouched."""
    with engine_host(tmp_path / "host", "swarm", registry=registry_server.address) as host:
        subprocess.run(["docker", "push", "-q", host.release(V1)], capture_output=True, check=True)
        host.deploy_first()
        before, runs = host.observed.digest(), containers(host)
        image = host.release(V2)
        declare_volume(image, "/var/lib/app")
        subprocess.run(["docker", "push", "-q", image], capture_output=True, check=True)
        subprocess.run(["docker", "image", "rm", image], capture_output=True, check=True)
        assert host.program.reconcile() == f"held-preflight:{V1}->{V2}"
        says = f"image {image} declares the volume /var/lib/app and nothing is mounted there"
        assert says in str(host.observed.alerts()[0].evidence)
        assert (host.observed.digest(), containers(host)) == (before, runs)
        assert host.program.command("plan").returncode == 21, "and by now the plan knows it"
        assert host.program.reconcile() == f"held-preflight:{V1}->{V2}"
        host.release("1.0.2+5.0.2", compose=compose("data:/data", "data:/var/lib/app"))
        assert host.program.reconcile().startswith("upgraded:"), "a named volume at that path is the cure"


def test_a_canonical_is_not_tested_with_data_that_cannot_be_kept(tmp_path: Path) -> None:
    with engine_host(tmp_path / "host", "swarm", extra={"kind": "canonical"}) as host:
        host.release(V1, compose=compose("data:/data", "/var/lib/app"))
        ran = host.program.command("cold", host.name, timeout=120)
        assert ran.returncode == 1
        assert "/var/lib/app is an anonymous volume" in ran.stdout + ran.stderr


def test_an_app_whose_data_would_end_with_it_is_not_taken_down(host: EngineHost) -> None:
    """It runs since before its data was looked at: given up once, and kept again."""
    host.write_spec(snapshot={"exclude": ["/var/lib/app"]})
    host.release(V1, compose=compose("data:/data", "/var/lib/app"))
    host.deploy_first()
    host.write_spec()
    runs = containers(host)
    ran = host.program.command("undeploy", host.name, "--reason", "move", "--yes")
    assert (ran.returncode, "/var/lib/app is an anonymous volume" in ran.stderr) == (2, True), ran.stderr
    assert containers(host) == runs
    host.write_spec(snapshot={"exclude": ["/var/lib/app"]})
    assert host.program.command("undeploy", host.name, "--reason", "move", "--yes").returncode == 0


def test_a_release_that_names_a_volume_does_not_end_the_data_that_had_no_name(host: EngineHost) -> None:
    """What the hold asks a recipe for: the new volume would be empty, and the old data gone with its task."""
    host.write_spec(snapshot={"exclude": ["/var/lib/app"]})
    host.release(V1, compose=compose("data:/data", "/var/lib/app"))
    host.deploy_first()
    host.write_spec()
    runs = containers(host)
    doc = json.loads(compose("data:/data", "uploads:/var/lib/app"))
    doc["volumes"]["uploads"] = {}
    host.release(V2, compose=json.dumps(doc))
    assert host.program.reconcile() == f"held-preflight:{V1}->{V2}"
    assert "what runs has data that ends when it is taken down" in str(host.observed.alerts()[0].evidence)
    assert containers(host) == runs
    host.write_spec(snapshot={"exclude": ["/var/lib/app"]})
    assert host.program.reconcile() == f"upgraded:{V1}->{V2}", "the operator has copied it, or gave it up"


def make_foreign(image: str, folder: Path) -> None:
    """Say in the image that it is made for another processor."""
    folder.mkdir()
    subprocess.run(["docker", "save", "-o", folder / "image.tar", image], check=True)
    subprocess.run(["tar", "-C", folder, "-xf", folder / "image.tar"], check=True)
    (entry,) = json.loads((folder / "manifest.json").read_text())
    config = json.loads((folder / entry["Config"]).read_text()) | {"architecture": "arm64"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "manifest.json").write_text(json.dumps([entry | {"Config": "config.json"}]))
    for name in ("index.json", "oci-layout", "image.tar"):
        (folder / name).unlink(missing_ok=True)
    packed = subprocess.run(["tar", "-C", folder, "-c", "."], capture_output=True, check=True)
    subprocess.run(["docker", "load"], input=packed.stdout, capture_output=True, check=True)


def test_a_release_whose_image_is_for_another_processor_is_held_and_nothing_is_touched(
    host: EngineHost, tmp_path: Path
) -> None:
    host.release(V1)
    host.deploy_first()
    before, runs = host.observed.digest(), containers(host)
    image = host.release(V2)
    make_foreign(image, tmp_path / "image")
    assert host.program.reconcile() == f"held-preflight:{V1}->{V2}"
    (alert,) = host.observed.alerts()
    assert f"image {image} is made for linux/arm64, which this engine is not" in str(alert.evidence)
    assert "allow: [foreign-platform]" in alert.clears_when
    assert (host.observed.digest(), containers(host)) == (before, runs)
