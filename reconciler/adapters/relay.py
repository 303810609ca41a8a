"""Sends alerts on: a command that gets each as JSON on stdin, and Apprise. Effects: processes, the network.

What was delivered is remembered beside the alerts; what could not be is tried again, and no pass waits for it.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from reconciler.adapters import process
from reconciler.core.host import alert_delivery
from reconciler.core.host.alert_delivery import Message
from reconciler.model.errors import ActError, StateError, UsageError
from reconciler.model.settings import RelaySettings
from reconciler.state import files
from reconciler.state.alerts import AlertStore

_MARKS = ".relayed.json"


class Relay:
    """One run of `ci-warm alerts relay`, or one beat of the daemon's."""

    def __init__(self, folder: AlertStore, settings: RelaySettings) -> None:
        self._folder = folder
        self._settings = settings
        self._marks = folder.folder / _MARKS

    def run(self) -> tuple[list[Message], list[str]]:
        """Deliver what is due: what was sent, and what went wrong.

        Raises:
            UsageError: the settings name no receiver, or a file of addresses that cannot be read.
            StateError: what was delivered before is unreadable.
        """
        if not self._settings.command and not self._settings.apprise_file:
            raise UsageError("the settings name no receiver of alerts; see relay.command and relay.apprise_file")
        before = self._read()
        # Open before archived: an alert that ends between the two looks is seen twice, never not at all.
        now_open = [(path.name, alert) for path, alert in self._folder.open()]
        ended = [(path.name, alert) for path, alert in self._folder.archived()]
        sent, problems = [], []
        for message in alert_delivery.messages(now_open, ended, before):
            problem = self._send(message)
            if problem:
                problems.append(f"{message.key}: {problem}")
            else:
                sent.append(message)
        # After sending: a crash between tells a receiver twice, the other order would tell it never.
        after = alert_delivery.remember(before, sent, now_open)
        if after != before:
            files.write_atomic(self._marks, json.dumps(after, indent=1).encode())
        return sent, problems

    def _read(self) -> dict[str, str]:
        try:
            found = json.loads(self._marks.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError as exc:
            raise StateError(
                str(self._marks), f"is not valid JSON; without it open alerts are told again: {exc}"
            ) from exc
        if not isinstance(found, dict) or not all(isinstance(mark, str) for mark in found.values()):
            raise StateError(str(self._marks), "is not a map of names; removing it sends open alerts again")
        return found

    def _send(self, message: Message) -> str:
        """Both ways; '' if each that is wanted took it."""
        problems = []
        if self._settings.command:
            problems.append(self._command(self._settings.command, message))
        if self._settings.apprise_file:
            problems.append(self._apprise(Path(self._settings.apprise_file), message))
        return "; ".join(problem for problem in problems if problem)

    def _command(self, argv: Sequence[str], message: Message) -> str:
        data = {
            "title": message.title,
            "body": message.body,
            "alert": message.alert.model_dump(mode="json", by_alias=True),
        }
        try:
            ran = process.run(
                argv, timeout_s=self._settings.timeout, stdin=json.dumps(data).encode(), umask=process.OPEN_UMASK
            )
        except ActError as exc:
            return str(exc)
        return "" if ran.code == 0 else f"{argv[0]} ended with {ran.code}: {ran.output[-200:]}"

    def _apprise(self, addresses: Path, message: Message) -> str:
        import apprise

        try:
            urls = [line.strip() for line in addresses.read_text().splitlines() if line.strip() and line[0] != "#"]
        except OSError as exc:
            raise UsageError(f"relay.apprise_file {addresses}: {exc.strerror}") from exc
        sender = apprise.Apprise()
        if not urls or not all(sender.add(url) for url in urls):
            return f"{addresses} holds an address that Apprise does not know"  # which one could be a secret
        kinds = {"critical": apprise.NotifyType.FAILURE, "warning": apprise.NotifyType.WARNING}
        kind = (
            apprise.NotifyType.SUCCESS
            if message.mark == "resolved"
            else kinds.get(str(message.alert.severity), apprise.NotifyType.INFO)
        )
        fine = sender.notify(title=f"ci-warm {message.title}", body=message.body, notify_type=kind)
        return "" if fine else "Apprise could not deliver it everywhere"
