"""`${VAR}` as Docker's loader reads it, and as env files do."""

import pytest

from reconciler.core.release import casts, interpolate, render
from reconciler.state.specs import RecipeYaml
from tests.builders import spec

ENV = {"A": "1", "EMPTY": "", "NAME": "x y"}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("$A/${A}", "1/1"),
        ("${B:-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${B-${A}}", "1"),
        ("${A:+set}", "set"),
        ("${B:+set}", ""),
        ("$$A", "$A"),
        ("${A:?no}", "1"),
        ("${B}", ""),
        ("a${NAME}b", "ax yb"),
    ],
)
def test_variables_as_compose_defines_them(template: str, text: str) -> None:
    assert interpolate.text(template, ENV) == text


@pytest.mark.parametrize("template", ["${B:?is needed}", "${", "${A", "$(A)", "${A!b}", "${:-x}", "$"])
def test_bad_templates_are_errors(template: str) -> None:
    with pytest.raises(interpolate.InterpolationError):
        interpolate.text(template, ENV)


@pytest.mark.parametrize("operator", [":-", "-", "+", ":+"])
@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("ops:$2y$05$abcdefgh", "ops:$2y$05$abcdefgh"),
        ("a$$b", "a$$b"),
        ("$A", "$A"),
        ("$", "$"),
        ("a${", "a${"),
        ("${1}", "${1}"),
        ("${A:-x}$", "1$"),
        ("${B:-x}", "x"),
        ("$${A}", "$${A}"),
    ],
)
def test_a_default_is_text_and_only_a_variable_in_braces_is_read_in_it(operator: str, word: str, text: str) -> None:
    name = "A" if "+" in operator else "B"
    assert interpolate.text(f"<${{{name}{operator}{word}}}>", ENV) == f"<{text}>"


@pytest.mark.parametrize("operator", [":?", "?"])
@pytest.mark.parametrize("word", ["$", "$2y$05$x", "a$$b", "a${"])
def test_the_message_of_a_required_variable_is_text(operator: str, word: str) -> None:
    assert interpolate.text(f"${{A{operator}{word}}}", ENV) == "1"
    with pytest.raises(interpolate.InterpolationError, match="B is required"):
        interpolate.text(f"${{B{operator}{word}}}", ENV)


def test_a_required_variable_in_a_default_is_required() -> None:
    with pytest.raises(interpolate.InterpolationError, match="B is required: say it"):
        interpolate.text("${C:-${B:?say it}}", ENV)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("X='$2y$05$abc'", "$2y$05$abc"),
        ("X='$A'", "$A"),
        ("X='${A:-b}'", "${A:-b}"),
        ("X='a$$b'", "a$$b"),
        ('X="c\\$d"', "c$d"),
        ('X="c\\${A}"', "c${A}"),
        ("X=c\\$d", "c$d"),
        ('X="$A/${A}/${B:-$A}"', "1/1/1"),
        ("X='c\\$d'", "c\\$d"),
        ('X="c\\\\$A"', "c\\1"),
        ("X=$A", "1"),
        ("export X='$A' # more", "$A"),
        ("X=$2y$05$", "$2y$05$"),
        ("X=5$", "5$"),
        ("X=${B:-$2y}", "$2y"),
    ],
)
@pytest.mark.parametrize("name", [".env.sample", "abra.sh"])
def test_quotes_of_env_files_mean_what_dotenv_readers_take_them_for(line: str, value: str, name: str) -> None:
    lines = ["A=1", line]
    if name == "abra.sh":
        lines = [each if each.startswith("export ") else f"export {each}" for each in lines]
    read = RecipeYaml().env("\n".join(lines).encode(), name)
    assert render.environment(spec(), read, ())["X"] == value


CAST = {"N": "3", "T": "true", "M": "0440", "F": "0.5", "Y": "y", "Z": "007"}


