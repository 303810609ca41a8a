"""Volumes are copied before anything is begun; what was due then need not be due any more when they are."""

from pathlib import Path

import pytest

from reconciler.engine.context import Context
from reconciler.engine.live import prepare, reconcile
from reconciler.model.errors import ObserveError
from reconciler.model.journal import Journal
from reconciler.model.settings import Limits
from tests.builders import spec
from tests.fakes.world import Behaviour, Host

V1, V2 = "1.0.0+5.0.0", "1.0.1+5.0.1"
COPIED = "snapshot:copied-ahead"


def at(host: Host, point: str, call: object) -> None:
    """Do something once, at this point."""
    assert callable(call)
    done: list[str] = []

    def hear(name: str) -> None:
        if name == point and not done:
            done.append(name)
            call()

    host.on_effect = hear


def test_it_is_done_before_the_journal_is_opened_and_only_for_an_upgrade_with_data(host: Host) -> None:
    assert COPIED not in host.points, "a first deploy has nothing to copy"
    host.release(V2, Behaviour(schema=2))
    assert host.result() == f"upgraded:{V1}->{V2}"
    assert host.points.index(COPIED) < host.points.index("opened:journaled")
    assert host.history()[-1].elapsed_seconds < 60
    host.points.clear()
    host.engine.services.clear()
    host.result()
    assert "copy-ahead:before" not in host.points, "what heals is not delayed"


@pytest.mark.parametrize("changes", [{"upgrade": {"bake": "0s", "copy_ahead": False}}, {"stateful": False}])
def test_it_is_not_done_where_it_is_not_wanted(tmp_path: Path, changes: dict[str, object]) -> None:
    host = Host(tmp_path, **changes)
    host.release(V1)
    host.result()
    host.release(V2)
    assert host.result() == f"upgraded:{V1}->{V2}"
    assert "copy-ahead:before" not in host.points


def test_the_window_that_closed_meanwhile_is_kept(host: Host) -> None:
    host.specs = [spec(upgrade={"bake": "0s", "window": "11:00-13:00 UTC"})]
    host.release(V2)
    calls = len(host.engine.changes)

    def pass_hours() -> None:
        host.clock.seconds += 6 * 3600

    at(host, COPIED, pass_hours)
    assert host.result().startswith("held-window")
    assert not [one for one in host.engine.changes[calls:] if one in ("undeploy", "deploy")]
    assert host.known() == V1
    assert list(host.root.rglob(".snapshot.partial")) == []


def test_an_app_that_went_down_meanwhile_is_healed_first(host: Host) -> None:
    host.release(V2)
    at(host, COPIED, host.engine.services.clear)
    [report] = host.reconcile()
    assert str(report.outcome.result).startswith("busy")
    assert "decides anew" in report.outcome.evidence[0]
    host.on_effect = lambda _name: None
    host.until_quiet()
    assert host.known() == V2


def test_it_does_not_take_for_ever(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.settings = host.settings.model_copy(update={"limits": Limits(copy_ahead_from=0, copy_ahead=0.001)})
    host.release(V2)
    real = host.clock.wait
    monkeypatch.setattr(host.clock, "wait", lambda seconds: real(max(seconds, 0.01)))
    assert host.result() == f"upgraded:{V1}->{V2}", "the snapshot is taken without it"
    assert "copy-ahead:before" in host.points and COPIED not in host.points


def test_volumes_that_cannot_be_listed_for_it_are_no_reason_to_wait(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.release(V2)
    real = prepare.copy_ahead

    def fail(context: Context, journal: Journal) -> bool:
        def observe(_names: object) -> None:
            raise ObserveError("docker does not answer")

        with monkeypatch.context() as patched:
            patched.setattr(host.engine, "observe_volumes", observe)
            return real(context, journal)

    monkeypatch.setattr(reconcile, "copy_ahead", fail)
    assert host.result() == f"upgraded:{V1}->{V2}"
    assert "copy-ahead:before" not in host.points
