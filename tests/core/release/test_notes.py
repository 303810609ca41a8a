"""Which release notes ask for a human."""

from collections.abc import Mapping

import pytest

from reconciler.core.release import notes
from reconciler.model.settings import NOTE_PATTERNS

V = "1.0.1+5.0.1"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("", None, id="empty"),
        pytest.param("Fixes a typo.", None, id="nothing special"),
        pytest.param("No migration needed.", None, id="a migration that needs no hand"),
        pytest.param("See the manual for the migration.", None, id="a manual that is a book"),
        pytest.param("This breaks nothing and changes nothing.", None, id="two of the words, far apart"),
        pytest.param("Upgrade before Friday.", None, id="before and upgrade in another order"),
        pytest.param("Manual migration needed", "Manual migration needed", id="the phrase itself"),
        pytest.param("run MANUALLY   MIGRATE.sh", "run MANUALLY   MIGRATE.sh", id="any case and any gap"),
        pytest.param("manual interventions", "manual interventions", id="intervention"),
        pytest.param("three manual steps", "three manual steps", id="steps"),
        pytest.param("one breaking change", "one breaking change", id="one breaking change"),
        pytest.param("## Breaking changes", "## Breaking changes", id="a heading"),
        pytest.param("ACTION REQUIRED", "ACTION REQUIRED", id="action required"),
        pytest.param("Before upgrading, dump.", "Before upgrading, dump.", id="before upgrading"),
        pytest.param("before you upgrade", "before you upgrade", id="before you upgrade"),
        pytest.param(
            "fixes\n  - breaking change: x  \nmore", "- breaking change: x", id="the line alone, without its margins"
        ),
        pytest.param("breaking change a\naction required b", "breaking change a", id="the first of two lines"),
        pytest.param("needs a manual\n  migration now", "needs a manual migration now", id="broken over two lines"),
        pytest.param("action\r\nrequired", "action required", id="broken by a line of Windows"),
        pytest.param("manual\nmigration\naction required", "action required", id="a whole line before a broken one"),
    ],
)
def test_the_line_that_asks_for_a_human_is_told(text: str, line: str | None) -> None:
    assert notes.alarming({V: text}, NOTE_PATTERNS) == ({} if line is None else {V: line})


@pytest.mark.parametrize(
    ("texts", "patterns", "found"),
    [
        pytest.param({}, NOTE_PATTERNS, [], id="no notes"),
        pytest.param({"1": "breaking change"}, (), [], id="no pattern, no alarm"),
        pytest.param({"1": "fine", "2": "breaking change"}, NOTE_PATTERNS, ["2"], id="one of two versions"),
        pytest.param({"1": "action required", "2": "manual step"}, NOTE_PATTERNS, ["1", "2"], id="both versions"),
        pytest.param({"1": "Rotate the KEYS"}, (r"rotate the keys",), ["1"], id="a pattern of the operator's"),
    ],
)
def test_every_version_is_asked_by_itself(
    texts: Mapping[str, str], patterns: tuple[str, ...], found: list[str]
) -> None:
    assert list(notes.alarming(texts, patterns)) == found


def test_a_phrase_over_two_lines_is_quoted_wherever_it_stands() -> None:
    text = "Fixes.\n" * 60 + "needs a manual\nmigration\n" + "Thanks.\n" * 60
    quoted = notes.alarming({"1": text}, NOTE_PATTERNS)["1"]
    assert "needs a manual migration" in quoted and len(quoted) < 250
