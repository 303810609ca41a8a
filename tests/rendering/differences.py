"""Where our reading of compose files is not Docker's, on purpose: one row each, with the reason. Pure.

`docs/specs.md` has the same rows in words. Anything else that differs is a fault.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.rendering.reading import Reading, Refused


@dataclass(frozen=True, kw_only=True)
class Row:
    """One difference: files that show it, the place to look at, and what either has there."""

    name: str
    files: tuple[str, ...]
    place: tuple[str, ...]
    docker: object
    ours: object
    reason: str
    env: str = ""


REFUSED = "refused"
_LOST = "what no overlay speaks of is not lost"
_MEANT = "it is what the writer means"
_UDP = {"mode": "ingress", "protocol": "udp", "published": 53, "target": 53}
_TCP = {"mode": "ingress", "protocol": "tcp", "published": 53, "target": 53}
_PORTS = ("services", "a", "ports")
_LABEL = ("services", "a", "labels", "l")


def _files(*services: str) -> tuple[str, ...]:
    return tuple(f"services: {{a: {{image: x{', ' if body else ''}{body}}}}}" for body in services)


def _template(name: str, text: str, docker: object, ours: object, reason: str = _MEANT) -> Row:
    files = _files(f"labels: {{l: '{text}'}}")
    return Row(name=name, files=files, place=_LABEL, docker=docker, ours=ours, reason=reason, env="A=1\nB=2")


ROWS = (
    Row(
        name="both protocols of a port survive an overlay",
        files=_files("ports: ['53:53', '53:53/udp']", "hostname: h"),
        place=_PORTS,
        docker=[_UDP],
        ours=[_TCP, _UDP],
        reason=_LOST,
    ),
    Row(
        name="ports that are not published survive an overlay",
        files=_files("ports: ['80', '443']", "hostname: h"),
        place=_PORTS,
        docker=[{"mode": "ingress", "protocol": "tcp", "target": 443}],
        ours=[{"mode": "ingress", "protocol": "tcp", "target": port} for port in (443, 80)],
        reason=_LOST,
    ),
    Row(
        name="a config that a service has twice survives an overlay",
        files=_files("configs: [{source: c, target: /a}, {source: c, target: /b}]", "hostname: h"),
        place=("services", "a", "configs"),
        docker=[{"source": "c", "target": "/b"}],
        ours=[{"source": "c", "target": "/a"}, {"source": "c", "target": "/b"}],
        reason=_LOST,
    ),
    Row(
        name="a config for the same place replaces the other one",
        files=_files("configs: [{source: c, target: /a}]", "configs: [{source: d, target: /a}]"),
        place=("services", "a", "configs"),
        docker=[{"source": "c", "target": "/a"}, {"source": "d", "target": "/a"}],
        ours=[{"source": "d", "target": "/a"}],
        reason="Docker takes no two for one place when it deploys",
    ),
    Row(
        name="what two files list is there once",
        files=_files("cap_add: [X]", "cap_add: [X, Y]"),
        place=("services", "a", "cap_add"),
        docker=["X", "X", "Y"],
        ours=["X", "Y"],
        reason="Docker refuses it twice in one file, and we send one",
    ),
    Row(
        name="a health test replaces the one below",
        files=_files("healthcheck: {test: [CMD, a]}", "healthcheck: {test: [CMD, b]}"),
        place=("services", "a", "healthcheck", "test"),
        docker=["CMD", "a", "CMD", "b"],
        ours=["CMD", "b"],
        reason="two commands one after the other are none",
    ),
    Row(
        name="options of logging that only the overlay has are kept",
        files=_files("logging: {driver: syslog}", "logging: {options: {tag: t}}"),
        place=("services", "a", "logging"),
        docker={"driver": "syslog"},
        ours={"driver": "syslog", "options": {"tag": "t"}},
        reason=_LOST,
    ),
    Row(
        name="an empty text adds nothing to a list",
        files=_files("dns: 10.0.0.1", "dns: ''"),
        place=("services", "a", "dns"),
        docker=["10.0.0.1", ""],
        ours=["10.0.0.1"],
        reason="an empty entry is no address",
    ),
    Row(
        name="an empty network or volume in an overlay takes nothing away",
        files=("services: {a: {image: x}}\nvolumes: {v: {driver: nfs}}", "services: {}\nvolumes: {v: }"),
        place=("volumes", "v"),
        docker={},
        ours={"driver": "nfs"},
        reason="it would put data into another volume",
    ),
    Row(
        name="an empty section or key is as if it were not there",
        files=("services: {a: {image: x}}\nvolumes:", "services: {a: }\nnetworks:"),
        place=("services", "a", "image"),
        docker=REFUSED,
        ours="x",
        reason=_MEANT,
    ),
    Row(
        name="files may say different versions",
        files=("version: '3.8'\nservices: {a: {image: x}}", "services: {a: {hostname: h}}"),
        place=("services", "a", "hostname"),
        docker=REFUSED,
        ours="h",
        reason="overlays of the host need not follow the recipe's; the highest counts",
    ),
    Row(
        name="versions before 3.5 are read as 3.8",
        files=("version: '3.1'\nservices: {a: {image: x, init: true}}",),
        place=("services", "a", "init"),
        docker=REFUSED,
        ours=True,
        reason="names of configs need 3.5",
    ),
    Row(
        name="what an overlay replaces is not judged",
        files=_files("command: 5", "command: run"),
        place=("services", "a", "command"),
        docker=REFUSED,
        ours=["run"],
        reason="the document that is sent is judged",
    ),
    Row(
        name="a variable without a value is left out",
        files=_files("environment: [A, NONE]"),
        place=("services", "a", "environment"),
        docker={"A": "1"},
        ours={"A": "1"},
        reason="the deploy tool would look for it among the daemon's own (docker: NONE is null, which is dropped here)",
        env="A=1",
    ),
    Row(
        name="permissions from a variable are octal",
        files=_files("configs: [{source: c, mode: '${M}'}]"),
        place=("services", "a", "configs"),
        docker=[{"source": "c", "mode": 440}],
        ours=[{"source": "c", "mode": 0o440}],
        reason=_MEANT,
        env="M=0440",
    ),
    Row(
        name="variables are cast where Docker forgets it",
        files=_files("init: '${T}', deploy: {resources: {limits: {pids: '${N}'}}}"),
        place=("services", "a", "init"),
        docker=REFUSED,
        ours=True,
        reason=_MEANT,
        env="T=true\nN=5",
    ),
    Row(
        name="a date is text",
        files=_files("labels: {l: 2026-01-02}"),
        place=_LABEL,
        docker="2026-01-02 00:00:00 +0000 UTC",
        ours="2026-01-02",
        reason=_MEANT,
    ),
    Row(
        name="a volume of one letter is refused",
        files=("services: {a: {image: x, volumes: ['d:/d']}}\nvolumes: {d: }",),
        place=("services", "a", "volumes"),
        docker=[{"type": "volume", "target": "d:/d"}],
        ours=REFUSED,
        reason="it would be read as a Windows path",
    ),
    Row(
        name="env_file is refused",
        files=_files("env_file: some.env"),
        place=("services", "a", "image"),
        docker="x",
        ours=REFUSED,
        reason="not supported: the values would be in no spec",
    ),
    Row(
        name="a service without an image is refused",
        files=("services: {a: {image: x}, b: {hostname: h}}",),
        place=("services", "b", "hostname"),
        docker="h",
        ours=REFUSED,
        reason="Docker refuses it when it deploys",
    ),
    Row(
        name="a bind mount of a path that is no whole one is refused",
        files=("services: {a: {image: x, volumes: ['./data:/data']}}",),
        place=("services", "a", "image"),
        docker="x",
        ours=REFUSED,
        reason="the recipe's folder is there only while it is deployed",
    ),
    Row(
        name="a config whose file is not in the recipe is refused",
        files=("services: {a: {image: x}}\nconfigs: {c: {file: ../../etc/passwd}}",),
        place=("services", "a", "image"),
        docker="x",
        ours=REFUSED,
        reason="a recipe reads no file of the host",
    ),
    _template("a variable in a default", "${N:-${B:-x}}", "${B:-x}", "2"),
    _template("a default with a variable, not needed", "${A:-${B:-x}}", "1}", "1"),
    _template("an alternative", "${A:+set}${N:+not}", REFUSED, "set"),
    _template("text after a variable without braces", "$A-alpine", "1", "1-alpine"),
    _template("an operator within the word of another", "${A-b:-c}", "c", "1", "the first one counts"),
)


def at(reading: Reading, place: tuple[str, ...]) -> object:
    """What a reading has at that place."""
    value: object = reading
    if isinstance(reading, Refused):
        return REFUSED
    for key in place:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
