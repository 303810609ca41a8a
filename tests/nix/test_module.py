"""The NixOS module, evaluated with our own stand-in for nixpkgs' lib, and with the real one where NIXPKGS names it."""

import json
import os
import re
from pathlib import Path
from typing import Any

import nixeval  # type: ignore[import-untyped] # a wheel of the snix evaluator without types
import pytest

from reconciler.adapters import units
from reconciler.state import specs

PROJECT = Path(__file__).parents[2]
NIXPKGS = os.environ.get("NIXPKGS")
LIBS = ["own", "nixpkgs"] if NIXPKGS else ["own"]
APP = '{ recipe.url = "https://git.example.org/k.git"; domain = "sso.example.net"; health.path = "/realms/master"; }'


@pytest.fixture(params=LIBS)
def lib(request: pytest.FixtureRequest) -> str:
    return f"lib = import {NIXPKGS}/lib;" if request.param == "nixpkgs" else ""


def evaluate(lib: str, config: str) -> dict[str, Any]:
    """The module with a configuration below `services.ci-warm`, Docker on."""
    whole = f"[ {{ virtualisation.docker.enable = true; services.ci-warm.enable = true; }} {config} ]"
    text = f"import {PROJECT}/nix/eval/default.nix {{ {lib} config = {{ imports = {whole}; }}; }}"
    found: dict[str, Any] = nixeval.loads(text)
    return found


def ours(text: str) -> str:
    return f"{{ services.ci-warm = {text}; }}"


def test_apps_and_settings_become_files_that_the_program_reads(lib: str, tmp_path: Path) -> None:
    found = evaluate(lib, ours(f"{{ apps.keycloak = {APP}; settings.disk.high = 85; }}"))
    assert found["failed"] == [] and found["warnings"] == []
    assert set(found["files"]) == {"ci-warm/config.yaml", "ci-warm/apps/keycloak.yaml"}
    for name, content in found["files"].items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    settings = specs.read_settings(tmp_path / "ci-warm" / "config.yaml")
    [spec] = specs.read_specs([tmp_path / "ci-warm" / "apps"], settings)
    assert (settings.disk.high, spec.name, spec.health.path) == (85, "keycloak", "/realms/master")


def test_a_wrong_spec_fails_the_rebuild_and_not_the_host(lib: str) -> None:
    [script] = evaluate(lib, ours(f"{{ apps.keycloak = {APP}; }}"))["checks"]
    assert re.search(r"/bin/ci-warm --config \"\$PWD/etc/config.yaml\" validate", script)
    assert "etc/apps/keycloak.yaml" in script


def test_an_app_that_is_switched_off_is_not_declared(lib: str) -> None:
    found = evaluate(lib, ours(f"{{ apps.a = {APP} // {{ enable = false; }}; }}"))
    assert set(found["files"]) == {"ci-warm/config.yaml"}
    assert found["warnings"] == ["services.ci-warm is enabled without any app."]


def test_changed_settings_reload_and_nothing_is_taken_from_the_units_of_the_package(lib: str) -> None:
    found = evaluate(lib, ours(f'{{ apps.keycloak = {APP}; credentials.pem = "/run/keys/pem"; }}'))
    daemon, sweep = found["services"]["ci-warm"], found["services"]["ci-warm-sweep"]
    assert found["packages"] == ["ci-warm"]
    assert set(daemon["reloadTriggers"]) == {"config.yaml", "keycloak.yaml"}
    assert daemon["wantedBy"] == ["multi-user.target"] and sweep["wantedBy"] == []
    # Only lists that systemd adds to; every other line is the package's.
    assert set(daemon["serviceConfig"]) == {"ReadWritePaths", "LoadCredential"}
    assert daemon["serviceConfig"]["LoadCredential"] == ["pem:/run/keys/pem"]
    assert sweep["serviceConfig"] == {} and sweep["unitConfig"] == {}


def test_the_timer_has_the_hosts_own_date(lib: str) -> None:
    found = evaluate(lib, ours(f'{{ apps.keycloak = {APP}; sweep.dates = "Mon 01:00"; }}'))
    timer = found["timers"]["ci-warm-sweep"]
    assert timer == {
        "wantedBy": ["timers.target"],
        "timerConfig": {"OnCalendar": ["", "Mon 01:00"], "RandomizedDelaySec": "15min"},
    }
    assert evaluate(lib, ours(f"{{ apps.keycloak = {APP}; sweep.enable = false; }}"))["timers"] == {}


def test_the_sweep_can_switch_the_host_and_checks_that_it_did(lib: str) -> None:
    found = evaluate(lib, ours(f'{{ apps.keycloak = {APP}; sweep.before = [ "nixos-rebuild" "switch" ]; }}'))
    assert found["files"]["ci-warm/config.yaml"]["sweep"] == {
        "before": ["nixos-rebuild", "switch"],
        "system": "/run/current-system",
        "wanted_system": "/nix/var/nix/profiles/system",
    }
    assert any("nixos-rebuild" in path for path in found["services"]["ci-warm-sweep"]["path"])


