"""Who may use a server on this machine: the pages that it serves itself, and no page of another site.

Source: DNS rebinding, Jackson et al. 2007 (doi 10.1145/1315245.1315298): a page of another site gives its own name the
address of this machine, so that its browser sends requests here, with that name as their host.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

READING = frozenset({"GET", "HEAD", "OPTIONS"})
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def guarded(application: Application, host: str) -> Application:
    """The application, with requests refused (403) that are for another host, or that write for another site's page.

    :param host: the name or the address that the server listens at; of a wildcard all addresses are its own.
    """

    def guard(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        reason = _reason_to_refuse(environ, host)
        if reason is None:
            return application(environ, start_response)
        body = f"mod97's dashboard refuses this request: {reason}.\n".encode()
        start_response("403 Forbidden", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    return guard


def _reason_to_refuse(environ: dict[str, Any], served: str) -> str | None:
    asked = environ.get("HTTP_HOST", "")
    if not _is_own(_name(f"//{asked}"), served):
        return f"it is for the host {asked!r}, which is not the one that is served"
    origin = environ.get("HTTP_ORIGIN")
    foreign = origin is not None and urlsplit(origin).netloc.lower() != asked.lower()
    if foreign and environ["REQUEST_METHOD"] not in READING:
        return f"it writes for a page of {origin!r}"
    return None


def _name(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:  # brackets without an address
        return ""


def _is_own(name: str, served: str) -> bool:
    """Whether a host is the one that is served: itself, an address where all are, or this machine's own name."""
    if name == served.lower():
        return True
    address, own = _address(name), _address(served)
    if own is None:  # a name is served
        return False
    if own.is_unspecified:
        return address is not None or name in ("localhost", socket.gethostname().lower())
    if own.is_loopback:
        return name == "localhost" or (address is not None and address.is_loopback)
    return address == own


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
