"""`python -m bench.runs [MIB] [RECIPES]`: quick against cold, taking a canonical, a sweep. On a real Swarm, as ratios.

Needs root, an engine in swarm mode (DOCKER_HOST) and a static busybox. Figures go into bench/README.md.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from reconciler.demo import recipes
from reconciler.demo.host import free_port
from reconciler.demo.recipes import Version
from reconciler.engine.canonical import operate
from reconciler.engine.context import Context
from tests.hosts.engine_host import V1, V2, EngineHost, engine_host

QUICK = {"min_healthy": "100ms", "successes": 1}


def show(what: str, figure: str, goal: str = "") -> None:
    """One line."""
    print(f"{what:<66} {figure:<16} {goal}".rstrip(), flush=True)


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def bulky(mib: int) -> str:
    """The notes app, which fills its volume at its first start, as an app does that imports its data."""
    document = json.loads(recipes.compose("IMAGE", stateful=True))
    fill = f"test -f /data/bulk || {{ busybox head -c {mib << 20} /dev/urandom > /data/bulk; sync; }}"
    document["services"]["app"]["command"] = ["/bin/sh", "-c", f"{fill}; exec /bin/sh /notes_app.sh"]
    document["services"]["app"]["deploy"]["labels"].append("backupbot.backup=true")
    return json.dumps(document)


def quick_against_cold(host: EngineHost, mib: int) -> None:
    """To the verdict: what comes after the last stage differs from run to run."""
    for tag, schema in ((V1, "1"), (V2, "1")):
        host.release(tag, SCHEMA=schema, compose=bulky(mib))
    assert host.program.test().promoted
    # A branch, so that the cold run does not move the canonical between the two.
    host.recipe.git("checkout", "--quiet", "-b", "feature")
    image = host.image("5.0.2", SCHEMA="2")
    host.recipe.commit(Version(tag="feature", image=image, compose=bulky(mib).replace("IMAGE", image)))
    cold = host.program.test(ref="feature")
    quick = host.program.test("quick", ref="feature")
    again = host.program.test("quick", ref="feature")
    assert {(run.version_before, run.version_after == V2) for run in (cold, quick, again)} == {(V2, False)}
    assert {cold.result, quick.result, again.result} == {"green"}
    to_verdict = [sum(stage.elapsed_seconds for stage in run.stages) for run in (cold, quick, again)]
    for name, run in (("cold", cold), ("quick, clean", quick), ("quick, dirty", again)):
        show(f"{name}: " + ", ".join(f"{s.stage} {s.elapsed_seconds:.1f}" for s in run.stages), "")
    show(f"quick against cold, {mib} MiB, to the verdict", f"{to_verdict[0] / to_verdict[1]:.1f}x", ">= 3x")
    show("the same, the canonical left dirty by a test before", f"{to_verdict[0] / to_verdict[2]:.1f}x", ">= 3x")


def taking(host: EngineHost) -> None:
    """What taking a canonical costs beyond deploying it, after a test changed a little of its data."""
    app = host.program.build()
    context = Context(ports=app.ports, settings=app.settings, spec=app.specs[0], actor="bench")
    operate.undeploy(context, restore=True)
    plain = timed(lambda: operate.deploy(context, fresh=False))
    down = timed(lambda: operate.undeploy(context, restore=False))
    fresh = timed(lambda: operate.deploy(context, fresh=True))
    back = timed(lambda: operate.undeploy(context, restore=True))
    show("deploying it, data as it is; undeploying it", f"{plain:.2f} s, {down:.2f} s")
    show("taking it with its data put back, beyond deploying", f"{fresh - plain:.2f} s", "0.3 s")
    show("giving it back with its data put back, beyond undeploying", f"{back - down:.2f} s", "0.3 s")


def sweep(host: EngineHost, count: int) -> None:
    """`count` recipes, each cold and promoted, one after the other."""
    host.release(V1, SCHEMA="1")
    spec = json.loads((host.home / "etc" / "apps" / f"{host.name}.yaml").read_text())
    for number in range(1, count):
        port = free_port()
        other = {**spec, "name": f"{host.name}-{number}", "domain": f"c{number}-{host.mark}.example.test"}
        other |= {"env": {"PUBLISHED_PORT": str(port)}, "health": {**spec["health"], "port": port}}
        (host.home / "etc" / "apps" / f"{other['name']}.yaml").write_text(json.dumps(other))
    took = timed(lambda: host.program.command("sweep", timeout=3600))
    reports = [json.loads(path.read_text()) for path in (host.state / "runs").glob("*/run.json")]
    assert len(reports) == count and all(report["promoted"] for report in reports)
    spent = sum(report["elapsed_seconds"] for report in reports)
    show(f"sweep of {count} small recipes; the sum of its runs", f"{took:.0f} s, {spent:.0f} s")
    show("overhead of the sweep", f"{(took / spent - 1) * 100:.1f} %", "<= 10 %")


def main() -> None:
    """All of it."""
    mib = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    with tempfile.TemporaryDirectory() as home:
        with engine_host(Path(home) / "bulky", "swarm", extra={"kind": "canonical"}, health=QUICK) as host:
            quick_against_cold(host, mib)
            taking(host)
        with engine_host(Path(home) / "sweep", "swarm", extra={"kind": "canonical"}, health=QUICK) as host:
            sweep(host, count)


if __name__ == "__main__":
    main()
