"""The health probe against servers that drip, lie, redirect, hang up or hold a bad certificate."""

import contextlib
import errno
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.probe import SystemProber
from reconciler.demo.host import free_port
from reconciler.model.probe import Probe, ProbeAnswer
from reconciler.model.settling import Fault


def drip(peer: Any) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 2000:
        peer.sendall(bytes([byte]))
        time.sleep(0.05)


def send(raw: bytes) -> Callable[[Any], None]:
    def behave(peer: Any) -> None:
        peer.recv(4096)
        peer.sendall(raw)

    return behave


def ok(body: bytes = b"ok", extra: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n%b" % (len(body), extra, body)


@contextlib.contextmanager
def server(behave: Callable[[Any], None], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """One port whose every connection behaves so."""
    listening = socket.create_server(("127.0.0.1", 0))

    def handle(peer: Any) -> None:
        with contextlib.suppress(OSError), peer:
            behave(context.wrap_socket(peer, server_side=True) if context else peer)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=handle, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listening.getsockname()[1]
    listening.close()


FIELDS: dict[str, Any] = {
    "scheme": "http",
    "host": "app.example.test",
    "address": "127.0.0.1",
    "path": "/health",
    "status": (200,),
    "body": None,
    "tls_verify": True,
    "ca_file": None,
    "timeout_s": 5.0,
}


def ask(port: int, **changes: Any) -> tuple[ProbeAnswer, float]:
    began = time.monotonic()
    return SystemProber().probe(Probe(**(FIELDS | {"port": port} | changes))), time.monotonic() - began


REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n"
WRONG: dict[str, tuple[Callable[[Any], None], str]] = {
    "drips its headers": (drip, "no complete answer within 1 s"),
    "says nothing": (lambda _: time.sleep(20), "no complete answer"),
    "hangs up": (lambda peer: peer.recv(4096), "RemoteDisconnected"),
    "redirects to a login": (send(REDIRECT), "redirects are not followed"),
    "is broken": (send(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), "HTTP 503, wanted 200"),
    "cuts its body off": (send(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort"), "cut off"),
    "speaks no HTTP": (send(b"SSH-2.0-OpenSSH\r\n"), "BadStatusLine"),
    "sends endless headers": (send(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000), "HTTPException"),
}


@pytest.mark.parametrize("name", WRONG)
def test_nothing_of_this_is_healthy_and_all_of_it_ends_in_time(name: str) -> None:
    behave, says = WRONG[name]
    with server(behave) as port:
        answer, took = ask(port, timeout_s=1.0)
    assert not answer.ok
    assert says in answer.detail
    assert took < 10.0  # the server would go on for minutes


def test_the_right_answer_with_the_right_text() -> None:
    with server(send(ok(b"all is well"))) as port:
        assert ask(port)[0].ok
        assert ask(port, body="well")[0].ok
        assert not ask(port, body="ill")[0].ok
        assert not ask(port, status=(204,))[0].ok


def test_a_huge_body_is_read_only_so_far() -> None:
    with server(send(ok(b"x" * (8 << 20)))) as port:
        answer, took = ask(port)
    assert answer.ok
    assert took < 10.0


def test_nobody_listens() -> None:
    answer, _ = ask(free_port())
    assert (answer.ok, answer.code) == (False, 0)
    assert "refused" in answer.detail


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for app.example.test."""
    found = tmp_path_factory.mktemp("tls") / "cert.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=app.example.test",
            "-addext",
            "subjectAltName=DNS:app.example.test",
            "-keyout",
            found,
            "-out",
            f"{found}.crt",
        ],
        check=True,
        capture_output=True,
    )
    found.write_text(found.read_text() + Path(f"{found}.crt").read_text())
    return found


def test_tls_is_checked_for_the_apps_own_name_at_the_forced_address(pem: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with server(send(ok()), context) as port:
        given = {"scheme": "https"}
        assert ask(port, ca_file=str(pem), **given)[0].ok
        refused = ask(port, **given)[0]
        assert "TLS certificate refused" in refused.detail
        assert "refused" in ask(port, ca_file=str(pem), host="other.example.test", **given)[0].detail
        assert ask(port, tls_verify=False, **given)[0].ok


def test_a_deadline_holds_for_tls_too(pem: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with server(drip, context) as port:
        answer, took = ask(port, scheme="https", ca_file=str(pem), timeout_s=1.0)
    assert not answer.ok
    assert took < 10.0  # the server would go on for minutes


def test_a_form_is_posted_and_in_no_text_about_the_probe() -> None:
    seen: list[bytes] = []

    def keep(peer: Any) -> None:
        while b"hunter2" not in b"".join(seen):
            seen.append(peer.recv(4096))
        peer.sendall(ok(b'{"access_token": "x"}'))

    with server(keep) as port:
        answer, _ = ask(port, form={"username": "a b", "password": "hunter2"}, body='"access_token"')
    assert answer.ok
    request = b"".join(seen)
    assert request.startswith(b"POST /health HTTP/1.1\r\n") and b"Content-Length: 29\r\n" in request
    assert request.endswith(b"\r\n\r\nusername=a+b&password=hunter2")
    assert "hunter2" not in repr(Probe(**{**FIELDS, "port": 1, "form": {"password": "hunter2"}}))


def test_a_port_takes_a_connection_or_says_why_not() -> None:
    prober = SystemProber()
    with server(lambda _peer: None) as port:
        assert prober.connect("127.0.0.1", port, 2.0).ok
    shut = prober.connect("127.0.0.1", free_port(), 2.0)
    assert (shut.ok, shut.detail.endswith(": Connection refused")) == (False, True)


def test_a_program_is_judged_by_its_exit_and_hung_ones_are_killed(tmp_path: Path) -> None:
    program = tmp_path / "check"
    program.write_text(
        '#!/bin/sh\necho said; echo token=abc123def456 >&2; [ -z "$HANG" ] || sleep 60; exit ${CODE:-0}\n'
    )
    program.chmod(0o755)
    prober, argv = SystemProber(), [str(program)]
    assert prober.command(argv, {}, 5.0).ok
    failed = prober.command(argv, {"CODE": "3"}, 5.0)
    assert (failed.ok, failed.code, failed.fault) == (False, 3, Fault.APP)
    assert "abc123def456" not in failed.detail
    hung = prober.command(argv, {"HANG": "1"}, 0.3)
    assert (hung.ok, hung.fault, "did not end within" in hung.detail) == (False, Fault.APP, True)
    gone = prober.command([str(tmp_path / "gone")], {}, 5.0)
    assert (gone.ok, gone.fault) == (False, Fault.UNKNOWN), "the app is not to blame for what this host lacks"


@pytest.mark.parametrize("address", ["no..host", "x" * 70, "nowhere.invalid"])
def test_an_address_that_names_nothing_is_not_the_apps_fault(address: str) -> None:
    found = SystemProber().connect(address, 25, 2.0)
    assert (found.ok, found.fault) == (False, Fault.UNKNOWN)


def test_what_cannot_be_started_is_not_the_apps_fault(tmp_path: Path) -> None:
    lost = tmp_path / "lost"
    lost.write_text("#!/opt/gone/python\n")
    lost.chmod(0o755)
    for program in (lost, tmp_path, tmp_path / "nul\0"):
        found = SystemProber().command([str(program)], {}, 5.0)
        assert (found.ok, found.fault) == (False, Fault.UNKNOWN), program


def test_a_certificate_file_that_is_gone_is_not_the_apps_fault(tmp_path: Path) -> None:
    answer, _ = ask(1, scheme="https", ca_file=str(tmp_path / "gone.pem"))
    assert (answer.ok, answer.fault) == (False, Fault.UNKNOWN)


def test_what_this_process_lacks_is_no_fault_of_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "create_connection", refuses)
    answer, _ = ask(free_port())
    assert (answer.ok, answer.fault) == (False, Fault.HOST)
