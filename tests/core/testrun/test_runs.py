"""Decisions about runs and canonicals, as tables."""

from datetime import timedelta

import pytest

from reconciler.core.canonical import promotion, status
from reconciler.core.host import sweep_report
from reconciler.core.release.compose import ComposeError
from reconciler.core.testrun import backup_labels, chaos_label, level, previous_overlay, trigger
from reconciler.core.testrun import base as bases
from reconciler.core.testrun import spec as testrun_spec
from reconciler.model.app import Kind
from reconciler.model.canonical import Canonical, Green, Greens, InFlight, Promotion, Use
from reconciler.model.ids import StackName
from reconciler.model.observed import ServiceMode as ServiceMode
from reconciler.model.observed import ServiceObs, StackObs
from reconciler.model.snapshot import SnapshotManifest
from reconciler.model.testrun import Run, RunMode, RunResult, Source, StageResult
from reconciler.model.tests import STAGES, CheckSpec, Stage, TestSpec
from tests.builders import NOW, spec

HEAD = Source(version="1.2.0+3.0", commit="c" * 40, kind="release", name="1.2.0+3.0")
TAGS = {"1.0.0+3.0": "a" * 40, "1.1.0+3.0": "b" * 40, "1.2.0+3.0": "c" * 40, "1.3.0-rc.1+3.0": "d" * 40}
TIP = Source(version="1.1.0+3.0-4-gee", commit="e" * 40, kind="ref", name="main")
GREEN = Green(version="1.0.0+3.0", commit="a" * 40, kind="release", run="note-abc123", at=NOW)
NEWER = Source(version="1.3.0+3.0", commit="f" * 40, kind="release", name="main")
GREEN_HEAD = Green(version=HEAD.version, commit=HEAD.commit, kind="release", run="note-abc123", at=NOW)


def stage(name: Stage, result: str, cause: str = "") -> StageResult:
    return StageResult.model_validate({"stage": name, "result": result, "cause": cause})


def a_run(**changes: object) -> Run:
    base = Run(
        run="note-abc123",
        mode=RunMode.COLD,
        confidence="full",
        app="notes",
        recipe="u",
        stack="s",
        domain="d",
        asked=STAGES,
        head=HEAD,
        started_at=NOW,
        result=RunResult.GREEN,
    )
    return base.model_copy(update=changes)


@pytest.mark.parametrize(
    ("override", "green", "tip", "wanted", "why"),
    [
        (TIP, GREEN, TIP, TIP.commit, "asked for"),
        (HEAD, GREEN, TIP, "b" * 40, "the base asked for, 1.2.0+3.0, is the head itself; stepped back"),
        (None, GREEN, TIP, "a" * 40, "last green"),
        (None, None, TIP, TIP.commit, "tip of main"),
        (None, None, HEAD, "b" * 40, "stepped back to the newest older release 1.1.0+3.0"),
        (
            None,
            GREEN.model_copy(update={"version": HEAD.version, "commit": HEAD.commit}),
            TIP,
            "b" * 40,
            "stepped back",
        ),
        (None, None, None, "b" * 40, "no main branch"),
        (None, None, NEWER, "b" * 40, "newer than the head"),
    ],
)
def test_the_base_of_an_upgrade(
    override: Source | None, green: Green | None, tip: Source | None, wanted: str | None, why: str
) -> None:
    found = bases.plan(HEAD, override=override, last_green=green, tip=tip, tags=TAGS)
    assert (found.source.commit if found.source else None) == wanted
    assert why in found.reason


def test_the_first_release_has_no_base_and_says_so() -> None:
    first = Source(version="1.0.0+3.0", commit="a" * 40, kind="release", name="1.0.0+3.0")
    found = bases.plan(first, override=None, last_green=None, tip=first, tags={"1.0.0+3.0": "a" * 40})
    assert found.source is None and "no release is older than 1.0.0+3.0" in found.reason


