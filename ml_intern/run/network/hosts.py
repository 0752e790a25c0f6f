"""Which hosts a run may reach: names, never addresses, and only what they are publicly. Knows nothing of proxies."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# The last label is a word: 127.1, 0x7f000001 and 2130706433 are addresses to many resolvers.
_NAME = re.compile(rf"(?:{_LABEL}\.)+[a-z][a-z0-9-]{{0,61}}[a-z0-9]")

# IPv6 addresses that hold an IPv4 address, perhaps a private one: NAT64, 6to4 and old forms.
_WRAPPING = tuple(
    map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "::/96", "::ffff:0:0:0/96", "fec0::/10"))
)

_HUB = "huggingface.co"
Resolve = Callable[[str], list[str]]


class HostRefused(Exception):
    """Why a host is not reached."""


def is_pattern(text: str) -> bool:
    """Whether it is a host name, or `*.` and one."""
    return bool(_NAME.fullmatch(text.removeprefix("*.")))


def resolve(name: str) -> list[str]:
    """Addresses of a name, as this machine's resolver says."""
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)))


def address_of(host: str, allowed: Sequence[str], resolving: Resolve = resolve, public: bool = True) -> str:
    """The address to connect to, looked up once and checked: a name that is asked twice may answer twice differently.
    Raises HostRefused."""
    name = host.lower().removesuffix(".")
    if not _NAME.fullmatch(name):
        raise HostRefused(f"{host[:100]!r} is no host name")
    if not _is_among(name, allowed):
        raise HostRefused(f"{name} is not among the plan's hosts ({', '.join(allowed)})")
    try:
        found = resolving(name)
    except OSError as error:
        raise HostRefused(f"{name} cannot be resolved: {error}") from None
    if not found:
        raise HostRefused(f"{name} has no address")
    if public and (private := [one for one in found if not _is_public(one)]):
        raise HostRefused(f"{name} leads to {private[0]}, which is not public")
    return found[0]


def hub_variables(allowed: Sequence[str]) -> dict[str, str]:
    """What tells the Hub's client that it may ask, for scripts that may reach the Hub."""
    return dict.fromkeys(("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"), "0") if _is_among(_HUB, allowed) else {}


def _is_among(name: str, allowed: Sequence[str]) -> bool:
    return any(name == one or (one.startswith("*.") and name.endswith(one[1:])) for one in allowed)


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.split("%")[0])
    hidden = any(found in network for network in _WRAPPING if network.version == found.version)
    return found.is_global and not found.is_multicast and not hidden
