"""The examples that stand below each command's help and in the man pages. Effects: none."""

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "status": ("status", "status --watch"),
    "plan": ("plan", "plan notes --json"),
    "explain": ("explain notes",),
    "history": ("history notes --last 5", "history --stats"),
    "preflight": ("preflight notes",),
    "reconcile": ("reconcile", "reconcile notes --wait 60"),
    "init": (
        "init",
        "init --example",
        "init --from-running notes_example_net --recipe https://git.example.org/notes.git",
    ),
    "import abra": ("import abra ~/.abra/servers/example.net",),
    "logs": ("logs notes", "logs notes --failed"),
    "wait": ("wait notes --for healthy",),
    "approve": ("approve notes 2.0.0+6.0.0 --reason 'read the notes, took a copy'",),
    "retry": ("retry notes",),
    "suspend": ("suspend notes --reason 'exams' --until 3d", "suspend notes --reason 'move' --all"),
    "resume": ("resume notes",),
    "undeploy": ("undeploy notes --reason 'restore an older copy'",),
    "rollback": ("rollback notes --reason 'pages are empty' --yes",),
    "cold": ("cold notes", "cold notes --ref v2.1.0 --keep-on-failure"),
    "quick": ("quick notes --ref feature-branch",),
    "run": ("run", "--verbose run"),
    "reload": ("reload",),
    "sweep": ("sweep", "sweep --all"),
    "gc": ("gc --dry-run",),
    "web": ("web",),
    "web-token": ("web-token anna --role operate",),
    "install-units": ("install-units", "install-units --print"),
    "validate": ("validate", "validate /etc/ci-warm/apps/notes.yaml"),
    "schema": ("schema", "schema app-spec"),
    "doctor": ("doctor --deep",),
    "demo": ("demo", "demo --engine swarm"),
    "completion": ("completion bash",),
    "man": ("man /usr/local/share/man/man1",),
    "alerts list": ("alerts list",),
    "alerts show": ("alerts show 20261129T181500.123456Z-notes-held-major",),
    "alerts ack": ("alerts ack 20261129T181500.123456Z-notes-held-major",),
    "alerts relay": ("alerts relay",),
    "snapshot create": ("snapshot create notes",),
    "snapshot list": ("snapshot list",),
    "snapshot verify": ("snapshot verify notes",),
    "snapshot drill": ("snapshot drill notes",),
    "snapshot restore": ("snapshot restore notes",),
    "snapshot export": ("snapshot export notes /mnt/copies/notes.tar",),
    "canonical list": ("canonical list",),
    "canonical seed": ("canonical seed notes",),
    "canonical deploy": ("canonical deploy notes --fresh",),
    "canonical undeploy": ("canonical undeploy notes --restore",),
    "runs list": ("runs list notes --limit 5",),
    "runs show": ("runs show note-a1b2c3",),
    "runs reap": ("runs reap",),
    "realm run": ("realm run notes -- ./login-test",),
    "realm list": ("realm list",),
    "realm reap": ("realm reap --dry-run",),
}
"""What a person may type, by command; a test holds them to the command line."""


def epilog(command: str) -> str:
    """The examples of a command, to stand below its help."""
    lines = [f"  ci-warm {words}" for words in EXAMPLES.get(command, ())]
    return "\n".join(("\b", "Examples:", *lines)) if lines else ""
