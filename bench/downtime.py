"""How long an app with 2 GiB of data does not answer in an upgrade, and how a way back spends its time: needs a Swarm.

Copied ahead, copied in the stop window, and by the script that people write (`stack rm`, wait, tar, `stack deploy`), in
turns; one page in a hundred changes between the copy and the stop.
"""

import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.saying import REPEATS, say
from bench.window import change_large, make_large
from reconciler.demo import recipes
from tests.hosts.engine_host import V1, EngineHost, engine_host
from tests.waiting import until

_LOOK_S = 0.02


class Silence:
    """Asks an app all the time; `seconds`: the longest stretch without an answer."""

    def __init__(self, host: EngineHost) -> None:
        self.seconds = 0.0
        self._host = host
        self._over = threading.Event()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While this block runs, and until the app answers again."""
        asks = threading.Thread(target=self._ask)
        asks.start()
        try:
            yield
        finally:
            until(self._host.observed.heard, 60)
            time.sleep(2 * _LOOK_S)
            self._over.set()
            asks.join()

    def _ask(self) -> None:
        answered = time.monotonic()
        while not self._over.wait(_LOOK_S):
            asked = time.monotonic()
            if self._host.observed.heard():
                self.seconds = max(self.seconds, asked - answered)
                answered = time.monotonic()


def downtime() -> None:
    """Seconds without an answer, medians."""
    ahead, inside, scripts = list[float](), list[float](), list[float]()
    backs: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory(dir="/var/tmp") as made, engine_host(Path(made) / "l", "swarm") as host:
        host.release(V1)
        host.deploy_first()
        data = host.observed.data() / "large"
        data.mkdir()
        make_large(data)
        os.sync()
        versions = (f"1.0.{number}+5.0.{number}" for number in range(1, 100))
        for _ in range(REPEATS):
            for is_ahead, found in ((True, ahead), (False, inside)):
                host.write_spec(upgrade={"bake": "0s", "copy_ahead": is_ahead})
                found.append(_upgrade(host, next(versions), data, is_ahead=is_ahead))
            backs.append(_fail(host, next(versions)))
        scripts.extend(_script(host, data) for _ in range(REPEATS))
    for name, took in (("copied ahead", ahead), ("copied in the stop window", inside), ("script", scripts)):
        shown = f"{statistics.median(took):.2f} s ({min(took):.2f} to {max(took):.2f})"
        say(f"no answer in an upgrade, 2 GiB: {name}", shown, "goal 2.5 s" if took is ahead else "")
    ratio = statistics.median(ahead) / statistics.median(scripts)
    say("  copied ahead, of the script", f"{ratio:.2f}x", "goal 0.30x")
    whole, bare = (statistics.median(each) for each in zip(*backs, strict=True))
    say("way back, of undeploy and deploy alone (s)", f"{whole / bare:.2f}x ({whole:.2f}, {bare:.2f})", "goal 1.15x")


def _upgrade(host: EngineHost, version: str, data: Path, *, is_ahead: bool) -> float:
    host.release(version)
    changes_at = "snapshot:copied-ahead" if is_ahead else "opened:before"

    def change(point: str) -> None:
        if point == changes_at:
            change_large(data)
            os.sync()

    silence = Silence(host)
    with silence.watched():
        result = host.program.reconcile(change)
    if not result.startswith("upgraded:"):
        raise RuntimeError(result)
    return silence.seconds


def _fail(host: EngineHost, version: str) -> tuple[float, float]:
    """A way back: seconds of all its steps, and of those that move no data."""
    host.release(version, FAIL="after")
    result = host.program.reconcile()
    if not result.startswith("rolled-back:"):
        raise RuntimeError(result)
    phases = list(host.program.build().history.lines())[-1].phases
    steps = {name: took for name, took in phases.items() if name.startswith("back")}
    return sum(steps.values()), sum(took for name, took in steps.items() if "restore" not in name)


def _script(host: EngineHost, data: Path) -> float:
    stack, target = host.stack, data.parent.parent / "script.tar"
    document = host.home / "script.yml"
    document.write_text(recipes.compose(host.images[0], stateful=True))
    environment = {**os.environ, "PUBLISHED_PORT": str(host.port), "STACK_NAME": stack}

    def run(*argv: str) -> None:
        subprocess.run(argv, check=True, capture_output=True, env=environment)

    def is_gone() -> bool:
        return not host.program.containers.holders(stack, [f"{stack}_data"])

    silence = Silence(host)
    with silence.watched():
        run("docker", "stack", "rm", stack)
        until(is_gone, 60)
        run("sh", "-c", f"tar --xattrs --acls -C {data.parent} -cf {target} . && sync {target}")
        run("docker", "stack", "deploy", "--detach=true", "--resolve-image", "never", "-c", str(document), stack)
    target.unlink()
    return silence.seconds
