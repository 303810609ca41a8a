"""An upgrade tells how far its pull, its snapshot and its way back are."""

from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.engine.context import Context
from reconciler.engine.release import images
from reconciler.model.errors import ActError
from reconciler.model.moved import Amount, Moved
from reconciler.model.observed import ImageObs
from reconciler.model.recipe import ImageLookup
from reconciler.ports.engine import Pulled
from tests.fakes.world import Behaviour, Host

V1, V2 = "1.0.0+5.0.0", "1.0.1+5.0.1"


def phases(told: list[Amount]) -> list[str]:
    assert {amount.app for amount in told} == {"notes"}
    return list(dict.fromkeys(amount.doing.partition(" registry")[0] for amount in told))


COPIES = {True: ["snapshot: copying ahead", "snapshot: copying what changed"], False: ["snapshot: copying"]}


@pytest.mark.parametrize("copies_ahead", COPIES)
def test_every_part_that_may_take_long_is_told(tmp_path: Path, *, copies_ahead: bool) -> None:
    host = Host(tmp_path, upgrade={"bake": "0s", "copy_ahead": copies_ahead})
    host.release(V1)
    assert host.result() == f"deployed:{V1}"
    host.told.clear()
    host.release(V2, Behaviour(fails="after", schema=2))
    assert host.result() == f"rolled-back:{V2}->{V1}"
    assert phases(host.told) == [
        "loading",
        *COPIES[copies_ahead],
        *([] if copies_ahead else ["snapshot: reading back"]),
        "restore: unpacking",
        "restore: comparing",
    ]
    [total] = {amount.of for amount in host.told if amount.doing == COPIES[copies_ahead][0] and not amount.over}
    assert total is not None, "as preflight measured it"


class Engine:
    """Says these things while it pulls, then fails if it is told to."""

    def __init__(self, *says: Pulled, error: str = "") -> None:
        self.says, self.error = says, error

    def pull(self, reference: str, hear: object) -> object:
        assert callable(hear)
        for far in self.says:
            hear(far)
        if self.error:
            raise ActError(self.error)
        return ImageObs(pinned=f"{reference}@sha256:1", created="")


def pull(host: Host, engine: object) -> list[tuple[str, int, int | None, bool]]:
    told: list[Amount] = []
    ports = replace(host.ports(), engine=engine, tell=told.append)  # type: ignore[arg-type] # only pulls
    context = Context(ports=ports, settings=host.settings, spec=host.specs[0])
    images.pull_missing(context, [ImageLookup(reference="notes:1", exists=True)])
    return [(one.doing, one.done, one.of, one.over) for one in told if isinstance(one, Moved)]


def test_a_pull_is_two_parts_each_with_its_end(tmp_path: Path) -> None:
    host = Host(tmp_path)
    engine = Engine(
        Pulled(doing="loading", done=0, of=None),
        Pulled(doing="loading", done=70, of=100),
        Pulled(doing="unpacking", done=10, of=100),
    )
    told = pull(host, engine)
    assert ("loading notes:1", 100, 100, True) in told
    assert told[-1] == ("unpacking notes:1", 100, 100, True)
    assert [over for *_, over in told].count(True) == 2


def test_a_pull_that_fails_is_over_too(tmp_path: Path) -> None:
    told: list[Amount] = []
    host = Host(tmp_path)
    engine = Engine(Pulled(doing="loading", done=70, of=100), error="no such thing")
    ports = replace(host.ports(), engine=engine, tell=told.append)  # type: ignore[arg-type] # only pulls
    with pytest.raises(ActError, match="no such thing"):
        images.pull_missing(
            Context(ports=ports, settings=host.settings, spec=host.specs[0]),
            [ImageLookup(reference="notes:1", exists=True)],
        )
    assert told[-1].over and told[-1].done < 100
