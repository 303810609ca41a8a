"""A real Gitea, built from its Go module: users, a repository, a pull request, a webhook. Effects: a process, HTTP."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from reconciler.demo.host import free_port
from tests.systemd.host import cache
from tests.waiting import until

MODULE, VERSION = "code.gitea.io/gitea", "v1.26.0"
TAGS = "sqlite sqlite_unlock_notify"
PASSWORD = "a-long-password-of-the-tests"
SECONDS = 30


def build() -> Path:
    """The program and, beside it, the files that it reads. Go checks the module's sum; minutes at the first time."""
    made = cache() / f"gitea-{VERSION}"
    if not made.exists():
        part = made.with_name(f".{made.name}.{os.getpid()}")
        ran = subprocess.run(
            ["go", "mod", "download", "-json", f"{MODULE}@{VERSION}"], capture_output=True, text=True, check=True
        )
        # Not `go install`, which takes no module that replaces others.
        shutil.copytree(json.loads(ran.stdout)["Dir"], part)
        for path in [part, *part.rglob("*")]:
            path.chmod(path.stat().st_mode | 0o200)
        subprocess.run(["go", "build", "-tags", TAGS, "-o", "gitea", "."], cwd=part, check=True, timeout=2400)
        part.rename(made)
    return made


@dataclass
class Gitea:
    """One server with the users anna, bob and ci. `tokens`: of each."""

    source: Path
    home: Path
    port: int = field(default_factory=free_port)
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def write(self) -> None:
        self.home.mkdir()
        (self.home / "app.ini").write_text(
            f"""
APP_NAME = tests
RUN_USER = {os.environ.get("USER", "root")}
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
WORK_PATH = {self.home}
[server]
STATIC_ROOT_PATH = {self.source}
ROOT_URL = {self.url}/
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {self.port}
OFFLINE_MODE = true
DISABLE_SSH = true
[database]
DB_TYPE = sqlite3
[security]
INSTALL_LOCK = true
[webhook]
ALLOWED_HOST_LIST = loopback
[service]
DISABLE_REGISTRATION = true
[actions]
ENABLED = false
[log]
MODE = console
"""
        )

    def run(self, *words: str) -> str:
        ran = subprocess.run(
            [str(self.source / "gitea"), "--config", str(self.home / "app.ini"), *words],
            capture_output=True,
            text=True,
            env=os.environ | {"USER": "root", "HOME": str(self.home)},
            timeout=120,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def add_users(self) -> None:
        for name in ("anna", "bob", "ci"):
            self.run(
                *("admin", "user", "create", "--username", name, "--email", f"{name}@example.test"),
                *("--password", PASSWORD, "--must-change-password=false", *(["--admin"] if name == "anna" else [])),
            )
            words = ("admin", "user", "generate-access-token", "--username", name, "--scopes", "all", "--raw")
            found = re.search(r"\b[0-9a-f]{40}\b", self.run(*words))  # among lines of its log
            assert found is not None
            self.tokens[name] = found[0]

    def api(self, user: str, method: str, path: str, body: Any = None) -> Any:
        answer = requests.request(
            method,
            f"{self.url}/api/v1{path}",
            json=body,
            headers={"authorization": f"token {self.tokens[user]}"},
            timeout=SECONDS,
        )
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/api/v1/version", timeout=5).ok
        except requests.ConnectionError:
            return False


@contextmanager
def serving(source: Path, home: Path) -> Iterator[Gitea]:
    """One with its users."""
    made = Gitea(source=source, home=home)
    made.write()
    made.run("migrate")
    made.add_users()
    argv = [str(source / "gitea"), "--config", str(home / "app.ini"), "web"]
    environment = os.environ | {"USER": "root", "HOME": str(home)}
    with (home / "log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log, env=environment) as child:
        try:
            until(lambda: child.poll() is not None or made.answers(), 60, "Gitea answers")
            assert child.poll() is None, (home / "log").read_text()[-2000:]
            yield made
        finally:
            child.terminate()
            child.wait(30)
