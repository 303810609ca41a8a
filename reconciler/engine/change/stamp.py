"""Writes down which release writes an app's volumes, before it may. Effects: stamps beside volumes, `data.json`."""

from collections.abc import Sequence

from reconciler.core.change import data_version
from reconciler.engine.ports import Ports
from reconciler.model.data_stamp import DataRecord, DataStamp
from reconciler.model.ids import AppName
from reconciler.model.release import Release


def stamp(ports: Ports, app: AppName, volumes: Sequence[str], release: Release, *, stateful: bool, op_id: str) -> None:
    """Stamp the volumes as written by `release`. Doing it twice changes nothing.

    A stamp beside a volume that could not be written is told, and left to the next change: the records have it.

    Raises:
        OSError: the records could not be written.
        StateError: a stamp that is there cannot be read.
    """
    observed = ports.engine.observe_volumes(volumes)
    record, beside = ports.store.data(app), ports.node.stamps.read(list(observed.values()))
    like = DataStamp(
        app=app,
        volume="",
        version=release.version,
        commit=release.commit,
        stateful=stateful,
        at=ports.clock.now(),
        op_id=op_id,
    )
    made = data_version.make(volumes, data_version.newest(record.volumes, beside), like)
    # The records first: they know volumes that the engine makes only now.
    if {**record.volumes, **made} != record.volumes:
        ports.store.put_data(DataRecord(app=app, volumes={**record.volumes, **made}))
    # Only those that differ: a heal every minute must not write to the volumes' disk.
    for text in ports.node.stamps.write(
        [one for name, one in observed.items() if beside.get(name) != made[name]], made
    ):
        ports.progress(app, text)
