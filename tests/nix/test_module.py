"""The NixOS module, evaluated with our own stand-in for nixpkgs' lib, and with the real one where NIXPKGS names it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nixeval  # type: ignore[import-untyped] # a wheel of the snix evaluator without types
import pytest

from reconciler.adapters import units
from reconciler.state import specs
from tests.conftest import missing

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


def build(found: dict[str, Any], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the check that a rebuild builds, with the real programs in place of those of the store."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        missing("no systemd-analyze (apt-get install systemd)")
    [script] = found["checks"]
    names = {name.rpartition("/")[2]: content for name, content in found["files"].items()}
    for name, content in names.items():
        (folder / name).write_text(json.dumps(content))
        script = re.sub(rf"/nix/store/\S*-{re.escape(name)} ", f"{folder / name} ", script)
    script = re.sub(r"/nix/store/\S*/bin/systemd-analyze", str(analyze), script)
    script = re.sub(r"/nix/store/\S*/bin/ci-warm", f"{sys.executable} -m reconciler", script)
    assert "/nix/store" not in script
    build = folder / "build"
    build.mkdir()
    return subprocess.run(
        ["bash", "-euc", script],
        cwd=build,
        env=os.environ | {"out": str(folder / "out")},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_right_configuration_builds(lib: str, tmp_path: Path) -> None:
    times = 'sweep.dates = "Mon..Fri 01:00 Europe/Berlin"; sweep.randomizedDelaySec = "1h 30min";'
    ran = build(evaluate(lib, ours(f"{{ {times} settings.disk.high = 85; apps.keycloak = {APP}; }}")), tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ('sweep.dates = "half past two";', ['services.ci-warm.sweep.dates is "half past two"', "*-*-* 02:30:00"]),
        ('sweep.dates = "";', ['services.ci-warm.sweep.dates is ""', "*-*-* 02:30:00"]),
        ('sweep.dates = "it\'s $(touch ../owned)";', ['sweep.dates is "it\'s $(touch ../owned)"', "*-*-* 02:30:00"]),
        ('sweep.dates = "25:00";', ['sweep.dates is "25:00"']),
        (
            'sweep.randomizedDelaySec = "a while";',
            ['services.ci-warm.sweep.randomizedDelaySec is "a while"', '"15min"'],
        ),
        ("settings.disk.high = 850;", ["config.yaml", "disk.high", "100", "services.ci-warm.settings"]),
        ("settings.dsik.high = 85;", ["dsik", "is not a key we know", "services.ci-warm.settings"]),
        ('settings.monitor.listen = "0.0.0.0:80";', ["monitor.listen"]),
        (
            'settings.domain_suffix = "*.example.net";',
            ["config.yaml", "domain_suffix"],
        ),
        (
            'apps.x = { recipe.url = "--evil"; domain = "x.example.net"; };',
            ["is not a git URL", "services.ci-warm.apps"],
        ),
        (
            'apps.x = { recipe.url = "https://git.example.org/x.git"; domain = "x.example.net"; heath.path = "/"; };',
            ["x.yaml", "heath", "is not a key we know"],
        ),
        (
            'apps.x = { name = "keycloak"; recipe.url = "https://git.example.org/x.git"; domain = "x.example.net"; };',
            ["x.yaml", "keycloak"],
        ),
    ],
)
def test_a_wrong_configuration_fails_the_build(lib: str, config: str, says: list[str], tmp_path: Path) -> None:
    ran = build(evaluate(lib, ours(f"{{ {config} apps.keycloak = {APP}; }}")), tmp_path)
    said = ran.stdout + ran.stderr
    assert ran.returncode != 0
    assert [word for word in says if word not in said] == [], said
    assert not (tmp_path / "owned").exists() and not (tmp_path / "out").exists()


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
    assert set(sweep["serviceConfig"]) == {"BindReadOnlyPaths", "LoadCredential"} and sweep["unitConfig"] == {}


def test_both_units_see_a_secret_in_the_one_place_that_a_spec_names(lib: str) -> None:
    services = evaluate(lib, ours(f'{{ apps.keycloak = {APP}; credentials.pem = "/run/keys/pem"; }}'))["services"]
    assert services["ci-warm-sweep"]["serviceConfig"] == {
        "LoadCredential": services["ci-warm"]["serviceConfig"]["LoadCredential"],
        "BindReadOnlyPaths": ["/run/credentials/ci-warm-sweep.service:/run/credentials/ci-warm.service"],
    }
    assert evaluate(lib, ours(f"{{ apps.keycloak = {APP}; }}"))["services"]["ci-warm-sweep"]["serviceConfig"] == {}


def test_logins_to_registries_are_a_credential_and_never_in_the_store(lib: str) -> None:
    found = evaluate(lib, ours('{ registryCredentials = "/run/keys/docker"; credentials.pem = "/run/keys/pem"; }'))
    for unit in ("ci-warm", "ci-warm-sweep"):
        service = found["services"][unit]
        assert sorted(service["serviceConfig"]["LoadCredential"]) == [
            "config.json:/run/keys/docker",
            "pem:/run/keys/pem",
        ]
        assert service["environment"]["DOCKER_CONFIG"] == "/run/credentials/ci-warm.service"
    assert "/run/keys/docker" not in json.dumps(found["files"])
    assert "DOCKER_CONFIG" not in evaluate(lib, ours("{ }"))["services"]["ci-warm"]["environment"]


def test_what_is_read_only_at_the_start_restarts_the_daemon_when_it_changes(lib: str) -> None:
    def triggers(settings: str) -> Any:
        return evaluate(lib, ours(f"{{ apps.keycloak = {APP}; {settings} }}"))["services"]["ci-warm"]["restartTriggers"]

    before = triggers("")
    assert triggers('settings.disk.high = 85; settings.daemon.interval = "2m";') == before
    for changed in ('monitor.listen = "127.0.0.1:9300"', 'monitor.textfile = "/x.prom"', 'group = "ops"'):
        assert triggers(f"settings.{changed};") != before, changed


PROXIES = '{ networking.proxy.envVars = { http_proxy = "http://proxy:3128"; no_proxy = "127.0.0.1,localhost"; }; }'


def test_proxies_reach_the_daemon_and_the_sweep(lib: str) -> None:
    services = evaluate(lib, PROXIES)["services"]
    for unit in ("ci-warm", "ci-warm-sweep"):
        environment = services[unit]["environment"]
        assert environment["http_proxy"] == "http://proxy:3128", unit
        assert environment["no_proxy"] == "127.0.0.1,localhost"
    assert services["ci-warm-sweep"]["environment"]["NIX_REMOTE"] == "daemon"
    without = evaluate(lib, "{ nix.enable = false; }")["services"]["ci-warm-sweep"]["environment"]
    assert "NIX_REMOTE" not in without


def test_git_ssh_and_docker_are_on_the_path_of_both(lib: str) -> None:
    for unit, service in evaluate(lib, ours("{ }"))["services"].items():
        for program in ("docker", "gitMinimal", "gnupg", "openssh"):
            assert any(program in path for path in service["path"]), (unit, program)


@pytest.mark.parametrize(
    "docker",
    [
        'daemon.settings.data-root = "/data/docker"',
        'extraOptions = "--debug --data-root=/data/docker"',
        'extraOptions = "--data-root /data/docker --debug"',
    ],
)
def test_volumes_and_disk_watch_follow_dockers_own_folder(lib: str, docker: str) -> None:
    found = evaluate(lib, f"{{ virtualisation.docker.{docker}; }}")
    assert found["services"]["ci-warm"]["serviceConfig"]["ReadWritePaths"] == ["-/data/docker/volumes"]
    assert found["files"]["ci-warm/config.yaml"]["disk"]["paths"] == ["/data/docker"]
    chosen = evaluate(lib, ours('{ volumesPath = "/v"; settings.disk.paths = [ "/d" ]; }'))
    assert chosen["services"]["ci-warm"]["serviceConfig"]["ReadWritePaths"] == ["-/v"]
    assert chosen["files"]["ci-warm/config.yaml"]["disk"]["paths"] == ["/d"]


def test_a_locked_kernel_has_what_a_swarm_loads_later(lib: str) -> None:
    assert evaluate(lib, ours("{ }"))["kernelModules"] == []
    modules = evaluate(lib, "{ security.lockKernelModules = true; }")["kernelModules"]
    assert {"overlay", "vxlan", "ip_vs", "ip_vs_rr", "xt_ipvs", "xt_mark"} <= set(modules)


def test_the_timer_has_the_hosts_own_date(lib: str) -> None:
    found = evaluate(lib, ours(f'{{ apps.keycloak = {APP}; sweep.dates = "Mon 01:00"; }}'))
    timer = found["timers"]["ci-warm-sweep"]
    assert timer == {
        "enable": True,
        "wantedBy": ["timers.target"],
        "timerConfig": {"OnCalendar": ["", "Mon 01:00"], "RandomizedDelaySec": "15min"},
    }
    timer = evaluate(lib, ours('{ sweep.randomizedDelaySec = "0"; }'))["timers"]["ci-warm-sweep"]
    assert timer["timerConfig"]["RandomizedDelaySec"] == "0"


def test_a_sweep_that_is_off_masks_the_timer_that_the_package_ships(lib: str) -> None:
    found = evaluate(lib, ours(f"{{ apps.keycloak = {APP}; sweep.enable = false; }}"))
    assert found["timers"] == {"ci-warm-sweep": {"enable": False, "wantedBy": [], "timerConfig": {}}}
    # Whatever else the package ships is wanted by nothing of its own: NixOS does not read [Install].
    texts = units.texts(units.PROGRAM)
    wanting = [name for name, text in texts.items() if re.search(r"^(Wants|Requires|Also)=.*ci-warm", text, re.M)]
    assert wanting == ["ci-warm.target"]


def test_the_sweep_can_switch_the_host_and_checks_that_it_did(lib: str) -> None:
    found = evaluate(lib, ours(f'{{ apps.keycloak = {APP}; sweep.before = [ "nixos-rebuild" "switch" ]; }}'))
    assert found["files"]["ci-warm/config.yaml"]["sweep"] == {
        "before": ["nixos-rebuild", "switch"],
        "system": "/run/current-system",
        "wanted_system": "/nix/var/nix/profiles/system",
    }
    assert any("nixos-rebuild" in path for path in found["services"]["ci-warm-sweep"]["path"])


def test_operators_and_volumes_elsewhere(lib: str) -> None:
    alice = "{ users.users.alice = { }; }"
    found = evaluate(
        lib, ours(f'{{ apps.k = {APP}; operators = [ "alice" ]; volumesPath = "/data/volumes"; }}') + alice
    )
    assert found["members"] == ["alice"] and found["failed"] == []
    assert found["services"]["ci-warm"]["serviceConfig"]["ReadWritePaths"] == ["-/data/volumes"]
    assert found["liveRestore"] is False


@pytest.mark.parametrize(
    ("config", "messages"),
    [
        ("{ virtualisation.docker.liveRestore = true; }", ["liveRestore", "true", "set it to false"]),
        ("{ virtualisation.docker.daemon.settings.live-restore = true; }", ["live-restore", "set it to false"]),
        (
            '{ virtualisation.docker.extraOptions = "--debug --live-restore"; }',
            ['extraOptions is "--debug --live-restore"', "take it out"],
        ),
        ('{ virtualisation.docker.extraOptions = "--live-restore=true"; }', ["--live-restore=true", "take it out"]),
        (
            "{ virtualisation.docker.autoPrune = { enable = true; allVolumes.enable = true; }; }",
            ["autoPrune removes volumes", "set virtualisation.docker.autoPrune.allVolumes.enable to false"],
        ),
        (
            '{ virtualisation.docker.autoPrune = { enable = true; flags = [ "--volumes" ]; }; }',
            ["autoPrune removes volumes", "take --volumes out"],
        ),
        (
            ours('{ apps.k = { recipe.url = "u"; }; }'),
            ["services.ci-warm.apps.k is live and needs a domain", "k.example.net"],
        ),
        (
            ours('{ credentials.pem = "/nix/store/x-pem"; }'),
            ['services.ci-warm.credentials.pem is "/nix/store/x-pem"', "world-readable store", "/run/keys"],
        ),
        (
            ours("{ credentials.pem = /run/keys/pem; }"),
            ["services.ci-warm.credentials.pem is the path literal /run/keys/pem", 'as a string: "/run/keys/pem"'],
        ),
        (ours('{ credentials.pem = "/run/my keys/pem"; }'), ['pem is "/run/my keys/pem"', "such as"]),
        (ours('{ credentials.pem = "/run/%n:pem"; }'), ['pem is "/run/%n:pem"', "such as"]),
        (ours('{ credentials."a/b" = "/run/keys/pem"; }'), ['services.ci-warm.credentials."a/b"', "letters"]),
        (
            ours("{ registryCredentials = /run/keys/docker.json; }"),
            ["services.ci-warm.registryCredentials is the path literal", 'a string: "/run/keys/docker.json"'],
        ),
        (
            ours('{ registryCredentials = "/nix/store/x"; }'),
            ['services.ci-warm.registryCredentials is "/nix/store/x"', "/run/keys"],
        ),
        (
            ours('{ registryCredentials = "/run/keys/d"; credentials."config.json" = "/run/keys/e"; }'),
            ['services.ci-warm.credentials."config.json"', "another name"],
        ),
        (
            ours('{ volumesPath = "/my data"; }'),
            ['services.ci-warm.volumesPath is "/my data"', "/var/lib/docker/volumes"],
        ),
        (ours('{ volumesPath = "/"; }'), ['services.ci-warm.volumesPath is "/"', "/var/lib/docker/volumes"]),
        (
            ours('{ sweep.enable = false; sweep.before = [ "true" ]; }'),
            ["services.ci-warm.sweep.before is set", "sweep.enable is false", "set it to true"],
        ),
        (ours('{ sweep.before = [ "" ]; }'), ['services.ci-warm.sweep.before begins with ""', "nixos-rebuild"]),
        (
            ours('{ operators = [ "mallory" ]; }') + "{ users.users.alice = { }; }",
            ['services.ci-warm.operators names "mallory"', "declare users.users.mallory"],
        ),
    ],
)
def test_contradictions_are_named_with_what_would_be_right(lib: str, config: str, messages: list[str]) -> None:
    [failed] = evaluate(lib, config)["failed"]
    assert [message for message in messages if message not in failed] == []


def test_a_user_under_another_name_may_be_an_operator(lib: str) -> None:
    found = evaluate(lib, ours('{ operators = [ "al" ]; }') + '{ users.users.alice.name = "al"; }')
    assert found["failed"] == []


def test_docker_must_be_on(lib: str) -> None:
    text = f"import {PROJECT}/nix/eval/default.nix {{ {lib} config.services.ci-warm.enable = true; }}"
    [message] = nixeval.loads(text)["failed"]
    for word in ("virtualisation.docker.enable = true", "podman", "rootless"):
        assert word in message


def test_another_engine_for_everybody_is_warned_of(lib: str) -> None:
    config = "{ virtualisation.docker.rootless = { enable = true; setSocketVariable = true; }; }"
    assert any("rootless.setSocketVariable" in text for text in evaluate(lib, config)["warnings"])


@pytest.mark.parametrize(
    ("flags", "warned"),
    [
        ("[ ]", True),
        ('[ "--all" ]', True),
        ('[ "--filter=label!=other" ]', True),
        ('[ "--all" "--filter=label!=ci-warm.pin" ]', False),
        ('[ "--filter" "label!=ci-warm.pin" ]', False),
    ],
)
def test_somebody_elses_pruning_is_warned_of_until_the_advice_is_followed(lib: str, flags: str, warned: bool) -> None:
    found = evaluate(lib, f"{{ virtualisation.docker.autoPrune = {{ enable = true; flags = {flags}; }}; }}")
    assert any("ci-warm.pin" in text for text in found["warnings"]) is warned
    assert found["failed"] == []


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
        (ours(r'{ sweep.dates = "daily\nExecStart=/bin/sh"; }'), "sweep.dates' is not of type"),
        (ours("{ sweep.randomizedDelaySec = 15; }"), "sweep.randomizedDelaySec' is not of type"),
        (ours('{ sweep.randomizedDelay = "15min"; }'), "sweep.randomizedDelay' does not exist"),
        (ours('{ sweep.enable = "no"; }'), "sweep.enable' is not of type"),
        (ours("{ sweep.before = [ 1 ]; }"), "sweep.before' is not of type"),
        (ours("{ settings.domain_suffix = true; }"), "domain_suffix' is not of type"),
        (ours('{ settings = "x"; }'), "settings' is not of type"),
        (ours('{ apps.k = "x"; }'), "apps.k' is not of type"),
        (ours('{ apps.k = { recipe.url = "u"; domain = 3; }; }'), "apps.k.domain' is not of type"),
        (ours('{ apps.k = { recipe.url = "u"; stateful = "yes"; }; }'), "apps.k.stateful' is not of type"),
        (ours('{ apps.k = { recipe = { url = "u"; track = 10; }; }; }'), "recipe.track' is not of type"),
        (ours('{ package = "ci-warm"; }'), "package' is not of type"),
        (ours('{ extraPackages = [ "curl" ]; }'), "extraPackages' is not of type"),
        (ours('{ credentials = [ "/run/keys/pem" ]; }'), "credentials' is not of type"),
        (ours("{ credentials.pem = 3; }"), "credentials.pem' is not of type"),
        (ours('{ registryCredentials = "relative"; }'), "registryCredentials' is not of type"),
        (ours("{ operators = [ 3 ]; }"), "operators' is not of type"),
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
    assert [one.partition("=")[0] for one, _ in differing] == ["ExecStart", "ExecReload", "ExecStart", "ExecStart"]
    assert all(other == one.replace(units.PROGRAM, "/nix/store/x-ci-warm/bin/ci-warm") for one, other in differing)


def test_the_page_runs_as_its_own_user_where_it_is_wanted(lib: str) -> None:
    off = evaluate(lib, ours(f"{{ apps.keycloak = {APP}; }}"))
    assert "ci-warm-web" not in off["services"] and "ci-warm-web" not in off["users"]
    on = evaluate(lib, ours(f'{{ apps.keycloak = {APP}; web = {{ enable = true; tokensFile = "/run/keys/web"; }}; }}'))
    assert on["users"]["ci-warm-web"] == {"isSystemUser": True, "group": "ci-warm"}
    assert on["services"]["ci-warm-web"]["serviceConfig"] == {"LoadCredential": ["tokens:/run/keys/web"]}
    assert on["services"]["ci-warm-web"]["wantedBy"] == ["multi-user.target"]
    text = units.texts(units.PROGRAM)["ci-warm-web.service"]
    assert "User=ci-warm-web" in text and "Group=ci-warm" in text


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
    # There the page is no choice of the package, but of the module.
    wanted = re.findall(r'^    "([A-Za-z-]+)>=', project.partition("dev = [")[0], re.M)
    assert len(wanted) >= 12
    for name in wanted:
        assert re.search(rf"^    {name.lower()}$", package, re.M), name