@pytest.mark.parametrize(
    ("results", "reached", "cap", "result"),
    [
        (["passed"] * 5, 5, 5, RunResult.GREEN),
        (["passed", "skipped", "skipped", "skipped", "passed"], 2, 2, RunResult.GREEN),
        (["passed", "failed", "after", "after", "after"], 1, 5, RunResult.RED),
        (["passed", "passed", "unasked", "unasked", "passed"], 2, 2, RunResult.GREEN),
        (["unasked", "unasked", "unasked", "unasked", "passed"], 0, 0, RunResult.GREEN),
        (["passed", "error", "after", "after", "after"], 1, 5, RunResult.ERROR),
        (["passed", "broken", "skipped", "skipped", "passed"], 2, 2, RunResult.PARTIAL),
        (["skipped"] * 5, 0, 0, RunResult.PARTIAL),
    ],
)
def test_the_level_counts_what_passed_in_a_row(results: list[str], reached: int, cap: int, result: RunResult) -> None:
    kinds = {
        "unasked": ("not-run", ""),
        "after": ("not-run", "earlier-stage"),
        "broken": ("skipped", "broken-base"),
    }
    stages = [stage(name, *kinds.get(kind, (kind, ""))) for name, kind in zip(STAGES, results, strict=True)]
    assert (level.reached(stages), level.cap(stages)) == (reached, cap)
    assert level.result(stages, 1, 1) is result


def test_a_deploy_that_nobody_ordered_is_red() -> None:
    assert level.result([stage(Stage.INSTALL, "passed")], 2, 1) is RunResult.RED


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, None),
        ({"mode": RunMode.QUICK}, "never promotes"),
        ({"result": RunResult.RED}, "is red"),
        ({"result": RunResult.PARTIAL}, "is partial"),
        ({"asked": (Stage.INSTALL,)}, "not all stages"),
        ({"head": HEAD.model_copy(update={"kind": "ref", "name": "pr-7"})}, "pr-7 is not a release"),
        ({"head": HEAD.model_copy(update={"version": "1.1.0+3.0", "commit": "b" * 40})}, "not the latest release"),
    ],
)
def test_only_a_green_full_cold_run_of_the_latest_release_is_promoted(
    changes: dict[str, object], why: str | None
) -> None:
    found = promotion.find_refusal(a_run(**changes), spec(kind="canonical"), HEAD, STAGES)
    assert found is None if why is None else found is not None and why in found


def test_a_recipe_that_is_not_enrolled_is_not_promoted() -> None:
    assert promotion.find_refusal(a_run(), spec(kind=Kind.LIVE), HEAD, STAGES) == "the recipe is not enrolled"


def canonical(snapshot: str | None = "s1") -> Canonical:
    return Canonical(
        app="notes",
        recipe="u",
        stack="st",
        version="1.0.0+1",
        commit="a",
        volumes=("st_data",),
        snapshot=snapshot,
        ts=NOW,
    )


@pytest.mark.parametrize(("there", "wanted"), [("s1", "finish"), ("s0", "forget"), (None, "forget")])
def test_the_exchange_of_the_snapshot_decides_an_interrupted_promotion(there: str | None, wanted: str) -> None:
    manifest = there and SnapshotManifest(
        id=there,
        app="notes",
        stack="st",
        version="1",
        commit="",
        images={},
        node="",
        created_at=NOW,
        op_id="o",
        volumes=(),
    )
    pending = Promotion(app="notes", run="note-abc123", candidate=canonical())
    assert promotion.after_crash(pending, manifest or None) == wanted


def service(name: str, image: str, **labels: str) -> ServiceObs:
    return ServiceObs(
        id=name,
        name=name,
        stack=StackName("st"),
        version_index=1,
        labels=labels,
        image=image,
        mode=ServiceMode.REPLICATED,
        replicas=1,
        running=1,
        desired=1,
        spec_fingerprint="",
        template_fingerprint="",
    )


