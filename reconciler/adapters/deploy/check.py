"""`docker stack config` of a document, before anything is stopped. Effects: CLI runs that touch no engine.

The loader is the one of `docker stack deploy`, so what it refuses here would be refused there, with the same words.
"""

import functools
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from reconciler.adapters import process
from reconciler.core import redact
from reconciler.core.release import compose, interpolate, refusals
from reconciler.core.release.digest import digest

_TIMEOUT_S = 30.0
_KEPT = 256
"""Answers that are remembered: more than any host has apps, each with a release or two to look at."""


class Checker:
    """Asks the deploy tool about documents, each once."""

    def __init__(self) -> None:
        self._answers: dict[str, tuple[str, ...]] = {}

    def check(self, doc: Mapping[str, object]) -> tuple[str, ...] | None:
        """As `ports.Engine.check_document`."""
        tool = _tool()
        if not _can_check(tool):
            # What it cannot be asked it may still not know; of its shapes there is a table.
            return None if _knows_jobs(tool) else (_list_jobs(doc) or None)
        key = digest([tool, doc])
        if key not in self._answers:
            answer = _check(doc)
            while len(self._answers) >= _KEPT:
                del self._answers[next(iter(self._answers))]
            self._answers[key] = answer
        return self._answers[key]


def _tool() -> tuple[str, int]:
    """Which docker CLI there is: another one may judge otherwise, also while we run."""
    found = shutil.which("docker") or ""
    return found, Path(found).stat().st_mtime_ns if found else 0


@functools.cache
def _can_check(_tool: tuple[str, int]) -> bool:
    """CLI 25 and newer; Debian's 20.10 has no such command. A tool that cannot be run at all is an error."""
    # By what it says and not by its exit code: 20.10 answers with the help of `docker stack`, and is content.
    asked = process.run(["docker", "stack", "config", "--help"], timeout_s=_TIMEOUT_S)
    return asked.code == 0 and "--compose-file" in asked.output


@functools.cache
def _knows_jobs(_tool: tuple[str, int]) -> bool:
    """CLI 23 and newer; an older one says `Unknown mode`, and only when it deploys."""
    told = process.run(["docker", "--version"], timeout_s=_TIMEOUT_S).output
    found = re.search(r"version (\d+)\.", told)
    return found is None or int(found[1]) >= 23


def _list_jobs(doc: Mapping[str, object]) -> tuple[str, ...]:
    modes = {name: str((body.get("deploy") or {}).get("mode") or "") for name, body in compose.services(doc).items()}
    says = "Unknown mode: {} (the docker CLI knows it from 23 on)"
    return tuple(f"services.{k}.deploy.mode: {says.format(mode)}" for k, mode in modes.items() if mode.endswith("-job"))


def _check(doc: Mapping[str, object]) -> tuple[str, ...]:
    said = _ask(doc)
    # An error of decoding names a field and no service: each is asked about alone until the words come again.
    return tuple(line if refusals.names_place(line) else _locate(line, doc) for line in said)


def _ask(doc: Mapping[str, object]) -> tuple[str, ...]:
    """What the tool says of a document, complaint by complaint."""
    text = json.dumps(interpolate.escape(doc), ensure_ascii=False).encode()
    ran = process.run(
        ["docker", "stack", "config", "--compose-file", "-"],
        timeout_s=_TIMEOUT_S,
        stdin=text,
        redactor=redact.for_document(doc),
    )
    if ran.code == 0:
        return ()
    lines = [line.strip() for line in ran.output.splitlines() if line.strip()]
    return tuple(line for line in lines if not line.endswith("error(s):")) or (f"docker stack config: {ran.code}",)


def _locate(line: str, doc: Mapping[str, object]) -> str:
    """The complaint with the service and the key that it is about, if it is about one."""
    services = doc.get("services")
    for name, service in services.items() if isinstance(services, Mapping) else ():
        if line not in _ask({**doc, "services": {name: service}}):
            continue
        keys = [key for key in service if line not in _ask(_without(doc, name, service, key))]
        return f"services.{name}.{keys[0]} {line}" if len(keys) == 1 else f"services.{name} {line}"
    return line


def _without(doc: Mapping[str, object], name: str, service: Mapping[str, object], key: str) -> Mapping[str, object]:
    rest: Mapping[str, object] = {one: value for one, value in service.items() if one != key}
    return {**doc, "services": {name: rest}}
