"""Speed, as ratios within one run: `make bench`, or `python -m bench.run NAME...`. Prints one line per figure.

`snapshot`, `window` and `program` need nothing; `downtime`, `passes`, `undeploy` and `verdict` need a swarm (root,
DOCKER_HOST) and busybox.
"""

import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.downtime import downtime
from bench.saying import MANIFEST, REPEATS, say, timed
from bench.window import window
from reconciler.adapters.swarm.engine import SwarmEngine
from reconciler.engine.host import one_pass
from reconciler.model.ids import AppName
from reconciler.model.observed import VolumeObs
from reconciler.node.snapshots.store import FolderSnapshots
from tests.hosts.engine_host import V1, V2, engine_host
from tests.hosts.idle_apps import idle_apps, service_versions
from tests.waiting import until


def snapshot() -> None:
    """A verified snapshot, with per-file digests, against plain GNU tar with fsync. Sources warm."""
    with tempfile.TemporaryDirectory() as made:
        home = Path(made)
        for name, count, size in (("large", 2, 512 << 20), ("small", 20_000, 4096)):
            data = home / name / "_data"
            data.mkdir(parents=True)
            dice = random.Random(1)
            for number in range(count):
                (data / f"f{number}").write_bytes(
                    dice.randbytes(size) if size < 1 << 20 else dice.randbytes(1 << 20) * (size >> 20)
                )
            volume = VolumeObs(name="v", driver="local", options={}, labels={}, path=str(data))
            store = FolderSnapshots(home)
            ours, tars, backs = _series(store, volume, home / "t.tar")
            ratio = statistics.median(tars) / statistics.median(ours)
            goal = "goal 0.95 (large)" if name == "large" else ""
            say(f"snapshot {name}: GNU tar time / ours (read back, digests)", f"{ratio:.2f}x", goal)
            say(
                f"snapshot {name}: ours, restore, tar (s)",
                " ".join(f"{statistics.median(x):.2f}" for x in (ours, backs, tars)),
            )


def _series(store: FolderSnapshots, volume: VolumeObs, target: Path) -> tuple[list[float], list[float], list[float]]:
    """Seconds of ours, GNU tar and our restore, in turn."""
    ours, tars, backs = [], [], []
    for number in range(REPEATS):
        tar = f"tar -C {volume.path} -cf {target} . && sync {target}"
        tars.append(timed(lambda: subprocess.run(["sh", "-c", tar], check=True)))  # noqa: B023 - called at once
        target.unlink()
        ours.append(timed(lambda: store.create(MANIFEST, [volume], before_exchange=lambda: None)))
        backs.append(timed(lambda: store.restore(AppName("bench"), [volume], f"o{number}")))  # noqa: B023 - likewise
        store.forget_aside(AppName("bench"), [volume])
    return ours, tars, backs


def program() -> None:
    """Start-up of the command line."""
    argv = [str(Path(sys.executable).parent / "ci-warm"), "--help"]
    bare = statistics.median(timed(lambda: subprocess.run([sys.executable, "-c", ""], check=True)) for _ in range(7))
    took = statistics.median(timed(lambda: subprocess.run(argv, check=True, capture_output=True)) for _ in range(7))
    say("ci-warm --help (bare Python beside it)", f"{took * 1000:.0f} ms ({bare * 1000:.0f} ms)", "goal 200 ms")


def passes(count: int = 1000) -> None:
    """A pass over converged apps: 0-replica services, so that looking and judging is what is measured, not probes."""
    with tempfile.TemporaryDirectory() as made, idle_apps(Path(made), count) as app:
        engine = app.ports.engine
        assert isinstance(engine, SwarmEngine)
        one_pass.run(app.ports, app.settings, app.specs)
        versions = service_versions(app)
        took = []
        for _ in range(REPEATS):
            engine.client.calls = 0
            took.append(timed(lambda: one_pass.run(app.ports, app.settings, app.specs)))
        calls = engine.client.calls
        results = {str(report.outcome.result) for report in one_pass.run(app.ports, app.settings, app.specs)}
        say(f"pass over {count} converged apps", f"{statistics.median(took) * 1000:.0f} ms", "goal 300 ms")
        say("  Engine calls in it", str(calls), "goal 4")
        say("  results, service versions moved", f"{results}, {versions != service_versions(app)}", "none")
        rss = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 20
        say(f"  memory of the process after it ({count} apps)", f"{rss} MiB", "")


def undeploy() -> None:
    """One service that ends at once when asked: what undeploying costs beyond that, against `stack rm`."""
    ours, theirs = [], []
    for number in range(REPEATS):
        with tempfile.TemporaryDirectory() as made, engine_host(Path(made) / f"l{number}", "swarm") as host:
            host.release(V1)
            host.program.reconcile()
            engine, stack = host.program.build().ports.engine, host.stack
            volumes = [f"{stack}_data"]

            def gone() -> bool:
                return not [h for h in host.program.containers.holders(stack, volumes) if h.state != "exited"]  # noqa: B023 - called in this turn of the loop

            began = time.monotonic()
            engine.undeploy(stack)
            until(gone)
            ours.append(time.monotonic() - began)
            host.program.containers.remove_dead(host.program.containers.holders(stack, volumes))
            host.program.reconcile()
            began = time.monotonic()
            subprocess.run(["docker", "stack", "rm", stack], check=True, capture_output=True)
            until(lambda: not host.program.containers.holders(stack, volumes))  # noqa: B023 - called at once
            theirs.append(time.monotonic() - began)
    say("undeploy until nothing can write", f"{statistics.median(ours):.2f} s", "goal 0.5 s")
    say("  docker stack rm until the volume is free", f"{statistics.median(theirs):.2f} s")


def verdict() -> None:
    """From the container's end to the way back; and a missing image from the pass's begin to the refusal."""
    with tempfile.TemporaryDirectory() as made, engine_host(Path(made) / "l", "swarm") as host:
        host.release(V1)
        host.program.reconcile()
        host.release(V2, FAIL="before")
        seen: dict[str, float] = {}
        host.program.reconcile(lambda point: seen.update({point: seen.get(point, time.time())}))
        label = f"label=com.docker.stack.namespace={host.stack}"
        events = subprocess.run(
            [
                "docker",
                "events",
                "--since",
                str(seen["deploy:before"]),
                "--until",
                str(time.time()),
                "--filter",
                label,
                "--filter",
                "event=die",
                "--format",
                "{{.TimeNano}}",
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        first = next(int(t) / 1e9 for t in events if int(t) / 1e9 > seen["deploy:after"] - 0.5)
        say("exit at once: container's end to verdict", f"{seen['settle:after'] - first:.2f} s", "goal 1 s")
        image = host.release("1.0.2+5.0.2")
        subprocess.run(["docker", "rmi", image], check=True, capture_output=True)
        host.images.remove(image)
        took = timed(lambda: host.program.reconcile())
        say("missing image: refused, nothing stopped, whole pass", f"{took:.2f} s")


ALL = {
    "program": program,
    "snapshot": snapshot,
    "window": window,
    "downtime": downtime,
    "undeploy": undeploy,
    "verdict": verdict,
    "passes": passes,
}

if __name__ == "__main__":
    os.umask(0o077)
    for chosen in sys.argv[1:] or list(ALL):
        ALL[chosen]()