def test_what_runs_must_be_the_head_and_nothing_else() -> None:
    stack, commit = StackName("st"), "0123456789abcdef"
    chaos = {"coop-cloud.st.chaos-version": "01234567"}
    good = StackObs(services=(service("app", "i@1", **chaos),))
    assert chaos_label.problems(good, stack, {"app": "i@1"}, commit) == ()
    dirty = StackObs(services=(service("app", "i@1", **{"coop-cloud.st.chaos-version": "01234567+U"}),))
    assert chaos_label.problems(dirty, stack, {"app": "i@1"}, commit) == ()
    bad = StackObs(services=(service("app", "i@0"), service("sidekiq", "i@1", **chaos)))
    assert chaos_label.problems(bad, stack, {"app": "i@1", "db": "p@1"}, commit) == (
        "service db is missing",
        "service sidekiq is not in the head's compose",
        "service app runs i@0, the head asks for i@1",
        "service app carries chaos-version none, the head is 01234567",
    )
    empty = StackObs(services=(service("app", "i@1", **{"coop-cloud.st.chaos-version": "+U"}),))
    assert len(chaos_label.problems(empty, stack, {"app": "i@1"}, commit)) == 1


def test_compose_file_entries_come_and_go() -> None:
    assert previous_overlay.add("", "x.yml") == "compose.yml:x.yml"
    assert previous_overlay.add("compose.yml:a.yml", "a.yml") == "compose.yml:a.yml"
    assert previous_overlay.remove("compose.yml:x.yml:a.yml", "x.yml") == "compose.yml:a.yml"
    assert previous_overlay.remove("x.yml", "x.yml") == "compose.yml"


def test_previous_is_for_one_version_and_stale_for_any_other() -> None:
    head = {
        "ci/previous/VERSION": b"1.0.0+3.0\n",
        "ci/previous/compose.previous.yml": b"services: {}",
        "compose.yml": b"",
    }
    good = previous_overlay.previous(head, "ci/previous", "1.0.0+3.0")
    assert good.applies and set(good.files) == {"compose.previous.yml"}
    stale = previous_overlay.previous(head, "ci/previous", "1.1.0+3.0")
    assert not stale.applies and stale.note.startswith("stale: ci/previous is for 1.0.0+3.0")
    nameless = previous_overlay.previous({"ci/previous/compose.previous.yml": b""}, "ci/previous", "1.0.0+3.0")
    assert not nameless.applies and "does not name a version" in nameless.note
    assert previous_overlay.previous({}, "ci/previous", "1.0.0+3.0") == previous_overlay.NOTHING


def test_backup_labels_are_read_and_their_paths_stay_inside() -> None:
    labels = {
        "backupbot.backup": "true",
        "backupbot.backup.volumes.cache": "false",
        "backupbot.backup.volumes.db.path": "dump.sql, /more",
        "backupbot.backup.pre-hook": "/dump.sh",
        "backupbot.restore.post-hook": "/load.sh",
    }
    doc = {"services": {"app": {"deploy": {"labels": labels}}}}
    found = backup_labels.read_plan(doc, {"data": "s_data", "cache": "s_cache", "db": "s_db"})
    assert found is not None
    assert (found.whole, dict(found.parts)) == (("s_data",), {"s_db": ("dump.sql", "more")})
    assert found.before == (backup_labels.Hook(service="app", argv=("/bin/sh", "-c", "/dump.sh")),)
    assert found.restore_after[0].argv[2] == "/load.sh"
    assert backup_labels.read_plan({"services": {"app": {}}}, {"data": "s_data"}) is None
    labels["backupbot.backup.volumes.db.path"] = "a/../../etc"
    with pytest.raises(ComposeError, match="not inside its volume"):
        backup_labels.read_plan(doc, {"db": "s_db"})


def test_what_the_spec_says_wins_and_the_recipes_checks_need_leave() -> None:
    mine = TestSpec(stages=(Stage.INSTALL,), checks=(CheckSpec(name="own", run=("a",), stage=Stage.INSTALL),))
    checks = (CheckSpec(name="own", run=("b",)), CheckSpec(name="more", run=("c",)))
    theirs = TestSpec(stages=STAGES, needs=("keycloak",), checks=checks)
    found = testrun_spec.merge(mine, theirs)
    assert (found.stages, found.needs, [c.run for c in found.checks]) == ((Stage.INSTALL,), ("keycloak",), [("a",)])
    allowed = testrun_spec.merge(mine.model_copy(update={"recipe_checks": True}), theirs)
    assert [c.run for c in allowed.checks] == [("a",), ("c",)]


