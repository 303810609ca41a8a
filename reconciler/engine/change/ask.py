"""Ask an app whether it is well: the health request, then the checks of its spec. Effects: questions to the app."""

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from reconciler.engine.ports import Ports
from reconciler.model.errors import ActError, ObserveError, RecipeError
from reconciler.model.health import ExecCheck, HealthCheck, HealthSpec, HttpCheck, KeycloakLogin, TcpCheck
from reconciler.model.ids import StackName
from reconciler.model.probe import Probe, ProbeAnswer, describe_end
from reconciler.model.settling import Fault


def ask(ports: Ports, stack: StackName, domain: str, health: HealthSpec, mask: Callable[[str], str]) -> ProbeAnswer:
    """The health request and, if that is answered well, the checks, until a required one fails.

    `mask`: takes the app's secrets out of what commands say.
    """
    answer = ports.prober.probe(probe_of(domain, health))
    remarks: list[str] = []
    for check in health.checks if answer.ok else ():
        found = _check(ports, stack, domain, health, check)
        text = f"check {check.name}: {mask(found.detail)}"
        if not found.ok and check.required:
            return replace(found, detail=text, remarks=tuple(remarks))
        remarks += [] if found.ok else [f"{text} (not required)"]
    return replace(answer, remarks=tuple(remarks))


def probe_of(domain: str, health: HealthSpec) -> Probe:
    """The health request of an app."""
    return Probe(
        scheme=health.scheme,
        host=domain,
        address=health.address,
        port=health.probe_port,
        path=health.path,
        status=health.status,
        body=health.body,
        tls_verify=health.tls_verify,
        ca_file=health.ca_file,
        timeout_s=health.timeout,
    )


def _check(ports: Ports, stack: StackName, domain: str, health: HealthSpec, check: HealthCheck) -> ProbeAnswer:
    kind = check.http or check.tcp or check.exec or check.keycloak_login or check.run
    probe = replace(probe_of(domain, health), timeout_s=check.timeout)
    match kind:
        case HttpCheck():
            return ports.prober.probe(replace(probe, path=kind.path, status=kind.status, body=kind.body))
        case TcpCheck():
            return ports.prober.connect(kind.address, kind.port, check.timeout)
        case ExecCheck():
            return _execute(ports, stack, kind, check.timeout)
        case KeycloakLogin():
            return _log_in(ports, probe, kind)
        case tuple():
            url = f"{health.scheme}://{domain}"
            return ports.prober.command(kind, {"STACK": str(stack), "DOMAIN": domain, "BASE_URL": url}, check.timeout)
        case never:
            assert_never(never)


def _execute(ports: Ports, stack: StackName, check: ExecCheck, timeout_s: float) -> ProbeAnswer:
    try:
        ran = ports.node.containers.execute(stack, check.service, check.run, timeout_s)
    except ActError as exc:
        # One that does not end is the app's; one that could not be begun is not.
        return ProbeAnswer(ok=False, code=0, detail=str(exc), fault=Fault.HOST if exc.host_fault else Fault.APP)
    except ObserveError as exc:
        return ProbeAnswer(ok=False, code=0, detail=str(exc), fault=Fault.HOST)
    detail = f"{check.run[0]} in {check.service} {describe_end(ran.code, ran.output)}"
    return ProbeAnswer(ok=ran.code == 0, code=ran.code, detail=detail)


def _log_in(ports: Ports, probe: Probe, login: KeycloakLogin) -> ProbeAnswer:
    """Ask for a token by name and password, as a client that is trusted with them does."""
    try:
        password = ports.secrets.read_password(login.password_file)
    except RecipeError as exc:
        return ProbeAnswer(ok=False, code=0, detail=str(exc), fault=Fault.UNKNOWN)
    form = {"grant_type": "password", "client_id": login.client, "username": login.username, "password": password}
    path = f"/realms/{login.realm}/protocol/openid-connect/token"
    return ports.prober.probe(replace(probe, path=path, status=(200,), body='"access_token"', form=form))
