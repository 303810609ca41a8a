"""HTTP(S) to an app's own domain, forced to one address. Effects: one connection per probe.

Own use of `http.client`: a total deadline needs the socket in hand (a server may drip its answer for ever), and
nothing from the environment, no redirect and no connection of yesterday may take part.
"""

import http.client
import socket
import ssl
import threading
import time

from typing_extensions import override

from reconciler.model.probe import Probe, ProbeAnswer
from reconciler.ports.prober import Prober

BODY_CAP = 64 << 10


class HttpProber(Prober):
    """One connection per probe, nothing kept."""

    @override
    def probe(self, probe: Probe) -> ProbeAnswer:
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
            if time.monotonic() >= deadline:
                return ProbeAnswer(ok=False, code=0, detail=f"no complete answer within {probe.timeout_s:g} s")
            return ProbeAnswer(ok=False, code=0, detail=f"{type(exc).__name__}: {str(exc)[:200]}")
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
        connection.putrequest("GET", probe.path, skip_host=True, skip_accept_encoding=True)
        for name, value in (
            ("Host", host),
            ("User-Agent", "ci-warm"),
            ("Accept", "*/*"),
            ("Connection", "close"),
        ):
            connection.putheader(name, value)
        connection.endheaders()
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
