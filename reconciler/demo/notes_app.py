"""A small stateful app for the demo and the fast tests: keeps notes, migrates its data, fails on request.

Standard library alone and a hand-made HTTP loop, so that it starts in milliseconds. Environment: VERSION, SCHEMA,
PORT, MOUNT_DATA (none = stateless), FAIL (before | after | unhealthy | late | ""), IGNORE_TERM,
TERM_CODE (what it exits with on SIGTERM). A file called `unwell` beside the notes makes the running app unhealthy.
"""

import fcntl
import os
import pathlib
import signal
import socket
import sys
import time


def migrate(data: pathlib.Path, wanted: int) -> None:
    """Bring the notes to the wanted schema; really rewrites them."""
    notes, schema = data / "notes.txt", data / "schema"
    if not notes.exists():
        notes.write_text("first note\nsecond note\n")
        schema.write_text(str(wanted))
        return
    have = int(schema.read_text())
    if have > wanted:
        print(f"data has schema {have}, this version knows {wanted}", flush=True)
        sys.exit(4)
    if have < wanted:
        lines = notes.read_text().splitlines()
        notes.write_text("".join(f"[schema {wanted}] {line}\n" for line in lines))
        schema.write_text(str(wanted))


def answer(path: str, data: pathlib.Path | None, version: str, fail: str) -> tuple[int, str]:
    """What the app says."""
    if path == "/health":
        unwell = fail == "unhealthy" or (data is not None and (data / "unwell").exists())
        return (503, "broken") if unwell else (200, f"ok {version}")
    if path == "/notes" and data is not None:
        return 200, (data / "notes.txt").read_text()
    return (200, version) if path == "/" else (404, "no such page")


def main() -> None:
    """Fail as told, migrate, serve."""
    env = os.environ
    fail, version = env.get("FAIL", ""), env.get("VERSION", "0")
    mount = env.get("MOUNT_DATA")
    data = pathlib.Path(mount) if mount else None
    if env.get("IGNORE_TERM"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if env.get("TERM_CODE"):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(int(env["TERM_CODE"])))
    if fail == "before":
        print("failing before the migration, as told", flush=True)
        sys.exit(3)
    if data is not None:
        fence = (data / ".fence").open("a")
        try:
            fcntl.flock(fence, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            (data / "OVERLAP").write_text("two writers at once\n")
        migrate(data, int(env.get("SCHEMA", "1")))
    if fail == "after":
        print("failing after the migration, as told", flush=True)
        sys.exit(3)
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", int(env["PORT"])))
    server.listen(16)
    end = time.monotonic() + float(env.get("LATE_S", "1.5")) if fail == "late" else None
    server.settimeout(0.1 if end else None)
    while end is None or time.monotonic() < end:
        try:
            peer, _ = server.accept()
        except TimeoutError:
            continue
        with peer:
            request = peer.recv(4096).decode("latin-1").split(" ")
            code, body = answer(request[1] if len(request) > 1 else "/", data, version, fail)
            peer.sendall(
                f"HTTP/1.1 {code} .\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
            )
    print("failing late, as told", flush=True)
    sys.exit(3)


if __name__ == "__main__":
    main()
