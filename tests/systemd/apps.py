"""The notes app on the systemd host: its recipe, images, spec, and what can be asked about it."""

import json
import os
import shutil
from typing import Any

from reconciler.demo import recipes
from reconciler.demo.recipes import Recipe, Version
from tests.hosts.engine_host import HEALTH, V1
from tests.systemd.host import SystemHost
from tests.waiting import until

SETTINGS: dict[str, Any] = {
    "git": {"allow_file": True},
    "fetch_every": "2s",
    "limits": {"steady_probe": "1s"},
    "daemon": {"interval": "2s", "jitter": "0s", "watch": "200ms"},
}
DATA = "/var/lib/docker/volumes/notes_example_test_data/_data"


class Notes:
    """One app on one host."""

    def __init__(self, machine: SystemHost) -> None:
        self.machine = machine
        self.sh = machine.sh
        self.images: list[str] = []
        shutil.rmtree(machine.lab / "recipe", ignore_errors=True)
        self.recipe = Recipe(machine.lab / "recipe", stateful=True)

    def release(self, tag: str, **env: str) -> None:
        """Publish a release: its image on the host's engine, its tag in the recipe."""
        image = f"t/notes:{tag.partition('+')[2]}"
        before = os.environ.get("DOCKER_HOST")
        os.environ["DOCKER_HOST"] = self.machine.engine
        try:
            recipes.swarm_image(image, {"VERSION": tag.partition("+")[2], **env})
        finally:
            if before is None:
                del os.environ["DOCKER_HOST"]
            else:
                os.environ["DOCKER_HOST"] = before
        self.images.append(image)
        self.recipe.release(Version(tag=tag, image=image))

    def write(self, path: str, text: str) -> None:
        """A file on the host."""
        self.machine.write(path, text)

    def settings(self, **changes: Any) -> None:
        """Write the settings."""
        self.write("/etc/ci-warm/config.yaml", json.dumps(SETTINGS | changes))

    def drop_in(self, unit: str, text: str) -> None:
        """Change a unit as an operator would."""
        self.write(f"/etc/systemd/system/{unit}.d/test.conf", text)
        self.sh("systemctl daemon-reload")

    def enrol(self) -> None:
        """Install as the docs say, and wait for the first deploy."""
        self.release(V1, SCHEMA="1")
        spec = {
            "name": "notes",
            "recipe": {"url": "file:///lab/recipe"},
            "domain": "notes.example.test",
            "stateful": True,
            "health": {**HEALTH, "port": 8099},
            "upgrade": {"bake": "0s"},
            "env": {"PUBLISHED_PORT": "8099"},
        }
        self.settings()
        self.write("/etc/ci-warm/apps/notes.yaml", json.dumps(spec))
        self.sh("ci-warm install-units && systemctl daemon-reload && systemctl enable --now ci-warm.target")
        self.until_known(V1)

    def known(self) -> str:
        """The version that is known-good."""
        return self.sh("cat /var/lib/ci-warm/notes/last_good 2>/dev/null", check=False)

    def until_known(self, version: str, seconds: float = 60) -> None:
        """Wait until a version is committed and its change is over."""
        until(lambda: self.known() == version and not self.journal(), seconds, f"{version} is known-good")

    def journal(self) -> dict[str, Any]:
        """The change under way; {} if none is."""
        text = self.sh("cat /var/lib/ci-warm/notes/journal.json 2>/dev/null", check=False)
        return json.loads(text) if text else {}

    def history(self) -> list[str]:
        """Results so far."""
        lines = self.sh("cat /var/lib/ci-warm/history.jsonl").splitlines()
        return [json.loads(line)["result"] for line in lines]

    def answer(self) -> str:
        """What the app says."""
        code = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8099/', timeout=5).read().decode())"
        return self.sh(f'python3 -c "{code}"', check=False)

    def listing(self) -> str:
        """Everything a restore must bring back, of the files that the tests put there."""
        return self.sh(
            f"cd {DATA} && for f in odd setuid dev acl cap; do stat -c '%n %f %u %g %s %t:%T %Y' $f; getfacl -cn $f; "
            "getfattr -d -m - $f | grep -v '^#'; getcap $f; done"
        )

    def doctor(self) -> None:
        """What must hold at the end of every test."""
        assert self.machine.failed_units() == ""
        self.sh("ci-warm doctor")

    def clear(self) -> None:
        """Leave a host as it was before."""
        self.sh(
            "systemctl disable --now ci-warm.target ci-warm.service ci-warm-sweep.timer; systemctl reset-failed; "
            "rm -rf /etc/systemd/system/ci-warm* /var/lib/systemd/timers/stamp-ci-warm* /etc/ci-warm; "
            "systemctl daemon-reload; docker service ls -q | xargs -r docker service rm; "
            'until [ -z "$(docker ps -q --filter label=com.docker.stack.namespace)" ]; do :; done; '
            "docker ps -aq | xargs -r docker rm -f; "
            "docker volume ls -q --filter label=com.docker.stack.namespace | xargs -r docker volume rm; "
            "docker network ls -q --filter label=com.docker.stack.namespace | xargs -r docker network rm; "
            f"docker image rm -f {' '.join(self.images)}; rm -rf /var/lib/ci-warm",
            check=False,
        )
