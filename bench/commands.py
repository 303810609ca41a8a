"""What short commands cost, as multiples of a bare `python -c pass`: `make bench`, or `python -m bench.commands`.

CPU time (user and system) of the command and of what it starts, so that another job on the machine disturbs little.
Ours and bare Python take turns; medians. Byte code is there, as in an installation. The host: ten apps, each with a
recipe of its own, deployed and healthy on the embedded engine.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from reconciler.adapters.embedded.engine import EmbeddedEngine
from reconciler.demo import recipes
from reconciler.demo.host import free_port
from reconciler.demo.recipes import Recipe, Version
from tests.hosts.engine_host import HEALTH
from tests.hosts.program import Program, as_installed

APPS = 10
REPEATS = 15
TAG = "1.0.0+5.0.0"
COMMANDS: Mapping[str, tuple[str, str]] = {
    "--help": ("--help", "8"),
    "status": ("status", "11.5"),
    "status --json": ("status --json", "11.5"),
    "plan of 10 apps": ("plan", "24"),
    "explain": ("explain app0", ""),
    "history": ("history", ""),
    "alerts list": ("alerts list", ""),
    "validate": ("validate", ""),
    "doctor": ("doctor", ""),
    "preflight": ("preflight app0", ""),
    "runs list": ("runs list", ""),
    "snapshot list": ("snapshot list", ""),
}
"""By the name in the table: the words, and the goal."""


@contextmanager
def host(home: Path) -> Iterator[Program]:
    """Ten apps, deployed; stopped at the end."""
    state = home / "state"
    (home / "etc" / "apps").mkdir(parents=True)
    state.mkdir(mode=0o750)
    program = Program(home=home, state=state, app="app0", executable=as_installed())
    settings = {"engine": "embedded", "git": {"allow_file": True}, "limits": {"steady_probe": "1s"}}
    program.config.write_text(json.dumps(settings))
    engine = EmbeddedEngine(state / "engine")
    engine.prepare()
    for number in range(APPS):
        _declare(home, engine, number)
    try:
        program.build()
        ran = program.command("reconcile", timeout=600)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        yield program
    finally:
        built = program.build()
        for spec in built.specs:
            built.ports.engine.undeploy(spec.stack_name)


def _declare(home: Path, engine: EmbeddedEngine, number: int) -> None:
    name, image, port = f"app{number}", f"bench/app{number}:5.0.0", free_port()
    engine.images.publish(image, recipes.embedded_image(), {"VERSION": "5.0.0", "FENCE": "1"}, "2026-01-01T00:00:00Z")
    recipe = Recipe(home / f"recipe-{name}", stateful=True)
    recipe.release(Version(tag=TAG, image=image))
    spec = {
        "name": name,
        "recipe": {"url": recipe.url},
        "domain": f"{name}.example.test",
        "stateful": True,
        "health": {**HEALTH, "port": port},
        "upgrade": {"bake": "0s"},
        "env": {"PUBLISHED_PORT": str(port)},
    }
    (home / "etc" / "apps" / f"{name}.yaml").write_text(json.dumps(spec))


def installed(cache: Path) -> Mapping[str, str]:
    """The environment of a program whose byte code is kept, as an installer leaves it."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(cache)}


def cost(argv: Sequence[str], environment: Mapping[str, str]) -> float:
    """Seconds of CPU that a program and its children took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(program: Program, words: str, repeats: int = REPEATS) -> tuple[float, float]:
    """The command's and bare Python's seconds."""
    ours, bare = [], []
    argv, environment = program.argv(*words.split()), installed(program.home / "bytecode")
    cost(argv, environment)  # what is read from the disk for the first time is not what is asked
    for _ in range(repeats):
        bare.append(cost([sys.executable, "-c", "pass"], environment))
        ours.append(cost(argv, environment))
    return statistics.median(ours), statistics.median(bare)


def main(chosen: Sequence[str]) -> None:
    """Print a line per command."""
    with tempfile.TemporaryDirectory() as made, host(Path(made)) as program:
        for name, (words, goal) in COMMANDS.items():
            if chosen and name not in chosen:
                continue
            ours, bare = measure(program, words)
            figure = f"{ours / bare:.1f}x"
            sys.stdout.write(f"{name:20s} {figure:>8s}   {ours * 1000:4.0f} ms ({bare * 1000:.0f} ms)   ")
            sys.stdout.write(f"goal {goal}x\n" if goal else "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    os.umask(0o077)
    main(sys.argv[1:])
