"""The API held to its own description, by everything that schemathesis thinks of."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.web.access import Role
from tests.conftest import need_module
from tests.web.site import Site, copy_state

schemathesis = need_module("schemathesis")
pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
EXAMPLES = 40
"""Per operation and phase."""
STREAM = "/api/v1/changes"
"""Never ends, by design."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("schema")
    made = Site(home=folder / "etc", state=copy_state(folder / "state"), roles=tuple(Role))
    with made.serving():
        yield made


def test_every_answer_is_as_described_and_none_is_an_error_of_ours(site: Site, tmp_path: Path) -> None:
    from schemathesis.config import SchemathesisConfig
    from schemathesis.engine import events, from_schema

    config = tmp_path / "schemathesis.toml"
    config.write_text(
        f'base-url = "{site.url}"\n'
        f'headers = {{ Authorization = "Bearer {site.tokens[Role.OPERATE]}" }}\n'
        f"[generation]\nmax-examples = {EXAMPLES}\ndeterministic = true\n"
        '[parameters]\n"query.wait" = 0\n'  # nobody answers here
        "[checks]\npositive_data_acceptance.enabled = false\n"  # whom a path names may not be there
        f'[[operations]]\ninclude-path = "{STREAM}"\nenabled = false\n'
    )
    schema = schemathesis.openapi.from_url(
        f"{site.url}/api/v1/openapi.json", config=SchemathesisConfig.from_path(config)
    )
    failures: list[str] = []
    tried = 0
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            tried += sum(len(checks) for checks in event.recorder.checks.values())
            failures += [
                f"{event.recorder.label}: {check.name}: {check.failure_info.failure}"
                for checks in event.recorder.checks.values()
                for check in checks
                if check.failure_info is not None
            ]
        assert not isinstance(event, events.NonFatalError | events.FatalError), event
    assert tried > 500
    assert not failures, "\n".join(sorted(set(failures)))
