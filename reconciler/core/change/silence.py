"""Whose silence it is: the app's, that of what stands before it, or that of whoever paused it. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address

from reconciler.core.release import published
from reconciler.model.observed import StackObs
from reconciler.model.probe import ProbeAnswer
from reconciler.model.settling import Fault


def weigh(answer: ProbeAnswer, doc: Mapping[str, object]) -> ProbeAnswer:
    """The answer, laid on nobody if what should have taken the connection is not of this app. `doc`: its release.

    Only of an address of this host's own loop can be told who listens there: what publishes the port.
    """
    if answer.ok or answer.unreached is None or answer.fault is not Fault.APP or not doc:
        return answer
    address, port = answer.unreached
    answering = published.answering_ports(doc)
    if answering is None or port in answering or not _is_loopback(address):
        return answer
    detail = f"{answer.detail}; nothing of this app listens at port {port}: what stands before it is away"
    return replace(answer, fault=Fault.UNKNOWN, detail=detail)


def weigh_paused(answer: ProbeAnswer, stack: StackObs) -> ProbeAnswer:
    """The answer, laid on nobody while containers are paused: a hand did that, or a tool that saves their memory."""
    count = sum(container.state == "paused" for container in stack.containers)
    if answer.ok or not count:
        return answer
    return replace(answer, fault=Fault.UNKNOWN, detail=f"{answer.detail}; {count} of its containers are paused")


def is_before_the_app(answer: ProbeAnswer) -> bool:
    """Say whether this is the silence of what stands before the app, so that nothing was learnt of the app itself."""
    return not answer.ok and answer.unreached is not None and answer.fault is Fault.UNKNOWN


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