@pytest.mark.parametrize("name", ["notes", "a_b", "-", "x"])
def test_names_of_runs(name: str) -> None:
    found = testrun_spec.run_name(name, "0a1b2c")
    assert testrun_spec.is_run(found) and found.endswith("-0a1b2c")


@pytest.mark.parametrize("name", ["master", "notes", "note-0a1b2", "note-0A1B2C", "../x-0a1b2c", "notes1-0a1b2c"])
def test_what_is_no_run(name: str) -> None:
    assert not testrun_spec.is_run(name)


@pytest.mark.parametrize(
    ("comment", "mode"),
    [
        ("!testme", RunMode.COLD),
        ("  !testme  \n\nthanks", RunMode.COLD),
        ("!testme --quick", RunMode.QUICK),
        ("!testmexyz", None),
        ("!testme --quickly", None),
        ("!testme quick", None),
        ("please !testme", None),
        ("!TESTME", None),
        ("", None),
        ("\n!testme", RunMode.COLD),
        ("!testme --quick now", None),
        ("x\n!testme", None),
        ("    !testme", None),
        ("\t!testme", None),
        (" \t!testme", None),
        ("   !testme\t--quick\r\nthanks", RunMode.QUICK),
        ("!testme\u00a0--quick", None),
        ("!testme\x0b", None),
        ("!testme\n" + "x" * 60_000, RunMode.COLD),
    ],
)
def test_what_a_comment_asks_for(comment: str, mode: RunMode | None) -> None:
    assert trigger.parse(comment) is mode


def seen(**changes: object) -> status.CanonicalFacts:
    base: dict[str, object] = {
        "canonical": canonical(),
        "use": None,
        "services": False,
        "stack": "st",
        "snapshot": "s1",
        "volumes": ("st_data",),
        "released": True,
    }
    return status.CanonicalFacts(**{**base, **changes})  # type: ignore[arg-type] # a table's row is of mixed types


RUN, HAND = Use(app="notes", by="note-abc123", since=NOW), Use(app="notes", by="manual", since=NOW)


@pytest.mark.parametrize(
    ("changes", "act", "word"),
    [
        ({}, status.Act.NOTHING, "idle"),
        ({"canonical": None}, status.Act.SEED, "cold"),
        ({"canonical": None, "released": False}, status.Act.NO_RELEASE, "cold"),
        ({"snapshot": None}, status.Act.SEED, "cold"),
        ({"snapshot": "another"}, status.Act.SEED, "cold"),
        ({"volumes": ()}, status.Act.RESTORE, "dirty"),
        ({"services": True, "use": HAND}, status.Act.IN_USE, "in-use"),
        ({"services": True}, status.Act.IN_USE, "in-use"),
        ({"services": True, "use": RUN}, status.Act.RECOVER, "in-use"),
        ({"use": RUN}, status.Act.NOTHING, "dirty"),
        ({"use": HAND}, status.Act.NOTHING, "dirty"),
        ({"use": RUN, "canonical": None}, status.Act.RECOVER, "cold"),
        ({"stack": "renamed"}, status.Act.MOVED, "dirty"),
        ({"canonical": canonical(None), "snapshot": None, "volumes": ()}, status.Act.NOTHING, "idle"),
    ],
)
def test_what_a_canonical_needs(changes: dict[str, object], act: status.Act, word: str) -> None:
    assert (status.judge(seen(**changes)).act, status.word(seen(**changes))) == (act, word)


def test_a_seeding_run_is_asked_for_once_in_fifteen_minutes_and_in_vain_ever_less_often() -> None:
    life, now = timedelta(minutes=15), NOW
    mark = None
    asked = []
    for minute in range(16 * 60):
        now = NOW + timedelta(minutes=minute)
        if not status.is_in_flight(mark, "k", life, now):
            mark = status.next_mark(mark, "k", now)
            asked.append(minute)
    assert asked == [0, 15, 45, 105, 225, 465, 945]
    assert not status.is_in_flight(mark, "another release", life, now)
    assert status.next_mark(mark, "another release", now).asked == 1
    assert not status.is_in_flight(InFlight(key="k", at=now + timedelta(hours=1)), "k", life, now)


