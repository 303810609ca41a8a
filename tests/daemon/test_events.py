"""The event stream's bad days, played by a server of our own."""

import socket
import threading
from pathlib import Path

from reconciler.adapters.swarm.events import SwarmEvents
from tests.waiting import until


def test_an_engine_that_takes_the_line_and_says_nothing_is_left_and_tried_again(tmp_path: Path) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "d.sock"))
    server.listen(10)
    lines: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                lines.append(server.accept()[0])
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    heard: list[str] = []
    stop = threading.Event()
    events = SwarmEvents(f"unix://{tmp_path}/d.sock", window_s=1, slack_s=0)
    thread = threading.Thread(target=events.follow, args=(heard.append, stop.is_set), daemon=True)
    thread.start()
    until(lambda: len(heard) >= 2, 30, "it was left twice")
    assert len(lines) >= 2
    stop.set()
    thread.join(20)
    server.close()
    for line in lines:
        line.close()
    assert not thread.is_alive()
