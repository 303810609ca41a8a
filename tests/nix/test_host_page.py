"""The host of docs/nixos.md: evaluated, and its files read by the program."""

import json
from pathlib import Path

import nixeval  # type: ignore[import-untyped] # a wheel of the snix evaluator without types
import pytest

from reconciler.state import specs
from tests.nix.evaluation import PROJECT, write_host_flake

pytestmark = pytest.mark.repository


def test_the_host_of_the_page_evaluates_and_its_specs_are_right(tmp_path: Path) -> None:
    flake = write_host_flake(tmp_path)
    host = nixeval.loads(f"import {PROJECT}/nix/eval/host.nix {{ flake = import {flake}; }}")["ci"]
    assert host["failed"] == [] and host["warnings"] == []
    for name, content in host["files"].items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    settings = specs.read_settings(tmp_path / "ci-warm" / "config.yaml")
    loaded = specs.read_specs([tmp_path / "ci-warm" / "apps"], settings)
    assert [(spec.name, str(spec.kind)) for spec in loaded] == [
        ("traefik", "live"),
        ("keycloak", "live"),
        ("portal", "canonical"),
        ("wiki", "canonical"),
    ]
    assert settings.sweep.before == ("nixos-rebuild", "switch", "--flake", "/etc/nixos#ci")
    daemon = host["services"]["ci-warm"]["serviceConfig"]
    assert daemon["ReadWritePaths"] == ["-/data/docker/volumes"]
    assert "keycloak-admin:/run/keys/keycloak-admin" in daemon["LoadCredential"]