@pytest.mark.parametrize(
    ("place", "value", "found"),
    [
        (("services", "a", "deploy", "replicas"), "${N}", 3),
        (("services", "a", "deploy", "replicas"), "${Z}", 7),
        (("services", "a", "deploy", "replicas"), "3", "3"),
        (("services", "a", "deploy", "replicas"), "${T}", "true"),
        (("services", "a", "deploy", "update_config", "max_failure_ratio"), "${F}", 0.5),
        (("services", "a", "deploy", "update_config", "order"), "${N}", "3"),
        (("services", "a", "read_only"), "${T}", True),
        (("services", "a", "read_only"), "${Y}", True),
        (("services", "a", "oom_score_adj"), "${N}", 3),
        (("services", "a", "ulimits", "memlock"), "${N}", 3),
        (("services", "a", "ulimits", "core", "hard"), "${N}", 3),
        (("services", "target", "labels", "replicas"), "${N}", "3"),
        (("services", "a", "environment", "mode"), "${N}", "3"),
        (("services", "a", "logging", "options", "size"), "${N}", "3"),
        (("services", "a", "hostname"), "${N}", "3"),
        (("services", "a", "deploy", "mode"), "${N}", "3"),
        (("services", "a", "x-mode", "published"), "${N}", "3"),
        (("networks", "n", "attachable"), "${T}", True),
        (("networks", "n", "driver_opts", "internal"), "${T}", "true"),
        (("volumes", "n", "external"), "${T}", True),
        (("x-a", "external"), "${T}", "true"),
    ],
)
def test_what_becomes_a_number_goes_by_the_place(place: tuple[str, ...], value: str, found: object) -> None:
    document: object = value
    for key in reversed(place):
        document = {key: document}
    tree = casts.tree(document, CAST)
    for key in place:
        assert isinstance(tree, dict)
        tree = tree[key]
    assert (tree, type(tree)) == (found, type(found))


def test_what_becomes_a_number_goes_by_the_place_in_lists_too() -> None:
    service = {
        "ports": [{"target": "${N}", "published": "${N}", "mode": "${N}"}, "${N}:${N}"],
        "configs": [{"source": "${N}", "mode": "${M}"}],
        "volumes": [{"source": "${N}", "read_only": "${T}", "volume": {"nocopy": "${T}"}, "tmpfs": {"size": "${N}"}}],
    }
    assert casts.tree({"services": {"a": service}}, CAST) == {
        "services": {
            "a": {
                "ports": [{"target": 3, "published": 3, "mode": "3"}, "3:3"],
                "configs": [{"source": "3", "mode": 0o440}],
                "volumes": [{"source": "3", "read_only": True, "volume": {"nocopy": True}, "tmpfs": {"size": 3}}],
            }
        }
    }


def test_a_doubling_chain_of_variables_is_cut_off() -> None:
    sample = [("A0", "x" * 64), *((f"A{n + 1}", f"${{A{n}}}${{A{n}}}") for n in range(40))]
    with pytest.raises(interpolate.InterpolationError):
        render.environment(spec(), sample, ())


def test_many_lines_are_told_in_time_and_a_name_that_comes_again_counts_once() -> None:
    again = [("A", "x" * 1000)] * 5000
    assert render.environment(spec(), again, ())["A"] == "x" * 1000
    with pytest.raises(interpolate.InterpolationError, match="1 MiB"):
        render.environment(spec(), [(f"A{n}", "x" * 1000) for n in range(5000)], ())


def test_a_line_builds_on_the_ones_before_and_the_spec_stands() -> None:
    sample = [
        ("DOMAIN", "app.example.com"),
        ("ALSO", "www.$DOMAIN"),
        ("COMPOSE_FILE", "compose.yml"),
        ("COMPOSE_FILE", "$COMPOSE_FILE:compose.more.yml"),
        ("KEPT", "theirs"),
        ("SECRET_DB_PASSWORD_VERSION", "v1"),
    ]
    one = spec(env={"KEPT": "$ours"}, secrets={"db_password": {"version": "v7"}})
    env = render.environment(one, sample, [("COMPOSE_FILE", "${COMPOSE_FILE}:compose.last.yml"), ("TWICE", "$KEPT")])
    assert env == {
        "STACK_NAME": one.stack_name,
        "DOMAIN": one.domain,
        "ALSO": f"www.{one.domain}",
        "KEPT": "$ours",
        "COMPOSE_FILE": "compose.yml:compose.more.yml:compose.last.yml",
        "TWICE": "$ours",
        "SECRET_DB_PASSWORD_VERSION": "v7",
    }


def test_escaping_survives_one_more_interpolation() -> None:
    value = {"a": ["$x ${y} $$z"]}
    assert casts.tree(interpolate.escape(value), {"x": "no"}) == value
