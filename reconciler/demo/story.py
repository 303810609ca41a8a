"""The demo's story: every step says what it expects and checks it. Effects: one folder, and an engine."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.demo.host import DemoHost, Say
from reconciler.demo.recipes import Recipe, Version
from reconciler.model.errors import UsageError
from reconciler.model.testrun import RunMode


def tell(engine: str, folder: Path | None, say: Say) -> bool:
    """Run the whole story; False if anything was not as promised.

    Raises:
        ReconcilerError: the engine is not usable.
    """
    home = folder or Path(tempfile.mkdtemp(prefix="ci-warm-demo-"))
    home.mkdir(parents=True, exist_ok=True)
    if any(home.iterdir()):
        raise UsageError(f"{home} is not empty; the demo wants a folder of its own")
    began = time.monotonic()
    host = DemoHost(engine=engine, home=home, say=say)
    with _cleaned(host, keep=folder is not None):
        _play(host)
        took = time.monotonic() - began
        say("")
        if host.broken:
            say(f"NOT as promised: {'; '.join(host.broken)}")
        else:
            say(f"All as promised, in {took:.1f} s on the {engine} engine.")
        if folder is not None:
            say(f"Kept: ci-warm --config {home}/etc/config.yaml --state-dir {home}/state explain notes")
        say("On a real Swarm: ci-warm demo --engine swarm (root, an engine in swarm mode, a static busybox).")
    return not host.broken


@contextmanager
def _cleaned(host: DemoHost, *, keep: bool) -> Iterator[None]:
    """Leave nothing behind: stacks, volumes, images and the folder, whatever happens."""
    try:
        yield
    finally:
        host.clear()
        if not keep:
            shutil.rmtree(host.home, ignore_errors=True)


def _play(host: DemoHost) -> None:
    say = host.say
    say(f"A demo of ci-warm on the {host.engine} engine, in {host.home}")
    ingress = Recipe(host.home / "recipes" / "ingress", stateful=False)
    notes = Recipe(host.home / "recipes" / "notes", stateful=True)
    ingress.release(Version(tag="1.0.0+3.1.0", image=host.image("ingress", "3.1.0", {})))
    notes.release(Version(tag="1.0.0+5.0.0", image=host.image("notes", "5.0.0", {"SCHEMA": "1"})))
    host.spec("ingress", ingress, stateful=False)
    host.spec("notes", notes, stateful=True)
    host.spec("canon", notes, stateful=True, kind="canonical")
    idle = {"canon": "noop-idle"}

    say("\n1. First pass: both live apps are absent, and the canonical is cold: a seeding run is asked for")
    host.reconcile({"ingress": "deployed:1.0.0+3.1.0", "notes": "deployed:1.0.0+5.0.0", "canon": "seeding"})
    say("\n2. Nothing changed: nothing is done, and the canonical is not asked for twice")
    quiet = {"ingress": "noop-healthy", "notes": "noop-healthy"}
    host.reconcile({**quiet, "canon": "seeding:inflight"})

    say("\n3. A cold run tests the recipe from nothing; it is green, so it becomes the canonical")
    done = host.run(RunMode.COLD)
    host.check("green and promoted", done.result == "green" and done.promoted)
    host.check("nothing of the run is left", done.torn_down and not done.leftovers)
    host.reconcile({**quiet, **idle})

    say("\n4. A patch release that migrates its data, and one of the stateless ingress: both are taken")
    notes.release(Version(tag="1.0.1+5.0.1", image=host.image("notes", "5.0.1", {"SCHEMA": "2"})))
    ingress.release(Version(tag="1.0.1+3.1.1", image=host.image("ingress", "3.1.1", {})))
    host.reconcile(
        {"ingress": "upgraded:1.0.0+3.1.0->1.0.1+3.1.1", "notes": "upgraded:1.0.0+5.0.0->1.0.1+5.0.1", **idle}
    )
    host.check("the notes are all there, migrated", host.notes() == "[schema 2] first note\n[schema 2] second note\n")

    say("\n5. A release whose notes ask for a human: held, nothing touched")
    text = "Manual migration needed: export your notes before upgrading.\n"
    files = {"release/1.1.0+5.1.0": text}
    notes.release(Version(tag="1.1.0+5.1.0", image=host.image("notes", "5.1.0", {"SCHEMA": "3"}), files=files))
    before = host.data()
    host.reconcile({"ingress": "noop-healthy", "notes": "held-manual-migration:1.0.1+5.0.1->1.1.0+5.1.0", **idle})
    held = [alert for _, alert in host.app().alerts.open()]
    host.check("one alert, and it carries the notes", len(held) == 1 and text.strip() in str(held[0].notes))
    host.check("not one byte of data changed", host.data() == before)

    say("\n6. A major release: held")
    ingress.release(Version(tag="2.0.0+4.0.0", image=host.image("ingress", "4.0.0", {})))
    host.reconcile(
        {
            "ingress": "held-major:1.0.1+3.1.1->2.0.0+4.0.0",
            "notes": "held-manual-migration:1.0.1+5.0.1->1.1.0+5.1.0",
            **idle,
        }
    )

    _play_failing_release(host, notes, idle)


def _play_failing_release(host: DemoHost, notes: Recipe, idle: dict[str, str]) -> None:
    """A release that rewrites its data and then fails; first the held one is withdrawn."""
    say = host.say
    say("\n7. The held release is withdrawn; the next one rewrites its data and then fails")
    notes.git("tag", "--delete", "1.1.0+5.1.0")
    notes.git("rm", "--quiet", "release/1.1.0+5.1.0")
    bad = Version(tag="1.0.2+5.0.2", image=host.image("notes", "5.0.2", {"SCHEMA": "3", "FAIL": "after"}))
    notes.release(bad)
    before = host.data()
    held = {"ingress": "held-major:1.0.1+3.1.1->2.0.0+4.0.0", **idle}
    host.reconcile({"notes": "rolled-back:1.0.2+5.0.2->1.0.1+5.0.1", **held})
    app = host.app()
    alerts = [alert for _, alert in app.alerts.open() if alert.app == "notes"]
    host.check("the data is byte for byte as before", host.data() == before)
    host.check("the old version answers with the old notes", "[schema 2] first note" in host.notes())
    last_good = (app.state / "notes" / "last_good").read_text().strip()
    host.check("last_good has not moved", last_good == "1.0.1+5.0.1")
    host.check(
        "one alert explains it", len(alerts) == 1 and alerts[0].reason == "rollback" and bool(alerts[0].recovered)
    )
    for text in alerts[0].evidence if alerts else ():
        say(f"      {text}")
    say("\n8. The next pass: the broken release is quarantined, there is no second attempt")
    host.reconcile({"notes": "held-quarantined:1.0.1+5.0.1->1.0.2+5.0.2", **held})
    again = [alert for _, alert in app.alerts.open() if alert.app == "notes"]
    host.check("still the one alert", len(again) == 1)
    lines = [line.result for line in app.history.lines() if line.app == "notes"]
    host.check(
        "one history line per outcome",
        lines
        == [
            "deployed:1.0.0+5.0.0",
            "upgraded:1.0.0+5.0.0->1.0.1+5.0.1",
            "rolled-back:1.0.2+5.0.2->1.0.1+5.0.1",
        ],
    )
    _play_quick_run(host)
    from reconciler import doctor

    findings = [f.message for f in doctor.examine(app.state, deep=True) if f.severity != "note"]
    host.check(f"doctor finds nothing {findings or ''}".rstrip(), not findings)


def _play_quick_run(host: DemoHost) -> None:
    """The broken release on the canonical's data: red, and the canonical is as before."""
    host.say("\n9. A quick run of that broken release, on the canonical's data")
    app = host.app()
    kept = app.state / "canon"
    before = [(kept / name).read_bytes() for name in ("canonical.json", "snapshot/manifest.json")]
    done = host.run(RunMode.QUICK)
    after = [(kept / name).read_bytes() for name in ("canonical.json", "snapshot/manifest.json")]
    host.check("red, with lower confidence", done.result == "red" and done.confidence == "lower")
    host.check("known-good and its snapshot are untouched", before == after)
    running = app.ports.engine.observe_stack(app.spec("canon").stack_name).services
    host.check("the broken image does not run", not running)
