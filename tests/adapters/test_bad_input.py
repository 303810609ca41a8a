"""Bad specs, recipes and compose files: one clear error each, all of them at once, nothing executed."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.adapters import git_listing, process
from reconciler.adapters.git import GitRecipes, parse_tags
from reconciler.adapters.git_refs import GitRefs
from reconciler.demo.recipes import Recipe, Version
from reconciler.model.app import Kind
from reconciler.model.errors import RecipeError, SpecError
from reconciler.model.settings import GitSettings, Settings
from reconciler.state import specs, strict_yaml
from reconciler.state.specs import RecipeYaml

GOOD = "name: {n}\nrecipe: {{url: https://git.test/{n}.git}}\ndomain: {n}.example.test\nstateful: true\n"


def load(tmp_path: Path, **texts: str) -> list[str]:
    """Write specs and load them; the problems, or nothing."""
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    try:
        specs.read_specs([tmp_path], Settings())
    except SpecError as exc:
        return [str(problem).replace(f"{tmp_path}/", "") for problem in exc.problems]
    return []


def test_three_mistakes_in_one_spec_are_three_lines(tmp_path: Path) -> None:
    text = "name: Notes!\nrecipe:\n  url: https://git.test/x.git\n  trak: latest\ndomain: a.example\nstateful: maybe\n"
    assert load(tmp_path, a=text) == [
        "a.yaml:1: name: must match [a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?",
        "a.yaml:4: recipe.trak: is not a key we know",
        "a.yaml:6: stateful: Input should be a valid boolean, unable to interpret input",
    ]


def test_every_problem_of_every_file_is_told(tmp_path: Path) -> None:
    found = load(tmp_path, a="name: a\nname: b\n", b="[1, 2]", c=GOOD.format(n="c"), d="x: [")
    assert list(dict.fromkeys(line.split(":")[0] for line in found)) == ["a.yaml", "b.yaml", "d.yaml"]
    assert "stands twice" in found[0] and "recipe: Field required" in found[1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("recipe: {url: x, track: 10.1}", "YAML reads 10.1 as a float; put it in quotes"),
        ("recipe: {url: --upload-pack=evil}", "is not a git URL"),
        ("recipe: {url: x, track: newest}", "must be 'latest'"),
        ("domain: a b", "is not a domain name"),
        ("upgrade: {window: '25:00-26:00 UTC'}", "is not a window"),
        ("upgrade: {window: '02:00-05:00 Mars/Base'}", "no time zone"),
        ("upgrade: {cooldown: soon}", "is not a duration"),
        ("after: [a]", "an app cannot come after itself"),
        ("health: {jobs: [app]}", "app is the main service"),
        ("env: {'A-B': x}", "is not a variable name"),
        ("health: {path: no-slash}", "String should match pattern"),
        ("secrets: {db: {version: 'V 1'}}", "String should match pattern"),
        ("stack: ../../etc", "must be a name"),
        ("kind: shell", "Input should be 'live' or 'canonical'"),
        ("env: {A: &x one, B: *x}", "aliases are not allowed"),
    ],
)
def test_each_mistake_names_its_line_and_key(tmp_path: Path, change: str, says: str) -> None:
    key = change.partition(":")[0]
    lines = [line for line in GOOD.format(n="a").splitlines() if not line.startswith(f"{key}:")]
    [problem] = load(tmp_path, a="\n".join([*lines, change]))
    assert says in problem
    assert problem.startswith(f"a.yaml:{1 if says.startswith('an app') else len(lines) + 1}: ")


def test_conflicts_between_specs_are_found(tmp_path: Path) -> None:
    same = GOOD.format(n="b").replace("b.example.test", "a.example.test")
    found = load(tmp_path, a=GOOD.format(n="a"), b=same, c=GOOD.format(n="c") + "after: [nobody]\n")
    assert any("'a.example.test' is already claimed by 'a'" in line for line in found)
    assert any("no app is named 'nobody'" in line for line in found)
    ring = {name: GOOD.format(n=name) + f"after: [{after}]\n" for name, after in (("a", "c"), ("b", "a"), ("c", "b"))}
    assert any("goes in a circle" in line for line in load(tmp_path, **ring))


def test_specs_come_in_the_order_of_after_and_canonicals_last(tmp_path: Path) -> None:
    (tmp_path / "1.yaml").write_text(GOOD.format(n="keycloak") + "after: [traefik]\n")
    (tmp_path / "2.yaml").write_text(GOOD.format(n="traefik"))
    (tmp_path / "0.json").write_text('{"name": "wiki", "kind": "canonical", "recipe": {"url": "x"}, "stateful": true}')
    found = specs.read_specs([tmp_path], Settings(domain_suffix="ci.example.net"))
    assert [spec.name for spec in found] == ["traefik", "keycloak", "wiki"]
    assert (found[2].kind, found[2].domain) == (Kind.CANONICAL, "warm-wiki.ci.example.net")
    assert found[2].stack_name == "warm-wiki_ci_example_net"


BOMBS = {
    "brackets": "[" * 60_000,
    "nested maps": "a: " + "{b: " * 40 + "1" + "}" * 40,
    "dashes": "- " * 50_000 + "x",
    "aliases": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{new}: &{new} [{','.join(['*' + old] * 9)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)),
    "tag": "a: !!python/object/apply:os.system [touch /tmp/evil]",
    "not utf-8": "\udcff",
    "huge": "a: " + "x" * 300_000,
    "two documents": "a: 1\n---\nb: 2\n",
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("recipe", [False, True], ids=["spec", "recipe"])
def test_yaml_bombs_end_in_a_typed_error(name: str, recipe: bool) -> None:
    with pytest.raises(SpecError) as caught:
        strict_yaml.parse(BOMBS[name].encode("utf-8", "surrogateescape"), "x.yaml", recipe=recipe)
    assert str(caught.value).startswith("x.yaml")


def test_plain_values_are_what_people_meant() -> None:
    text = b"{a: 22:22, b: yes, c: 2024-05-01, d: 0440, e: 1.5, f: true, g: ~, h: 1_000, i: 0x1F}"
    data = strict_yaml.parse(text, "x").data
    assert data == {
        "a": "22:22",
        "b": "yes",
        "c": "2024-05-01",
        "d": 0o440,
        "e": 1.5,
        "f": True,
        "g": None,
        "h": "1_000",
        "i": 31,
    }


@pytest.mark.parametrize("text", ["!!int ''", "!!bool x", "!!timestamp x", "!!int " + "9" * 5000, "!!float ."])
def test_numbers_that_are_none_stay_text_for_the_schema_to_refuse(text: str) -> None:
    found = strict_yaml.parse(f"a: {text}".encode(), "x").data
    assert isinstance(found, dict)
    assert isinstance(found["a"], str)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("0o440", 0o440), ("0440", 0o440), ("1_000", 1000), ("0x1F", 31), ("0b11", 3), ("+5", 5), ("-0", 0)),
        *(("09", 9.0), ("1e3", 1000.0), (".5", 0.5), ("1.", 1.0), ("1_0.5", 10.5), ("18446744073709551616", 2.0**64)),
        *(("22:22", "22:22"), ("yes", "yes"), ("2024-05-01", "2024-05-01"), ("1e400", "1e400"), (".inf", ".inf")),
        *(("true", True), ("False", False), ("NULL", None), ("~", None), ("_1", "_1"), ("=", "="), ("-a", "-a")),
        *(("'0o440'", "0o440"), ('"1_000"', "1_000"), ("!!str 09", "09"), ("&x !!str 1_0", "1_0"), ("&x 1_0", 10)),
    ],
)
def test_plain_values_of_recipes_are_what_docker_takes_them_for(text: str, value: object) -> None:
    found = RecipeYaml().compose(f"é: ['é', {text} ]\n".encode(), "c")["é"]
    assert isinstance(found, list)
    assert (found[1], type(found[1])) == (value, type(value))


def test_recipes_may_use_anchors_and_override_what_they_merge() -> None:
    text = b"x: &x {a: 1, b: 2}\nservices: {app: {<<: *x, b: 3}}\n"
    assert RecipeYaml().compose(text, "c")["services"] == {"app": {"a": 1, "b": 3}}


def test_of_a_shell_script_only_exports_are_read_and_nothing_runs(tmp_path: Path) -> None:
    script = f"export A_VERSION=v3\ntouch {tmp_path}/evil\nB=no\nexport C=$(touch {tmp_path}/evil)\n"
    assert RecipeYaml().env(script.encode(), "abra.sh")[0] == ("A_VERSION", "v3")
    assert not (tmp_path / "evil").exists()
    text = b"TYPE=x\n# comment\nA='b c' # trailing\nexport D=1\nTYPE=$TYPE:y\nNONE\n"
    found = RecipeYaml().env(text, ".env.sample")
    assert found == [("TYPE", "x"), ("A", "b c"), ("D", "1"), ("TYPE", "$TYPE:y")]


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    made = Recipe(tmp_path / "recipe", stateful=True)
    made.release(Version(tag="1.0.0+5.0.0", image="x:1", files={"release/1.0.0+5.0.0": "first"}))
    return made


@pytest.fixture
def mirrors(tmp_path: Path) -> GitRecipes:
    (tmp_path / "mirrors").mkdir()
    return GitRecipes(tmp_path / "mirrors", GitSettings(allow_file=True, timeout=20), lambda: 0.0)


def test_annotated_tags_are_peeled_and_lightweight_ones_named(recipe: Recipe, mirrors: GitRecipes) -> None:
    commit = recipe.git("rev-parse", "HEAD").strip()
    recipe.git("tag", "1.0.1+5.0.1")
    recipe.git("tag", "--annotate", "--message", "m", "-f", "nested", "1.0.0+5.0.0")
    mirrors.fetch(recipe.url)
    tags = mirrors.tags(recipe.url)
    assert tags.annotated["1.0.0+5.0.0"] == commit
    assert "1.0.1+5.0.1" in tags.lightweight


def test_notes_are_found_in_every_known_place(recipe: Recipe, mirrors: GitRecipes) -> None:
    files = {"release/1.0.1+5.0.1.md": "markdown", "releaseNotes/1.0.2+5.0.2.md": "old place"}
    recipe.release(Version(tag="1.0.2+5.0.2", image="x:2", files=files))
    mirrors.fetch(recipe.url)
    head = mirrors.tags(recipe.url).annotated["1.0.2+5.0.2"]
    found = mirrors.notes(recipe.url, head, ["1.0.0+5.0.0", "1.0.1+5.0.1", "1.0.2+5.0.2", "9.9.9+9"])
    assert found == {"1.0.0+5.0.0": "first", "1.0.1+5.0.1": "markdown", "1.0.2+5.0.2": "old place"}


def test_a_fetch_that_hangs_or_cannot_be_started_names_the_repository(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nexec {shutil.which('sleep')} 30\n")  # builders of packages have no /bin/sleep
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    hurried = GitRecipes(tmp_path / "hurried", GitSettings(allow_file=True, timeout=0.2), lambda: 0.0)
    hurried.root.mkdir()
    with pytest.raises(RecipeError) as hangs:
        hurried.fetch(recipe.url)
    assert str(hangs.value) == f"{recipe.url}: git init did not end within 0.2 s"
    program.unlink()
    with pytest.raises(RecipeError) as gone:
        hurried.fetch(recipe.url)
    assert str(gone.value).startswith(f"{recipe.url}: git cannot be started: ")


def test_a_failed_fetch_keeps_the_last_known_state(recipe: Recipe, mirrors: GitRecipes, tmp_path: Path) -> None:
    mirrors.fetch(recipe.url)
    recipe.folder.rename(tmp_path / "away")
    with pytest.raises(RecipeError, match="the last known state stays"):
        mirrors.fetch(recipe.url)
    assert "1.0.0+5.0.0" in mirrors.tags(recipe.url).annotated


def empty_a_tag(mirror: Path) -> None:
    (mirror / "refs" / "tags" / "1.0.0+5.0.0").write_text("")


def empty_the_config(mirror: Path) -> None:
    (mirror / "config").write_text("")


def empty_the_objects(mirror: Path) -> None:
    for path in (mirror / "objects").glob("??/*"):
        path.unlink()
        path.write_bytes(b"")


def empty_the_head(mirror: Path) -> None:
    (mirror / "HEAD").write_text("")


def mix_up_packed_refs(mirror: Path) -> None:
    (mirror / "packed-refs").write_text("half a line")


def lose_a_packed_object(mirror: Path) -> None:
    for path in (mirror / "objects").glob("??/*"):
        path.unlink()


TORN = (empty_a_tag, empty_the_config, empty_the_head, empty_the_objects, mix_up_packed_refs, lose_a_packed_object)


@pytest.mark.parametrize("tear", TORN, ids=lambda tear: tear.__name__)
def test_a_mirror_that_a_power_cut_tore_is_made_anew(
    tear: Callable[[Path], None], recipe: Recipe, mirrors: GitRecipes
) -> None:
    mirrors.fetch(recipe.url)
    [mirror] = mirrors.root.iterdir()
    tear(mirror)
    recipe.release(Version(tag="1.0.1+5.0.1", image="x:2"))
    mirrors.fetch(recipe.url)
    tags = mirrors.tags(recipe.url).annotated
    assert set(tags) == {"1.0.0+5.0.0", "1.0.1+5.0.1"}
    assert all(mirrors.files(recipe.url, commit)["compose.yml"] for commit in tags.values())
    assert [path.name for path in mirrors.root.iterdir()] == [mirror.name]


def test_a_torn_mirror_stays_while_its_repository_is_away(recipe: Recipe, mirrors: GitRecipes, tmp_path: Path) -> None:
    """What of it can be read may still be wanted."""
    mirrors.fetch(recipe.url)
    [mirror] = mirrors.root.iterdir()
    recipe.git("branch", "other")
    mirrors.fetch(recipe.url)
    (mirror / "refs" / "heads" / "other").write_text("")
    recipe.folder.rename(tmp_path / "away")
    with pytest.raises(RecipeError, match="the last known state stays"):
        mirrors.fetch(recipe.url)
    assert "1.0.0+5.0.0" in mirrors.tags(recipe.url).annotated
    assert [path.name for path in mirrors.root.iterdir()] == [mirror.name]


def test_a_repository_with_sha256_digests_is_fetched(tmp_path: Path, mirrors: GitRecipes) -> None:
    folder = tmp_path / "new"
    process.run(["git", "init", "--quiet", "--object-format=sha256", str(folder)], timeout_s=30)
    recipe = Recipe(folder, stateful=True)
    recipe.release(Version(tag="1.0.0+5.0.0", image="x:1"))
    for _ in range(2):
        mirrors.fetch(recipe.url)
    commit = mirrors.tags(recipe.url).annotated["1.0.0+5.0.0"]
    assert len(commit) == 64 and mirrors.files(recipe.url, commit)["compose.yml"]


def test_moved_and_vanished_tags_are_seen_as_they_are(recipe: Recipe, mirrors: GitRecipes) -> None:
    mirrors.fetch(recipe.url)
    first = mirrors.tags(recipe.url).annotated["1.0.0+5.0.0"]
    recipe.commit(Version(tag="x", image="x:3"))
    recipe.git("tag", "--annotate", "--force", "--message", "m", "1.0.0+5.0.0")
    mirrors.fetch(recipe.url)
    assert mirrors.tags(recipe.url).annotated["1.0.0+5.0.0"] != first
    recipe.git("tag", "--delete", "1.0.0+5.0.0")
    mirrors.fetch(recipe.url)
    assert mirrors.tags(recipe.url).annotated == {}
    assert mirrors.files(recipe.url, first)["compose.yml"], "what was deployed can still be read"


def test_a_recipe_never_reads_the_host(recipe: Recipe, mirrors: GitRecipes, tmp_path: Path) -> None:
    (recipe.folder / "passwd").symlink_to("/etc/passwd")
    recipe.release(Version(tag="1.0.3+5.0.3", image="x:1"))
    mirrors.fetch(recipe.url)
    assert "passwd" not in mirrors.files(recipe.url, mirrors.tags(recipe.url).annotated["1.0.3+5.0.3"])
    closed = GitRecipes(tmp_path / "mirrors", GitSettings(), lambda: 0.0)
    with pytest.raises(RecipeError, match="not allowed"):
        closed.fetch(recipe.url)


@pytest.mark.parametrize("line", ["", "tag", "tag a b", "commit abc  refs", "blob x tag y ../../etc"])
def test_odd_listings_give_no_tags(line: str) -> None:
    assert parse_tags(line).annotated == {}


def test_a_recipe_with_large_files_is_read_whole(recipe: Recipe, mirrors: GitRecipes) -> None:
    """What git prints of it is data, and not words of which the last ones are kept."""
    files = {f"abra/{number}.sql": f"-- {number}\n" * 40_000 for number in range(4)}
    recipe.release(Version(tag="1.0.1+5.0.1", image="x:2", files=files))
    mirrors.fetch(recipe.url)
    found = mirrors.files(recipe.url, mirrors.tags(recipe.url).annotated["1.0.1+5.0.1"])
    assert {name: found[name].decode() for name in files} == files


def test_no_release_is_lost_among_many_tags(recipe: Recipe, mirrors: GitRecipes) -> None:
    """The listing of thousands is longer than the words that are kept of a program."""
    made = recipe.git("rev-parse", "1.0.0+5.0.0").strip()
    refs = "".join(f"create refs/tags/1.0.{number}+6.0.0 {made}\n" for number in range(3000))
    process.run(["git", "-C", str(recipe.folder), "update-ref", "--stdin"], timeout_s=60, stdin=refs.encode())
    for _ in range(2):
        mirrors.fetch(recipe.url)
        fresh = GitRecipes(mirrors.root, GitSettings(allow_file=True), lambda: 0.0)
        assert len(fresh.tags(recipe.url).annotated) == 3001


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """What git was started for since the last question."""
    said, real = tmp_path / "said", shutil.which("git")
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>{said}\nexec {real} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    def take() -> list[str]:
        text = said.read_text() if said.exists() else ""
        said.write_text("")
        words = ("ls-remote", "for-each-ref", "fetch")
        return [word for line in text.splitlines() for word in words if f" {word} " in line]

    return take


def test_a_repository_without_news_is_asked_and_not_fetched(
    recipe: Recipe, mirrors: GitRecipes, tmp_path: Path, asked: Callable[[], list[str]]
) -> None:
    mirrors.fetch(recipe.url)
    mirrors.fetch(recipe.url)
    asked()
    # As a new process does.
    fresh = GitRecipes(mirrors.root, GitSettings(allow_file=True), lambda: 0.0)
    fresh.fetch(recipe.url)
    assert set(fresh.tags(recipe.url).annotated) == {"1.0.0+5.0.0"}
    assert asked() == ["ls-remote"]
    for news in (("branch", "work"), ("branch", "--delete", "work"), ("tag", "--delete", "1.0.0+5.0.0")):
        recipe.git(*news)
        asked()
        fresh.fetch(recipe.url)
        assert "fetch" in asked(), news
        fresh.fetch(recipe.url)
        assert asked() == ["ls-remote", "for-each-ref"], news
    assert fresh.tags(recipe.url).annotated == {}


def test_a_branch_that_moves_and_moves_back_is_seen(recipe: Recipe, mirrors: GitRecipes) -> None:
    """What was the same once is no proof that it is now."""
    refs = GitRefs(mirrors)
    first = recipe.git("rev-parse", "HEAD").strip()
    second = recipe.commit(Version(tag="x", image="x:3"))
    for commit in (first, second, first, second, first):
        recipe.git("branch", "--force", "work", commit)
        for _ in range(2):
            mirrors.fetch(recipe.url)
            assert refs.resolve(recipe.url, "work") == commit


def test_a_listing_of_other_refs_is_not_taken(recipe: Recipe, mirrors: GitRecipes) -> None:
    """A fetch beside us that moved a branch alone, while we listed."""
    first = recipe.git("rev-parse", "HEAD").strip()
    recipe.git("branch", "work/deep")
    mirrors.fetch(recipe.url)
    mirrors.fetch(recipe.url)
    [mirror] = mirrors.root.iterdir()
    assert git_listing.read(mirror) is not None
    (mirror / "refs" / "heads" / "work" / "deep").write_text(f"{first}\n")
    assert git_listing.read(mirror) is None


@pytest.mark.parametrize("left", ["", "1", "1 x y 3", "2 {rest}"])
def test_a_listing_that_is_torn_or_of_another_form_hides_no_release(
    left: str, recipe: Recipe, mirrors: GitRecipes
) -> None:
    mirrors.fetch(recipe.url)
    mirrors.fetch(recipe.url)
    [mirror] = mirrors.root.iterdir()
    kept = mirror / "ci-warm-listing"
    whole = kept.read_text()
    for text in (left.format(rest=whole.partition(" ")[2]), whole[:-20], whole.replace("1.0.0+5.0.0", "1.0.9+5.0.9")):
        kept.write_text(text)
        fresh = GitRecipes(mirrors.root, GitSettings(allow_file=True), lambda: 0.0)
        assert set(fresh.tags(recipe.url).annotated) == {"1.0.0+5.0.0"}


def test_a_mirror_that_cannot_be_written_is_read_all_the_same(recipe: Recipe, mirrors: GitRecipes) -> None:
    mirrors.fetch(recipe.url)
    [mirror] = mirrors.root.iterdir()
    (mirror / "ci-warm-listing").mkdir()
    mirrors.fetch(recipe.url)
    assert set(mirrors.tags(recipe.url).annotated) == {"1.0.0+5.0.0"}