def test_the_key_of_an_item_is_all_that_it_is() -> None:
    one = spec(kind="canonical")
    keys = {
        status.key(one, "1"),
        status.key(one, "2"),
        status.key(one.model_copy(update={"domain": "other.test"}), "1"),
        status.key(one.model_copy(update={"name": "other"}), "1"),
    }
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("version", "behind", "every", "why"),
    [
        ("1.2.0+3.0", False, False, "green already"),
        ("1.2.0+3.0", False, True, None),
        ("1.2.0+3.0", True, False, None),
        ("1.3.0+3.0", False, False, None),
        (None, True, False, "no release"),
    ],
)
def test_what_a_night_leaves_out(version: str | None, behind: bool, every: bool, why: str | None) -> None:
    greens = Greens(recipe="u", releases={HEAD.version: GREEN_HEAD})
    newest = version and Source(version=version, commit=HEAD.commit, kind="release", name=version)
    found = sweep_report.skip(newest or None, greens, behind=behind, every=every)
    assert found is None if why is None else found is not None and why in found


def test_an_older_release_that_passes_is_no_base_for_the_next() -> None:
    greens = bases.remember(Greens(recipe="u"), GREEN_HEAD)
    assert greens.last == GREEN_HEAD
    again = bases.remember(greens, GREEN)
    assert again.last == GREEN_HEAD and set(again.releases) == {HEAD.version, GREEN.version}


def test_a_main_branch_ahead_of_the_head_is_no_base_for_it() -> None:
    found = bases.plan(HEAD, override=None, last_green=None, tip=TIP, tags=TAGS, ahead=True)
    assert found.source is not None and found.source.version == "1.1.0+3.0" and "newer than the head" in found.reason
    green = bases.plan(HEAD, override=None, last_green=GREEN, tip=TIP, tags=TAGS, ahead=True)
    assert green.source is not None and green.source.version == GREEN.version


@pytest.mark.parametrize(
    ("before", "now", "anew"),
    [
        ({}, {"app": "1"}, True),
        ({}, {}, False),
        ({"app": "1"}, {"app": "1"}, False),
        ({"app": "1"}, {"app": "2"}, True),
        ({"app": "1", "web": "3"}, {"aaa": "9", "app": "1"}, False),
        ({"app": "1", "web": "3"}, {"app": "2", "web": "4"}, True),
        ({"app": "1"}, {"web": "2"}, False),
        ({"app": "1"}, {}, False),
    ],
)
def test_a_deploy_counts_when_no_service_that_stayed_is_the_same(
    before: dict[str, str], now: dict[str, str], anew: bool
) -> None:
    assert chaos_label.is_anew(before, now) is anew


def test_a_first_promotion_stops_before_data_that_nobody_explains() -> None:
    assert promotion.find_unexplained([], None) is None
    assert "no record of ours explains the data in s_data" in (promotion.find_unexplained(["s_data"], None) or "")
    assert "was a live app at 1.0.0+5.0.0" in (promotion.find_unexplained([], "1.0.0+5.0.0") or "")


@pytest.mark.parametrize(
    ("changes", "withdrawn"),
    [
        ({"result": RunResult.RED, "stages": (stage(Stage.INSTALL, "failed"),)}, True),
        ({"result": RunResult.RED, "stages": ()}, False),
        ({"result": RunResult.ERROR, "stages": (stage(Stage.INSTALL, "error"),)}, False),
        ({"result": RunResult.RED, "asked": (Stage.INSTALL,), "stages": (stage(Stage.INSTALL, "failed"),)}, False),
        ({"result": RunResult.GREEN, "stages": (stage(Stage.INSTALL, "passed"),)}, False),
    ],
)
def test_a_green_is_taken_back_only_by_a_stage_that_failed(changes: dict[str, object], withdrawn: bool) -> None:
    assert promotion.withdraws(a_run(**changes), STAGES) is withdrawn
