"""Alert rules and dashboard: sound by Prometheus' own tool, and about nothing but what is really exported."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from reconciler import app as composition
from reconciler.adapters.metrics import Figures, StateCollector
from reconciler.state.history import HistoryFile
from reconciler.state.requests import RequestQueue
from tests.conftest import missing

FOLDER = Path(__file__).parents[2] / "packaging" / "monitoring"
RULES = (FOLDER / "ci-warm.rules.yml").read_text()
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
_SAMPLES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The name of each sample that a daemon may export, from the collectors that it uses."""
    folder = tmp_path_factory.mktemp("host")
    built = composition.build(folder / "etc" / "config.yaml", folder / "state")
    registry = CollectorRegistry()
    figures = Figures("", HistoryFile(folder / "history.jsonl"), registry)
    figures.realms(1)
    requests = RequestQueue(folder / "requests", gid=None)
    registry.register(
        StateCollector(
            store=built.store,
            snapshots=built.snapshots,
            alerts=built.alerts,
            requests=requests,
            paths=[folder],
            calls=lambda: 0,
        )
    )
    return {family.name + end for family in registry.collect() for end in _SAMPLES[family.type]}


def named(text: str) -> set[str]:
    return set(re.findall(r"\bci_warm_\w+", text))


def expressions() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (variable["query"] for variable in DASHBOARD["templating"]["list"])


def promtool(*words: str) -> str:
    if shutil.which("promtool") is None:
        missing("no promtool (apt-get install prometheus)")
    ran = subprocess.run(["promtool", *words], cwd=FOLDER, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_rules_are_sound() -> None:
    promtool("check", "rules", "--lint-fatal", "ci-warm.rules.yml")


def test_rules_fire_when_they_should_and_only_then() -> None:
    """The cases are Prometheus' own unit tests; each rule has one in which it fires, and one in which it does not."""
    promtool("test", "rules", "ci-warm.rules.test.yml")
    cases = (FOLDER / "ci-warm.rules.test.yml").read_text()
    for name in re.findall(r"- alert: (\w+)", RULES):
        assert f"alertname: {name}}}" in cases and re.search(rf"alertname: {name}\n\s+exp_alerts", cases), name


def test_rules_are_about_what_is_exported(exported: set[str]) -> None:
    assert len(named(RULES)) > 5
    assert named(RULES) <= exported


def test_the_dashboard_shows_what_is_exported_and_all_of_it(exported: set[str]) -> None:
    shown = {name for text in expressions() for name in named(text)}
    assert shown <= exported
    families = {re.sub(r"_(bucket|sum|count|total)$", "", name) for name in exported}
    assert families == {re.sub(r"_(bucket|sum|count|total)$", "", name) for name in shown}


def test_expressions_of_the_dashboard_are_sound(tmp_path: Path) -> None:
    """Asked as a rule each, with a value for every variable."""
    rules = [
        {"record": f"panel:{number}", "expr": re.sub(r"\$\w+", ".*", text)}
        for number, text in enumerate(expressions())
        if "label_values" not in text and text != "prometheus"
    ]
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", str(path))


def test_panels_have_places_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        places = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not places & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= places
