"""The changes that are interrupted everywhere: each a prepared host whose next pass does something."""

from collections.abc import Callable
from pathlib import Path

from tests.fakes.world import Behaviour, Host

V1, V2 = "1.0.0+5.0.0", "1.0.1+5.0.1"


def deployed(root: Path, **spec: object) -> Host:
    """V1 runs."""
    host = Host(root, **spec)
    host.release(V1)
    assert host.result() == f"deployed:{V1}"
    return host


def good_upgrade(root: Path) -> Host:
    host = deployed(root)
    host.release(V2, Behaviour(schema=2))
    return host


def second_upgrade(root: Path) -> Host:
    """Known-good already has a fallback with a snapshot, which must never be left dangling."""
    host = deployed(root)
    host.release("1.0.0+5.0.0.1", Behaviour(schema=1))
    host.result()
    host.release(V2, Behaviour(schema=2))
    return host


def failing_second_upgrade(root: Path) -> Host:
    """The snapshot of the first upgrade gives way to one of the second, which fails."""
    host = second_upgrade(root)
    host.release(V2, Behaviour(schema=2, fails="after"))
    return host


def failing_upgrade(root: Path) -> Host:
    host = deployed(root)
    host.release(V2, Behaviour(schema=2, fails="after"))
    return host


def changed_network(root: Path) -> Host:
    """The release wants its network otherwise, and fails: there and back it is made anew."""
    host = Host(root)
    host.release(V1)
    host.give_network(V1)
    assert host.result() == f"deployed:{V1}"
    host.release(V2, Behaviour(schema=2, fails="after"))
    host.give_network(V2, attachable=True)
    return host


def unhealthy_upgrade(root: Path) -> Host:
    host = deployed(root)
    host.release(V2, Behaviour(schema=2, fails="unhealthy"))
    return host


def failing_rollback(root: Path) -> Host:
    """The prior does not come up again either."""
    host = failing_upgrade(root)
    host.engine.on_undeploy = lambda: host.engine.images.update(
        {"registry.test/notes:5.0.0": Behaviour(fails="before")}
    )
    return host


def stateless_upgrade(root: Path) -> Host:
    host = deployed(root, stateful=False)
    host.release(V2, Behaviour())
    return host


def stateless_failure(root: Path) -> Host:
    host = deployed(root, stateful=False)
    host.release(V2, Behaviour(fails="before"))
    return host


def first_deploy(root: Path) -> Host:
    host = Host(root)
    host.release(V1)
    return host


def failing_first_deploy(root: Path) -> Host:
    host = Host(root)
    host.release(V1, Behaviour(fails="after"))
    return host


def heal(root: Path) -> Host:
    host = deployed(root)
    host.engine.services.clear()
    return host


def bake_rollback(root: Path) -> Host:
    host = deployed(root, upgrade={"bake": "1d"})
    host.release(V2, Behaviour(schema=2))
    host.result()
    host.engine.images["registry.test/notes:5.0.1"].fails = "unhealthy"
    return host


ALL: dict[str, Callable[[Path], Host]] = {
    made.__name__: made
    for made in (
        good_upgrade,
        second_upgrade,
        failing_second_upgrade,
        failing_upgrade,
        changed_network,
        unhealthy_upgrade,
        failing_rollback,
        stateless_upgrade,
        stateless_failure,
        first_deploy,
        failing_first_deploy,
        heal,
        bake_rollback,
    )
}
GOOD_ENDS: dict[str, set[tuple[str | None, str]]] = {
    # (known-good, schema of the data) that a scenario may end with
    "good_upgrade": {(V1, "1"), (V2, "2")},
    "second_upgrade": {("1.0.0+5.0.0.1", "1"), (V2, "2")},
    "failing_second_upgrade": {("1.0.0+5.0.0.1", "1")},
    "failing_upgrade": {(V1, "1")},
    "changed_network": {(V1, "1")},
    "unhealthy_upgrade": {(V1, "1")},
    "failing_rollback": {(V1, "1")},
    "stateless_upgrade": {(V1, "1"), (V2, "1")},
    "stateless_failure": {(V1, "1")},
    "first_deploy": {(V1, "1"), (None, "1"), (None, "")},
    "failing_first_deploy": {(None, "1"), (None, "")},
    "heal": {(V1, "1")},
    "bake_rollback": {(V1, "1")},
}
KEEPS_FAILED_DATA = {
    "failing_upgrade",
    "failing_second_upgrade",
    "changed_network",
    "unhealthy_upgrade",
    "failing_rollback",
    "bake_rollback",
}
"""After these the failed release's data must still be beside the volume."""
