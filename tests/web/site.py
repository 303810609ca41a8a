"""`ci-warm web` as a real process on a state root, and a browser without scripts. Effects: a process, HTTP."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from reconciler.demo.host import free_port
from reconciler.web.access import Role, make_token
from tests.waiting import until

WRITTEN = Path(__file__).parents[1] / "state" / "written_by_0_1"
SECONDS = 20


@dataclass
class Site:
    """One web process. `tokens`: role -> token, {}: none are set, and the page is read-only.

    `more`: settings of the page; `settings`: of the host.
    """

    home: Path
    state: Path
    roles: tuple[Role, ...] = ()
    hosts: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    tokens: dict[Role, str] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def write(self) -> Path:
        """The settings, and the file of tokens; the config's path."""
        self.home.mkdir(exist_ok=True)
        web: dict[str, Any] = {"listen": f"127.0.0.1:{self.port}", "hosts": list(self.hosts), **self.more}
        if self.roles:
            made = {role: make_token(f"{role}-token", role) for role in self.roles}
            self.tokens = {role: token for role, (token, _) in made.items()}
            path = self.home / "tokens"
            path.write_text("# who may\n" + "\n".join(line for _, line in made.values()) + "\n")
            path.chmod(0o600)
            web["tokens"] = str(path)
        config = self.home / "config.yaml"
        config.write_text(json.dumps({"web": web, **self.settings}))
        return config

    def argv(self, *words: str) -> list[str]:
        options = ["--config", str(self.write()), "--state-dir", str(self.state)]
        return [sys.executable, "-m", "reconciler", *options, *(words or ("web",))]

    @contextmanager
    def serving(self) -> Iterator["subprocess.Popen[str]"]:
        """The process; it must end by itself when asked to."""
        argv = self.argv()
        environment = {name: value for name, value in os.environ.items() if name != "RUNTIME_DIRECTORY"}
        with (self.home / "log").open("w") as log:
            process = subprocess.Popen(argv, stdout=log, stderr=log, text=True, env=environment)
        try:
            until(lambda: process.poll() is not None or self._answers(), 30, "the page answers")
            assert process.poll() is None, (self.home / "log").read_text()
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/healthz", timeout=SECONDS).text == "ok\n"
        except requests.ConnectionError:
            return False

    def get(self, path: str, role: Role | None = None, **more: Any) -> requests.Response:
        return self.ask("GET", path, role, **more)

    def ask(
        self, method: str, path: str, role: Role | None = None, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> requests.Response:
        """One request with the token of that role."""
        bearer = {"authorization": f"Bearer {self.tokens[role]}"} if role is not None else {}
        sent = {**bearer, **(headers or {})}
        return requests.request(method, self.url + path, headers=sent, timeout=SECONDS, allow_redirects=False, **more)


class Browser:
    """Follows links and sends the forms of a page, with its cookies."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.session = requests.Session()
        self.page = ""

    def visit(self, path: str, status: int = 200) -> str:
        answer = self.session.get(self.site.url + path, timeout=SECONDS)
        assert answer.status_code == status, answer.text
        self.page = answer.text
        return self.page

    def log_in(self, token: str, status: int = 200) -> None:
        answer = self.session.post(f"{self.site.url}/login", data={"token": token}, timeout=SECONDS)
        assert answer.status_code == status
        self.page = answer.text

    def send(self, action: str, status: int = 200, **fields: str) -> str:
        """Send the page's form of that address, with what is already in it."""
        found = re.search(rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', self.page, re.S)
        assert found is not None, f"the page has no form {action}"
        given = dict(re.findall(r'<input[^>]*name="(\w+)"[^>]*value="([^"]*)"', found[1]))
        answer = self.session.post(self.site.url + action, data=given | fields, timeout=SECONDS)
        assert answer.status_code == status, answer.text
        self.page = answer.text
        return self.page

    def follow(self, action: str, **fields: str) -> str:
        """The same, and look again until the reply of what takes long is there."""
        self.send(action, 200, **fields)
        while (later := re.search(r'<a href="([^"]+)">Look again</a>', self.page)) is not None:
            self.visit(later[1])
        return self.page


def copy_state(into: Path) -> Path:
    """A state root that a whole life has left."""
    shutil.copytree(WRITTEN, into)
    for name in ("requests", "replies"):
        (into / name).mkdir(exist_ok=True)
    for path in (into / "requests").iterdir():
        path.unlink()
    return into
