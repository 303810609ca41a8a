"""Images that were only ever on this host."""

from reconciler.model.ids import AppName
from tests.fakes.world import Host

V1 = "1.0.0+5.0.0"


def test_one_that_is_gone_is_missing_and_asked_for_nowhere(host: Host) -> None:
    """By its id alone it could be asked for only at a registry that never had it."""
    from reconciler.engine.context import Context
    from reconciler.engine.release.images import lookup_release

    known = host.ports().store.known_good(AppName("notes"))
    assert known is not None
    release = known.release.model_copy(update={"images": {"app": "sha256:" + "1" * 64}})
    host.registry.offline = True
    context = Context(ports=host.ports(), settings=host.settings, spec=host.specs[0])
    [found] = lookup_release(context, release)
    assert (found.exists, found.error) == (False, "was built or loaded here, and is gone")
