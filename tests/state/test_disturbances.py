"""What happened to the engine, kept beyond the pass that noticed it; evidence, for which nothing may fail."""

from datetime import timedelta
from pathlib import Path

from reconciler.model.disturbance import Disturbance
from reconciler.state.disturbances import DisturbanceFile
from tests.builders import NOW


def away(second: float) -> Disturbance:
    at = NOW + timedelta(seconds=second)
    return Disturbance(began=at, ended=at + timedelta(seconds=1), what="the engine did not answer")


def test_what_was_noticed_is_there_for_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "disturbances.json"
    DisturbanceFile(path).note([away(0)])
    DisturbanceFile(path).note([away(9000)])
    assert DisturbanceFile(path).read() == (away(0), away(9000))


def test_where_it_cannot_be_written_it_is_known_all_the_same(tmp_path: Path) -> None:
    file = DisturbanceFile(tmp_path / "nowhere" / "disturbances.json")
    assert file.note([away(0)]) == (away(0),)


def test_a_torn_file_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "disturbances.json"
    path.write_text('{"schema_version": 1, "seen": [{')
    assert DisturbanceFile(path).read() == ()
    assert DisturbanceFile(path).note([away(0)]) == (away(0),)
    assert DisturbanceFile(path).read() == (away(0),)
