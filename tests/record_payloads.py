"""Records what a real Engine says while a deploy goes well or wrong: `python -m tests.record_payloads [NAME...]`.

Writes tests/payloads/<version>/<name>.json: what was sent, what stood before, and every look that differs from the one
before, with its seconds. `tests/core/change/test_settle_recorded.py` replays them. Needs a swarm and a static busybox.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from reconciler.adapters.swarm import parse
from reconciler.adapters.swarm.engine import SwarmEngine
from reconciler.demo import recipes
from reconciler.demo.host import clear_stack
from reconciler.model.ids import StackName
from reconciler.model.settings import Limits

HERE = Path(__file__).parent / "payloads"
IMAGE = "ci-warm-payload/app:1"
STACK = StackName("payload")
OK = ["sleep", "1000"]
THIRD_CHECK_FAILS = "n=$(cat /tmp/n 2>/dev/null || echo 0); echo $((n+1)) >/tmp/n; [ $n -lt 6 ]"


def app(command: list[str] = OK, **extra: Any) -> dict[str, Any]:
    """A service with quick restarts and updates."""
    deploy = {
        "endpoint_mode": "dnsrr",
        "restart_policy": {"condition": "any", "delay": "500ms"},
        "update_config": {"failure_action": "pause", "monitor": "2s"},
        **extra.pop("deploy", {}),
    }
    return {"image": IMAGE, "command": command, "stop_grace_period": "0s", "deploy": deploy, **extra}


def check(test: str) -> dict[str, Any]:
    """A quick health check."""
    return {"test": ["CMD-SHELL", test], "interval": "300ms", "timeout": "2s", "retries": 2}


FAIL = ["sh", "-c", "exit 3"]
ROLLBACK = {"update_config": {"failure_action": "rollback", "monitor": "2s"}}
# name -> (what stood before: services by deploy, what is sent, seconds to watch)
SCENARIOS: dict[str, tuple[list[dict[str, Any]], dict[str, Any], float]] = {
    "good": ([], app(), 5),
    "missing_image": ([], app(image="ci-warm-payload/gone:9"), 4),
    "exit_at_once": ([], app(FAIL), 5),
    "exit_after_running": ([], app(["sh", "-c", "sleep 1; exit 3"]), 6),
    "health_never_passes": ([], app(healthcheck=check("false")), 8),
    "health_passes_then_fails": ([], app(healthcheck=check(THIRD_CHECK_FAILS)), 10),
    "no_suitable_node": ([], app(deploy={"placement": {"constraints": ["node.labels.moon == full"]}}), 6),
    "zero_replicas": ([], app(deploy={"replicas": 0}), 4),
    "global_mode": ([], app(deploy={"mode": "global"}), 5),
    "paused": ([app()], app(FAIL), 12),
    "silent_rollback": ([app(deploy=ROLLBACK)], app(FAIL, deploy=ROLLBACK), 22),
    "good_update": ([app()], app(["sleep", "2000"]), 12),
    "after_an_old_rollback": ([app(deploy=ROLLBACK), app(FAIL, deploy=ROLLBACK)], app(["sleep", "2000"]), 14),
    "after_an_old_failed_task": ([app(FAIL)], app(["sleep", "2000"]), 12),
    "restart_loop_completed": (
        [app()],
        app(["sh", "-c", "sleep 3; exit 3"], deploy={"update_config": {"monitor": "1s"}}),
        18,
    ),
    "no_op": ([app()], app(), 4),
}


def deploy(service: dict[str, Any], mark: str) -> None:
    """Send one service as a stack, labelled as a bundle."""
    labelled = {**service, "deploy": {**service["deploy"], "labels": {"ci-warm.bundle": mark}}}
    doc = {"version": "3.8", "services": {"app": labelled}}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(doc, file)
        file.flush()
        for _ in range(50):  # a network that is still being removed is in the way for a moment
            ran = subprocess.run(
                ["docker", "stack", "deploy", "--resolve-image", "never", "-c", file.name, STACK],
                capture_output=True,
                text=True,
                check=False,
            )
            if ran.returncode == 0:
                return
            time.sleep(0.2)
        raise RuntimeError(ran.stderr)


def look(engine: SwarmEngine) -> tuple[Any, Any, Any]:
    """The raw payloads of one look."""
    label = {"label": f"{parse.LABEL_STACK}={STACK}"}
    client = engine.client
    return (
        client.read("services", "services", filters=label, status=True),
        client.read("tasks", "tasks", filters=label),
        client.read("containers", "containers", all=True, filters=label),
    )


def record(name: str, engine: SwarmEngine) -> None:
    """Play one scenario and write what was seen."""
    before, sent, seconds = SCENARIOS[name]
    try:
        for number, service in enumerate(before):
            deploy(service, f"before-{number}")
            _rest(engine, updated=number > 0)
        stood = look(engine)
        began = time.monotonic()
        deploy(sent, "sent" if name != "no_op" else "before-0")
        looks: list[Any] = []
        told: Any = None
        while time.monotonic() - began < seconds:
            seen = look(engine)
            meaning = (parse.stacks(seen[0], seen[1]), [parse.container(raw) for raw in seen[2]])
            if meaning != told:
                told = meaning
                looks.append([round(time.monotonic() - began, 3), *seen])
            time.sleep(0.05)
        looks.append([round(time.monotonic() - began, 3), *looks[-1][1:]])
    finally:
        engine.undeploy(STACK)
        clear_stack(engine, STACK)
    bundle = "sent" if name != "no_op" else "before-0"
    version = engine.look().engine
    text = {"engine": version, "bundle": bundle, "image": sent["image"], "before": stood, "looks": looks}
    folder = HERE / ".".join(version.removeprefix("docker ").split(".")[:2])
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(text, separators=(",", ":")) + "\n")


def _rest(engine: SwarmEngine, *, updated: bool) -> None:
    """Wait until an earlier deploy came to rest, or keeps failing. `updated`: Swarm has to say how the update ended."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        services, tasks, _ = look(engine)
        update = (services[0].get("UpdateStatus") or {}).get("State", "") if services else "updating"
        moving = update in ("updating", "rollback_started", *([""] if updated else []))
        if not moving and any(t["Status"]["State"] in ("running", "failed") for t in tasks):
            return
        time.sleep(0.1)


if __name__ == "__main__":
    chosen = sys.argv[1:] or list(SCENARIOS)
    swarm = SwarmEngine(None, Limits())
    recipes.swarm_image(IMAGE, {})
    for scenario in chosen:
        record(scenario, swarm)
        sys.stdout.write(f"{scenario}\n")
