"""A thousand alerts that stand: what one app asks for is not paid for all of them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.model.alert import Alert
from reconciler.model.ids import AppName
from reconciler.state import records
from reconciler.state.alerts import AlertStore

NOW = datetime(2026, 12, 1, tzinfo=UTC)


def alert(app: str, at: datetime = NOW) -> Alert:
    return Alert(
        app=AppName(app),
        reason="recipe",
        severity="warning",
        fingerprint=f"{app}|recipe|",
        evidence=["the forge is away"],
        clears_when="it is back",
        first_at=at,
        last_at=at,
    )


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many alerts were read since the last question."""
    count, real = [0], records.read

    def counted(path: Path, model: type[Alert]) -> Alert | None:
        count[0] += 1
        return real(path, model)

    monkeypatch.setattr(records, "read", counted)

    def take() -> int:
        found, count[0] = count[0], 0
        return found

    return take


def test_an_alert_that_is_counted_costs_the_reading_of_its_own_file_alone(
    tmp_path: Path, read: Callable[[], int]
) -> None:
    store = AlertStore(tmp_path / "alerts")
    store.prepare()
    for number in range(60):
        store.raise_(alert(f"app{number}"))
    store.open()
    read()
    for number in range(60):
        store.raise_(alert(f"app{number}", NOW + timedelta(minutes=1)))
        store.resolve(f"app{number}", [f"app{number}|recipe|"])
        assert [one.count for _, one in store.open(f"app{number}")] == [2]
    assert read() == 60, "once each, after it was written"
    assert len(store.open()) == 60 and {one.count for _, one in store.open()} == {2}


def test_an_app_whose_name_ends_like_anothers_has_its_own(tmp_path: Path) -> None:
    store = AlertStore(tmp_path / "alerts")
    store.prepare()
    for name in ("notes", "my-notes", "notes-recipe"):
        store.raise_(alert(name))
    for name in ("notes", "my-notes", "notes-recipe"):
        assert [one.app for _, one in store.open(name)] == [name]
    store.resolve("notes", [])
    assert sorted(one.app for _, one in store.open()) == ["my-notes", "notes-recipe"]
    assert [one.app for _, one in store.archived("notes")] == ["notes"]
    assert store.archived("my-notes") == []
    other = AlertStore(tmp_path / "alerts")
    assert [one.app for _, one in other.open("my-notes")] == ["my-notes"], "without a look at all of them before"
