"""`status` into a pipe has two implementations: what the light one says is, byte for byte, what the whole one says."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from reconciler.cli import common, plain_status
from reconciler.cli.main import program
from reconciler.model.alert import Alert, Severity
from reconciler.model.hold import Hold, HoldReason
from reconciler.model.published import AppStatus, KeptSnapshot, StatusReport
from reconciler.state import records
from tests.hosts.program import as_installed

TEXT = st.text(max_size=12)
MAYBE = st.none() | TEXT
TIMES = st.datetimes(min_value=datetime(1, 1, 2), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy wants it naive
HOLDS = st.builds(Hold, reason=st.sampled_from(HoldReason), detail=TEXT, clears_when=TEXT).map(Hold.to_json)
NAMES = st.sampled_from(["notes", "wiki", "a  b", ""])
APPS = st.builds(
    AppStatus,
    app=NAMES,
    kind=TEXT,
    status=TEXT,
    result=TEXT,
    known_good=MAYBE,
    candidate=MAYBE,
    holds=st.lists(HOLDS, max_size=2).map(tuple),
    evidence=st.lists(TEXT, max_size=2).map(tuple),
    fallback=MAYBE,
    at=TIMES,
    known_good_at=st.none() | TIMES,
    snapshot=st.none()
    | st.builds(KeptSnapshot, id=TEXT, version=TEXT, created_at=TIMES, bytes=st.integers(0, 1 << 60)),
    node=TEXT,
)
REPORTS = st.builds(
    StatusReport,
    at=TIMES,
    elapsed_seconds=st.floats(0, 1e9).map(lambda seconds: round(seconds, 3)),
    engine=TEXT,
    apps=st.lists(APPS, max_size=3).map(tuple),
    by=TEXT,
)
ALERTS = st.builds(
    lambda app, reason, at, **more: Alert(
        app=app, reason=reason, severity=Severity.WARNING, fingerprint="f", first_at=at, last_at=at, **more
    ),
    app=NAMES,
    reason=st.sampled_from(["held-major", "failed", "x-held-y"]),
    at=TIMES,
    notes=st.dictionaries(TEXT, TEXT, max_size=1),
    evidence=st.lists(TEXT, max_size=1).map(tuple),
    told=st.none() | st.integers(0, 9),
    told_at=st.none() | TIMES,
    recovered=st.none() | st.booleans(),
)
_TIMES = ("2026-01-01T00:00:00+02:00", "2026-01-01T00:00:00.000000Z", "2026-13-01T00:00:00Z", "2026-01-01")
ODD = st.sampled_from(
    [None, True, 0, 1, 2, 1.5, 1e999, 10**40, "", "x", "\ud800", *_TIMES, [], ["x"], [1], [{"reason": 1}], {}, {"a": 1}]
)


@pytest.fixture(autouse=True)
def _options() -> Iterator[None]:
    before = dict(vars(common.OPTIONS))
    yield
    vars(common.OPTIONS).update(before)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("state")
    (folder / "alerts").mkdir()
    return folder


def put(state: Path, status: bytes, alerts: list[bytes]) -> None:
    for path in (*state.glob("*.*"), *(state / "alerts").iterdir()):
        path.unlink()
    (state / "status.json").write_bytes(status)
    for number, alert in enumerate(alerts):
        (state / "alerts" / f"{number}.json").write_bytes(alert)


def both(state: Path, *words: str) -> tuple[str | None, bytes, int]:
    argv = ["--state-dir", str(state), "status", *words]
    light = plain_status.answer(argv, {})
    whole = CliRunner().invoke(program, argv)
    return light, whole.stdout_bytes, whole.exit_code


some = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@some
@given(report=REPORTS, alerts=st.lists(ALERTS, max_size=3), words=st.sampled_from([(), ("--json",)]))
def test_whatever_was_published_is_said_in_the_same_bytes(
    state: Path, report: StatusReport, alerts: list[Alert], words: tuple[str, ...]
) -> None:
    put(state, records.dump(report), [records.dump(alert) for alert in alerts])
    light, whole, code = both(state, *words)
    assert light is not None, "what the program writes must not need the long way"
    assert (light.encode(), 0) == (whole, code)


@some
@given(data=st.data(), report=REPORTS, alert=ALERTS, words=st.sampled_from([(), ("--json",)]))
def test_what_is_not_as_the_program_writes_it_is_left_to_the_whole_command_or_said_alike(
    state: Path, data: st.DataObject, report: StatusReport, alert: Alert, words: tuple[str, ...]
) -> None:
    documents: list[Any] = [json.loads(records.dump(report)), json.loads(records.dump(alert))]
    parts = [
        *documents,
        *documents[0]["apps"],
        *(app["snapshot"] for app in documents[0]["apps"] if app["snapshot"]),
        *(h for app in documents[0]["apps"] for h in app["holds"]),
    ]
    part = data.draw(st.sampled_from(parts))
    key = data.draw(st.sampled_from(sorted(part)))
    match data.draw(st.sampled_from(["odd", "gone", "last", "more"])):
        case "odd":
            part[key] = data.draw(ODD)
        case "gone":
            del part[key]
        case "last":
            part[key] = part.pop(key)
        case _:
            part["more"] = 1
    shown: dict[str, Any] = {"indent": 1, "ensure_ascii": data.draw(st.booleans())} if data.draw(st.booleans()) else {}
    status, beside = (f"{json.dumps(document, **shown)}\n".encode(errors="surrogatepass") for document in documents)
    put(state, status, [beside])
    light, whole, code = both(state, *words)
    assert light is None or (light.encode(), 0) == (whole, code)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"schema_version": 1, "schema_version": 1}', b"[" * 100_000],
    ids=["empty", "torn", "list", "null", "no utf-8", "a key twice", "deep"],
)
def test_what_is_torn_is_not_judged_here(state: Path, raw: bytes) -> None:
    put(state, raw, [])
    assert plain_status.answer(["--state-dir", str(state), "status"], {}) is None


def test_a_link_or_a_damaged_alert_is_not_judged_here(state: Path) -> None:
    report = StatusReport(at=datetime(2026, 1, 1, tzinfo=UTC), elapsed_seconds=1.0, engine="e", apps=())
    put(state, records.dump(report), [b"{"])
    argv = ["--state-dir", str(state), "status"]
    assert plain_status.answer(argv, {}) is None
    assert plain_status.answer([*argv, "--json"], {}) is not None  # which looks at no alert
    (state / "status.json").rename(state / "real.json")
    (state / "status.json").symlink_to(state / "real.json")
    assert plain_status.answer([*argv, "--json"], {}) is None


def test_only_the_plain_form_is_taken(state: Path) -> None:
    report = StatusReport(at=datetime(2026, 1, 1, tzinfo=UTC), elapsed_seconds=1.0, engine="e", apps=())
    put(state, records.dump(report), [])
    root = ["--state-dir", str(state)]
    taken = [
        [*root, "status"],
        ["--config", "/x", *root, "status", "--json"],
        ["--state-dir", "/none", *root, "status"],
    ]
    for argv in taken:
        assert plain_status.answer(argv, {}) is not None, argv
    left = [
        *([*root, "status", "--watch"], [*root, "status", "--help"], [*root, "status", "notes"], [*root, "plan"]),
        *([*root, "--verbose", "status"], [*root], ["--state-dir", "status"], [], ["--state-dir", "--json", "status"]),
        *(["--state-dir", "", "status"], ["--state-dir", "/none", "status"], [f"--state-dir={state}", "status"]),
        *([*root, "status", "--json", "--json"], ["status", *root]),
    ]
    for argv in left:
        assert plain_status.answer(argv, {}) is None, argv
    assert plain_status.answer(["status"], {"CI_WARM_STATE_DIR": str(state)}) is not None
    assert plain_status.answer(["status"], {"CI_WARM_STATE_DIR": ""}) is None
    assert plain_status.answer([*root, "status"], {common.COMPLETE: "complete_bash"}) is None


def test_it_knows_the_documents_as_they_are() -> None:
    assert list(plain_status.REPORT) == list(StatusReport.model_fields)
    assert list(plain_status.APP) == list(AppStatus.model_fields)
    assert list(plain_status.ALERT) == [info.alias or name for name, info in Alert.model_fields.items()]
    assert str(common.Globals().state) == plain_status.STATE


def test_the_program_answers_with_it_and_imports_neither_parser_nor_models(state: Path) -> None:
    report = StatusReport(at=datetime(2026, 1, 1, tzinfo=UTC), elapsed_seconds=1.0, engine="e", apps=())
    put(state, records.dump(report), [])
    argv = [*as_installed(), "--state-dir", str(state), "status"]
    assert subprocess.run(argv, capture_output=True, check=True).stdout == both(state)[1]
    ours = [sys.executable, "-X", "importtime", "-m", "reconciler", *argv[len(as_installed()) :]]
    imported = subprocess.run(ours, capture_output=True, text=True, check=True).stderr
    assert "plain_status" in imported
    assert not {
        name for name in ("typer", "pydantic", "pathlib", "dataclasses", "inspect") if f"| {name}\n" in imported
    }


def test_a_reader_who_has_gone_and_one_who_knows_no_such_letter_are_served_as_before(state: Path) -> None:
    report = StatusReport(at=datetime(2026, 1, 1, tzinfo=UTC), elapsed_seconds=1.0, engine="é", apps=())
    put(state, records.dump(report), [])
    argv = [*as_installed(), "--state-dir", str(state), "status"]
    reading, writing = os.pipe()
    os.close(reading)
    gone = subprocess.run(argv, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (gone.returncode, gone.stderr) == (1, b"")
    ascii_only = subprocess.run(argv, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert ascii_only.returncode == 1 and b"UnicodeEncodeError" in ascii_only.stderr
