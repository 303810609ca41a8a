"""Makes git recipes with annotated tags, and the images they name. Effects: a git repository, images.

Used by the demo and by the tests, so that both work on real repositories.
"""

import io
import json
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from reconciler.adapters import process, program
from reconciler.model.errors import ActError, UsageError

_APPLETS = (
    *("sh", "httpd", "sleep", "cat", "mkdir", "sed", "ln", "mv", "rm", "ls", "touch", "wget", "kill"),
    *("true", "false", "printf", "echo", "sync", "test", "[", "date"),
)
_IDENTITY = {
    "GIT_AUTHOR_NAME": "demo",
    "GIT_AUTHOR_EMAIL": "demo@example.invalid",
    "GIT_COMMITTER_NAME": "demo",
    "GIT_COMMITTER_EMAIL": "demo@example.invalid",
    "GIT_CONFIG_NOSYSTEM": "1",
}


@dataclass(frozen=True, kw_only=True)
class Version:
    """One release of the notes app. `env` goes into its image; `files` into the recipe beside compose.yml."""

    tag: str
    image: str
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    compose: str | None = None


def compose(image: str, *, stateful: bool, health: bool = False) -> str:
    """A compose file of Co-op Cloud shape. Host-mode ports, so that it also runs where IPVS does not."""
    app: dict[str, object] = {
        "image": image,
        "environment": ["GREETING=${GREETING:-hello}"],
        "ports": [{"target": 8080, "published": "${PUBLISHED_PORT}", "mode": "host"}],
        "networks": ["internal"],
        "stop_grace_period": "5s",
        "deploy": {
            "endpoint_mode": "dnsrr",
            "labels": ["coop-cloud.${STACK_NAME}.recipe=notes"],
            "update_config": {"order": "stop-first", "failure_action": "rollback"},
            "restart_policy": {"condition": "any", "delay": "500ms"},
        },
    }
    document: dict[str, object] = {"version": "3.8", "services": {"app": app}, "networks": {"internal": {}}}
    if stateful:
        app["volumes"] = ["data:/data"]
        document["volumes"] = {"data": {}}
    if health:
        app["healthcheck"] = {
            "test": ["CMD", "false"],
            "interval": "300ms",
            "timeout": "2s",
            "retries": 2,
            "start_period": "0s",
        }
    return json.dumps(document, indent=1)


class Recipe:
    """A git repository that releases are added to."""

    def __init__(self, folder: Path, *, stateful: bool) -> None:
        self.folder = folder
        self.stateful = stateful
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / ".git").exists():
            self.git("init", "--quiet", "--initial-branch=main")

    @property
    def url(self) -> str:
        """Where it is fetched from."""
        return f"file://{self.folder}"

    def git(self, *args: str) -> str:
        """Run git in the repository.

        Raises:
            ActError: it failed.
        """
        ran = process.run(["git", "-C", str(self.folder), *args], timeout_s=30, env=_IDENTITY)
        if ran.code != 0:
            raise ActError(f"git {args[0]}: {ran.output}")
        return ran.output

    def commit(self, version: Version) -> str:
        """Write a release's files and commit them; gives the commit."""
        text = version.compose or compose(version.image, stateful=self.stateful)
        contents = {"compose.yml": text, ".env.sample": "TYPE=notes\nGREETING=hello\n", **version.files}
        for name, body in contents.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", f"Release {version.tag}")
        return self.git("rev-parse", "HEAD").strip()

    def release(self, version: Version) -> str:
        """Commit and put the annotated tag on it; gives the commit."""
        commit = self.commit(version)
        self.git("tag", "--annotate", "--message", version.tag, version.tag)
        return commit


def embedded_image() -> list[str]:
    """What an embedded image of the notes app runs."""
    return list(program.script("reconciler.demo", "notes_app.py"))


def busybox() -> Path:
    """A static busybox of this machine.

    Raises:
        UsageError: there is none.
    """
    found = shutil.which("busybox")
    if found is None:
        raise UsageError("no busybox on this machine; apt-get install busybox-static")
    return Path(found).resolve()


def swarm_image(reference: str, env: Mapping[str, str], *, volume: bool = True, label: str = "demo") -> None:
    """Import an image of the notes app into the local engine: a static busybox and the script.

    Raises:
        ActError: the engine refused it.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        _add(tar, "bin/busybox", busybox().read_bytes(), 0o755)
        for applet in _APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        _add(tar, "notes_app.sh", (resources.files("reconciler.demo") / "notes_app.sh").read_bytes(), 0o755)
        _add(tar, "release", json.dumps(dict(env), sort_keys=True).encode(), 0o644)
        for folder in ("tmp", "www", *(["data"] if volume else [])):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
    changes = [
        'CMD ["/bin/sh", "/notes_app.sh"]',
        f"LABEL ci-warm.demo={label}",
        "ENV PATH=/bin",
        *(f"ENV {k}={v}" for k, v in env.items()),
    ]
    argv = ["docker", "import"]
    for change in changes:
        argv += ["--change", change]
    ran = process.run([*argv, "-", reference], timeout_s=120, stdin=buffer.getvalue())
    if ran.code != 0:
        raise ActError(f"docker import {reference}: {ran.output}")


def _add(tar: tarfile.TarFile, name: str, body: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(body), mode
    tar.addfile(entry, io.BytesIO(body))