def test_operators_and_volumes_elsewhere(lib: str) -> None:
    found = evaluate(lib, ours(f'{{ apps.k = {APP}; operators = [ "alice" ]; volumesPath = "/data/volumes"; }}'))
    assert found["members"] == ["alice"]
    assert found["services"]["ci-warm"]["serviceConfig"]["ReadWritePaths"] == ["-/data/volumes"]
    assert found["liveRestore"] is False


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{ virtualisation.docker.liveRestore = true; }", "liveRestore"),
        (ours('{ apps.k = { recipe.url = "u"; }; }'), "apps.k is live and needs a domain"),
        (ours('{ credentials.pem = "/nix/store/x-pem"; }'), "world-readable store"),
        (ours('{ sweep.enable = false; sweep.before = [ "true" ]; }'), "sweep.before is set"),
    ],
)
def test_contradictions_are_named(lib: str, config: str, message: str) -> None:
    assert [text for text in evaluate(lib, config)["failed"] if message in text]


def test_docker_must_be_on(lib: str) -> None:
    text = f"import {PROJECT}/nix/eval/default.nix {{ {lib} config.services.ci-warm.enable = true; }}"
    assert any("virtualisation.docker.enable" in message for message in nixeval.loads(text)["failed"])


def test_somebody_elses_pruning_is_warned_of(lib: str) -> None:
    found = evaluate(lib, "{ virtualisation.docker.autoPrune.enable = true; }")
    assert any("ci-warm.pin" in text for text in found["warnings"])


@pytest.mark.skipif(bool(NIXPKGS), reason="the tests above ran with it")
def test_against_the_real_library() -> None:
    pytest.skip("NIXPKGS names no nixpkgs tree: only our own stand-in for its lib was used")


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (ours("{ aps.k = { }; }"), "services.ci-warm.aps' does not exist"),
        (ours('{ enable = "yes"; }'), "enable' is not of type"),
        (ours(f'{{ apps."Not A Name" = {APP}; }}'), "Not A Name.name' is not of type"),
        (ours('{ apps.k = { recipe.url = 7; domain = "d"; }; }'), "recipe.url' is not of type"),
        (ours('{ apps.k = { recipe = { }; domain = "d"; }; }'), "recipe.url' has no value"),
        (ours('{ apps.k = { recipe.url = "u"; kind = "sometimes"; }; }'), "kind' is not of type"),
        (ours("{ sweep.dates = 3; }"), "sweep.dates' is not of type"),
        (ours('{ sweep.before = "nixos-rebuild switch"; }'), "sweep.before' is not of type"),
        (ours('{ operators = "alice"; }'), "operators' is not of type"),
        (ours('{ credentials.pem = "relative"; }'), "credentials.pem' is not of type"),
        (ours('{ volumesPath = "data"; }'), "volumesPath' is not of type"),
        ("{ services.ci-warn.enable = true; }", "services.ci-warn' does not exist"),
    ],
)
def test_wrong_configurations_are_refused(config: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        evaluate("", config)


def body(text: str, start: int) -> str:
    """From an opening brace to the one that closes it."""
    depth = 0
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[start:at]
    raise AssertionError("unbalanced")


def test_every_option_is_described_with_an_example() -> None:
    text = (PROJECT / "nix" / "module.nix").read_text()
    options = [(found[1], body(text, found.end() - 1)) for found in re.finditer(r"(\w+) = mkOption \{", text)]
    assert len(options) >= 17
    assert [name for name, inside in options if "description =" not in inside or "example" not in inside] == []


def test_the_units_of_the_package_differ_from_the_plain_ones_only_in_the_programs_path() -> None:
    plain, packaged = units.texts(units.PROGRAM), units.texts("/nix/store/x-ci-warm/bin/ci-warm")
    differing = [
        (one, other)
        for name in units.NAMES
        for one, other in zip(plain[name].splitlines(), packaged[name].splitlines(), strict=True)
        if one != other
    ]
    assert [one.partition("=")[0] for one, _ in differing] == ["ExecStart", "ExecReload", "ExecStart"]
    assert all(other == one.replace(units.PROGRAM, "/nix/store/x-ci-warm/bin/ci-warm") for one, other in differing)


def test_the_sweep_survives_the_switch_it_runs_by_the_flags_of_its_own_file() -> None:
    text = units.texts(units.PROGRAM)["ci-warm-sweep.service"]
    keys = [line.partition("=")[0] for line in text.splitlines()]
    assert "X-RestartIfChanged=false" in text and "X-StopOnRemoval=false" in text
    assert keys.count("ExecStart") == 1 and not {"Requires", "BindsTo", "PartOf"} & set(keys)


def test_every_nix_file_parses_and_the_package_has_every_dependency() -> None:
    package = (PROJECT / "nix" / "package.nix").read_text()
    for path in [PROJECT / "flake.nix", *(PROJECT / "nix").rglob("*.nix")]:
        assert nixeval.loads(f"builtins.typeOf (import {path})") in ("lambda", "set"), path
    project = (PROJECT / "pyproject.toml").read_text()
    wanted = re.findall(r'^    "([A-Za-z-]+)>=', project.partition("[project.optional")[0], re.M)
    assert len(wanted) >= 12
    for name in wanted:
        assert re.search(rf"^    {name.lower()}$", package, re.M), name
