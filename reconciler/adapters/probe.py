"""Questions to an app: HTTP(S) to its own domain, forced to one address, a port, a program. Effects: those.

Own use of `http.client`: a total deadline needs the socket in hand (a server may drip its answer for ever), and
nothing from the environment, no redirect and no connection of yesterday may take part.
"""

import errno
import http.client
import os
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from typing_extensions import override

from reconciler.adapters import process
from reconciler.core.redact import Redactor
from reconciler.model.errors import ActError
from reconciler.model.probe import Probe, ProbeAnswer, describe_end
from reconciler.model.settling import Fault
from reconciler.ports.prober import Prober

BODY_CAP = 64 << 10
_OURS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL)
"""Errors of a connection that are about this host and not about the app."""


class SystemProber(Prober):
    """One connection or process per question, nothing kept."""

    @override
    def connect(self, address: str, port: int, timeout_s: float) -> ProbeAnswer:
        try:
            socket.create_connection((address, port), timeout=timeout_s).close()
        except (socket.gaierror, ValueError) as exc:
            # Where to connect is not known: nobody has asked the app.
            return ProbeAnswer(ok=False, code=0, detail=f"{address}: {exc}", fault=Fault.UNKNOWN)
        except OSError as exc:
            fault = Fault.HOST if exc.errno in _OURS else Fault.APP
            detail = f"{address}:{port}: {exc.strerror or exc}"
            return ProbeAnswer(ok=False, code=0, detail=detail, fault=fault, unreached=(address, port))
        return ProbeAnswer(ok=True, code=0, detail=f"{address}:{port} takes connections")

    @override
    def command(self, argv: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> ProbeAnswer:
        try:
            ran = process.run(argv, timeout_s=timeout_s, env=environment, redactor=Redactor(()))
        # Its arguments are in no text: they may be secret.
        except process.TimedOutError:
            return ProbeAnswer(ok=False, code=0, detail=f"did not end within {timeout_s:g} s")
        except (ActError, ValueError) as exc:
            return ProbeAnswer(ok=False, code=0, detail=str(exc), fault=Fault.UNKNOWN)
        return ProbeAnswer(ok=ran.code == 0, code=ran.code, detail=describe_end(ran.code, ran.output))

    @override
    def probe(self, probe: Probe) -> ProbeAnswer:
        if probe.ca_file is not None and not os.access(probe.ca_file, os.R_OK):
            detail = f"ca_file {probe.ca_file} cannot be read"
            return ProbeAnswer(ok=False, code=0, detail=detail, fault=Fault.UNKNOWN)
        deadline = time.monotonic() + probe.timeout_s
        # The timer shuts whichever socket is in use by then: wrapping detaches the plain one.
        line: list[socket.socket] = []
        timer: threading.Timer | None = None
        try:
            line.append(socket.create_connection((probe.address, probe.port), timeout=probe.timeout_s))
            # A socket's timeout counts per read, so a server that drips a byte a second would never meet it.
            timer = threading.Timer(max(0.0, deadline - time.monotonic()), _shut, [line])
            timer.daemon = True
            timer.start()
            answer = _talk(line, probe)
            if time.monotonic() >= deadline:
                return ProbeAnswer(
                    ok=False, code=answer.code, detail=f"no complete answer within {probe.timeout_s:g} s"
                )
            return answer
        except ssl.SSLCertVerificationError as exc:
            return ProbeAnswer(ok=False, code=0, detail=f"TLS certificate refused: {exc.verify_message}")
        except (OSError, http.client.HTTPException, ValueError) as exc:
            unreached = None if line else (probe.address, probe.port)
            if time.monotonic() >= deadline:
                detail = f"no complete answer within {probe.timeout_s:g} s"
                return ProbeAnswer(ok=False, code=0, detail=detail, unreached=unreached)
            fault = Fault.HOST if isinstance(exc, OSError) and exc.errno in _OURS else Fault.APP
            detail = f"{type(exc).__name__}: {str(exc)[:200]}"
            return ProbeAnswer(ok=False, code=0, detail=detail, fault=fault, unreached=unreached)
        finally:
            if timer is not None:
                timer.cancel()
            for one in line:
                one.close()


def _shut(line: list[socket.socket]) -> None:
    for one in reversed(line):
        try:
            # The plain method: a TLS socket's own would wait for the peer's goodbye.
            socket.socket.shutdown(one, socket.SHUT_RDWR)
        except OSError:
            continue  # detached or closed already


def _talk(line: list[socket.socket], probe: Probe) -> ProbeAnswer:
    connection = http.client.HTTPConnection(probe.host, probe.port, timeout=probe.timeout_s)
    if probe.scheme == "https":
        # The handshake is a step of its own, so that the timer can shut the wrapped socket while it hangs.
        wrapped = _context(probe).wrap_socket(line[0], server_hostname=probe.host, do_handshake_on_connect=False)
        line.append(wrapped)
        wrapped.do_handshake()
    connection.sock = line[-1]
    default = 443 if probe.scheme == "https" else 80
    # As browsers write it: an app behind a proxy is chosen by this header, and most rules name no default
    # port.
    host = probe.host if probe.port == default else f"{probe.host}:{probe.port}"
    try:
        form = urlencode(probe.form).encode() if probe.form else None
        connection.putrequest("POST" if form else "GET", probe.path, skip_host=True, skip_accept_encoding=True)
        headers = {"Host": host, "User-Agent": "ci-warm", "Accept": "*/*", "Connection": "close"}
        if form is not None:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(form))}
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(form)
        answer = connection.getresponse()
        body = answer.read(BODY_CAP)
        # `length` is what is still missing of Content-Length: an app that died while it answered is not well.
        whole = len(body) == BODY_CAP or not answer.length
    finally:
        connection.close()
    if answer.status not in probe.status:
        where = answer.getheader("Location", "")
        detail = f"HTTP {answer.status}" + (f" to {where[:200]} (redirects are not followed)" if where else "")
        return ProbeAnswer(ok=False, code=answer.status, detail=f"{detail}, wanted {_listed(probe)}")
    if not whole:
        return ProbeAnswer(ok=False, code=answer.status, detail=f"HTTP {answer.status}, but its body was cut off")
    if probe.body is not None and probe.body.encode() not in body:
        return ProbeAnswer(ok=False, code=answer.status, detail=f"HTTP {answer.status} without the wanted text")
    return ProbeAnswer(ok=True, code=answer.status, detail=f"HTTP {answer.status}")


def _listed(probe: Probe) -> str:
    return " or ".join(str(code) for code in probe.status)


def _context(probe: Probe) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=probe.ca_file)
    if not probe.tls_verify:
        # In this order: Python refuses CERT_NONE while host names are checked.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
