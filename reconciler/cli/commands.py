"""Every command of the program by heading and name: where it lives, and its summary for the help. Pure data.

The help needs no more than this, and a command that runs is the only one that is imported. A test holds each summary to
the command's own docstring.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """`at`: module below `reconciler.cli` and name in it, of a function or of a typer group."""

    at: str
    summary: str


TABLE: Mapping[str, Mapping[str, Command]] = {
    "Look": {
        "status": Command("inspect:status", "Show the published result of the last pass; needs no engine and no root."),
        "plan": Command("reconcile:plan", "Show what the next pass would do and what holds it."),
        "explain": Command("inspect:explain", "Say in one screen why an app is as it is and why it does not move on."),
        "history": Command("history:history", "Show recent outcomes, one line each, newest last."),
        "preflight": Command("inspect:preflight", "Check that the way back exists: images, snapshot, room."),
        "alerts": Command("alerts:group", "Open alerts: what stands, why, and what clears it."),
        "logs": Command("look:logs", "Show what the services of an app said last, secrets masked."),
        "wait": Command("look:wait", "Wait until an app answers, needs nothing, or runs a version."),
    },
    "Act and decide": {
        "reconcile": Command("reconcile:reconcile", "Bring every app one safe step nearer to its spec."),
        "approve": Command(
            "decisions:approve",
            "Let one version through its holds once: major, manual-migration, untested and the like (docs/operate.md).",
        ),
        "retry": Command("decisions:retry", "Forget why releases failed here, so that the next pass tries again."),
        "suspend": Command(
            "decisions:suspend", "Take no release until resumed or until a time; what runs is still kept running."
        ),
        "resume": Command(
            "decisions:resume", "End a suspension or an undeploy; on a converged app that changes nothing."
        ),
        "undeploy": Command("decisions:undeploy", "Take a live app's services down, and hold it down until `resume`."),
        "rollback": Command("decisions:rollback", "Go back to the version before, with its data."),
    },
    "Data": {
        "snapshot": Command("snapshot:group", "The known-good data of an app."),
        "canonical": Command("canonical:group", "Data-warm canonicals: one per enrolled recipe."),
    },
    "Test": {
        "cold": Command(
            "runs:cold",
            "Test a recipe from nothing, stage by stage; a green full run at the latest release becomes the canonical.",
        ),
        "quick": Command("runs:quick", "Test a head on the canonical's data: known-good, upgraded in place."),
        "runs": Command("runs:group", "Reports of test runs, and what killed ones left."),
        "realm": Command("realm:group", "A realm per run on the shared Keycloak."),
    },
    "Host": {
        "init": Command(
            "init:init", "Write settings to start from where --config points, or a spec of a stack that runs."
        ),
        "import": Command("drafts:group", "Specs from what another tool has on file."),
        "run": Command("service:run", "Run for ever: look, do the next safe thing, again."),
        "reload": Command("service:reload", "Check settings and specs, then tell the daemon to read them again."),
        "sweep": Command("sweep:sweep", "Do tonight's sweep: the command before it, a pass over the apps, cold runs."),
        "gc": Command(
            "service:gc", "Remove old images of our apps and dangling ones, if no app, fallback or service needs them."
        ),
        "web": Command("web:web", "Serve the page and the API, read-only without a file of tokens (docs/web.md)."),
        "web-token": Command(
            "web:web_token",
            "Make a token for the page and the API: shown once on stdout, with the line for web.tokens on stderr.",
        ),
        "install-units": Command(
            "service:install_units",
            "Write the systemd units: the daemon, the nightly sweep with its timer, and a target for both.",
        ),
        "validate": Command("inspect:validate", "Check settings and specs; every problem of every file at once."),
        "schema": Command("inspect:schema", "Print the JSON Schema of a file that ci-warm reads or writes."),
        "doctor": Command("doctor:doctor", "Check the invariants on what lies on disk, and that Engine and tools fit."),
        "demo": Command(
            "demo:demo",
            "Show the main job end to end: deploy, upgrade, holds, and a failed upgrade whose data comes back.",
        ),
        "completion": Command(
            "completion:completion", "Print the script that completes commands, options, apps and runs in a shell."
        ),
        "man": Command("man:man", "Write a man page per command: ci-warm.1, ci-warm-reconcile.1 and so on."),
    },
}
