"""The daemon's own figures: `python -m bench.daemon [NAME...]`. `idle` and `heal` need a swarm; `soak` needs nothing.

IDLE_S: how long to watch the idle daemon, 300 s unless told.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.saying import say
from reconciler import app as composition
from reconciler import daemon_app
from reconciler.adapters.swarm.engine import SwarmEngine
from reconciler.core.release import render
from reconciler.engine.host.daemon import TICK
from reconciler.model.memory import Memory, TagSeen
from reconciler.model.release import KnownGood, Release
from tests.hosts.engine_host import HEALTH, V1, EngineHost, engine_host
from tests.waiting import until

IDLE_S = float(os.environ.get("IDLE_S", "300"))


class _Fine(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002 - the base's name


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / (1 << 20)


def idle(count: int = 100) -> None:
    """A hundred running apps, each probed in every pass, nothing to do: memory and processor of `ci-warm run`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Fine)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as made, engine_host(Path(made) / "host", "swarm", stateful=False) as host:
        image = host.release(V1)
        (host.home / "etc" / "apps" / f"{host.name}.yaml").unlink()
        for number in range(count):
            name = f"b{host.mark}-{number}"
            spec = {
                "name": name,
                "recipe": {"url": host.recipe.url},
                "domain": f"{name}.test",
                "stateful": False,
                "health": {**HEALTH, "port": server.server_port, "path": "/"},
            }
            (host.home / "etc" / "apps" / f"{name}.yaml").write_text(json.dumps(spec))
        app = host.program.build()
        engine = app.ports.engine
        assert isinstance(engine, SwarmEngine)
        _run_all(host, app, engine, image)
        with host.program.daemon() as process:
            until(lambda: any(line["event"] == "pass" for line in host.observed.log()), 120, "the first pass")
            until(lambda: json.loads((host.state / "status.json").read_text())["apps"], 60)
            results = {entry["result"] for entry in json.loads((host.state / "status.json").read_text())["apps"]}
            before, began = _cpu_s(process.pid), time.monotonic()
            process_waits(process, IDLE_S)
            spent = (_cpu_s(process.pid) - before) / (time.monotonic() - began)
            passes = [line["elapsed_s"] for line in host.observed.log() if line["event"] == "pass"]
            say(f"idle daemon, {count} running apps: of one core", f"{100 * spent:.2f} %", "goal 0.5 %")
            say("  memory", f"{rss_mib(process.pid):.0f} MiB", "goal 80 MiB")
            say(f"  passes, longest (s); results {results}", f"{len(passes)}, {max(passes):.2f}")
    server.shutdown()


def process_waits(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Let it idle; it must not end meanwhile."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return
    raise AssertionError("the daemon ended")


def _run_all(host: EngineHost, app: composition.App, engine: SwarmEngine, image: str) -> None:
    """Services that run, and records that say so: deploying a hundred apps one by one is not what is measured."""
    app.ports.recipes.fetch(host.recipe.url)
    commit = app.ports.recipes.tags(host.recipe.url).annotated[V1]
    for number, spec in enumerate(app.specs, 1):
        labels = {"com.docker.stack.namespace": str(spec.stack_name), render.LABEL_BUNDLE: "b" * 64}
        engine.client.write(
            "create service",
            "create_service",
            {"ContainerSpec": {"Image": image, "Command": ["sleep", "100000"]}},
            name=f"{spec.stack_name}_app",
            labels=labels,
            mode={"Replicated": {"Replicas": 1}},
        )
        if number % 10 == 0:  # a hundred at once would keep the engine from answering
            until(lambda: _running(engine) >= number, 300, f"{number} services run")  # noqa: B023 - called at once
    world = engine.look()
    for spec in app.specs:
        services = {s.name: s.spec_fingerprint for s in world.stack(spec.stack_name).services}
        record = KnownGood(
            app=spec.name,
            stack=spec.stack_name,
            release=Release(version=V1, commit=commit, bundle="b" * 64),
            services=services,
            at=world.at,
            desired=render.desired_digest(spec, {}),
        )
        app.store.put_known_good(record)
        app.store.put_memory(Memory(app=spec.name, tags={V1: TagSeen(commit=commit, first_seen=world.at)}))


def _running(engine: SwarmEngine) -> int:
    return sum(s.running for stack in engine.look().stacks.values() for s in stack.services)


def heal() -> None:
    """A service removed by hand, and no timer near: from the removal to the app that answers."""
    with tempfile.TemporaryDirectory() as made, engine_host(Path(made) / "host", "swarm") as host:
        host.set(daemon={"interval": "1h"})
        host.release(V1)
        with host.program.daemon():
            until(lambda: (host.state / host.name / "last_good").exists(), 60)
            until(lambda: host.observed.log()[-1]["event"] == "pass", 30)
            subprocess.run(["docker", "service", "rm", f"{host.stack}_app"], check=True, capture_output=True)
            began = time.monotonic()
            until(lambda: len(host.observed.history()) == 2, 60)
            took = time.monotonic() - began
        line = list(host.program.build().history.lines())[-1]
        say(
            "service removed by hand: to healed, of which deploying",
            f"{took:.2f} s, {line.elapsed_seconds:.2f} s",
            "3 s",
        )


def soak(passes: int = 10_000) -> None:
    """The daemon's own pass, ten thousand times on the embedded engine: memory, threads, file descriptors."""
    with tempfile.TemporaryDirectory() as made, engine_host(Path(made) / "host", "embedded") as host:
        host.release(V1)
        with daemon_app.daemon(host.home / "etc" / "config.yaml", host.state) as daemon:
            host.program.build().ports.recipes.fetch(host.recipe.url)
            sys.stdout.flush()
            quiet = os.dup(1)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            figures = []
            try:
                for number in range(passes + 1):
                    daemon._turn({TICK})
                    if number in (passes // 10, passes // 2, passes):
                        fds = len(os.listdir("/proc/self/fd"))
                        figures.append((number, round(rss_mib(os.getpid()), 1), threading.active_count(), fds))
            finally:
                sys.stdout.flush()
                os.dup2(quiet, 1)
        for number, rss, threads, fds in figures:
            say(f"soak: after {number} passes: memory, threads, descriptors", f"{rss} MiB, {threads}, {fds}", "flat")


ALL = {"heal": heal, "soak": soak, "idle": idle}

if __name__ == "__main__":
    os.umask(0o077)
    for chosen in sys.argv[1:] or list(ALL):
        ALL[chosen]()
