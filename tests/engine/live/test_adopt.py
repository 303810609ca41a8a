"""What runs and no record of ours knows."""

from pathlib import Path

from tests.fakes.world import Host

V1, V2, V3 = "1.0.0+5.0.0", "1.0.1+5.0.1", "1.0.2+5.0.2"


def test_adopting_with_other_settings_leads_to_a_gated_reconfigure(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.release(V1, environment=["GREETING=${GREETING:-hello}"])
    host.result()
    (host.root / "state" / "notes" / "known_good.json").unlink()
    host.specs[0] = host.specs[0].model_copy(update={"env": {"GREETING": "hi"}})
    assert host.result() == f"adopted:{V1}"
    assert host.result() == f"reconfigured:{V1}"
    assert host.result() == "noop-healthy"


def test_what_runs_another_image_is_not_adopted(host: Host) -> None:
    (host.root / "state" / "notes" / "known_good.json").unlink()
    key = next(iter(host.engine.services))
    host.engine.services[key].spec = {
        **host.engine.services[key].spec,
        "image": "registry.test/notes:5.0.0@sha256:" + "e" * 64,
    }
    assert host.result() == f"unmanaged:{V1}"
    assert host.known() is None
