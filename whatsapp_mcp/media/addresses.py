"""Which addresses a file may be fetched from: pure.

A link comes from the gateway, and a redirect from whoever answers it, so neither may lead into this computer or its network.
The gateway's own host is an exception, for one that runs on loopback. Links were seen on the gateway's host and on storage
hosts (Green API docs, DownloadFile), which change with its pools and providers: a first address may be any public host, a
redirect only leads on to the same host or to a known storage.

What a name leads to is told by the connection alone: a resolver may answer otherwise from one question to the next. So the
address at its other end is looked at before anything is sent (`leads_inside`).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

STORAGES: Final = ("yandexcloud.net",)
"""Whoever answers there is the gateway's storage (Green API docs, DownloadFile)."""


_UNICAST: Final = ip_network("2000::/3")
_TUNNELS: Final = (ip_network("2002::/16"), ip_network("2001::/32"))
"""6to4 and Teredo carry IPv4 addresses, which may be anybody's (RFC 3056, RFC 4380)."""
_NAT64: Final = ip_network("64:ff9b::/96")
"""A network without IPv4 shows the whole IPv4 internet in it (RFC 6052)."""
_STANDING_IN: Final = ip_network("198.18.0.0/15")
"""For benchmarks (RFC 2544), so nobody's home has it; VPN clients answer with it for every public name."""


class Refused(Exception):
    """The address is not asked; the text names no part of it but its scheme."""


def checked(url: str, own_host: str) -> str:
    """`url` itself, to be asked; `own_host` is the gateway's."""
    _check(_split(url), own_host)
    return url


def redirected(url: str, location: str, own_host: str) -> str:
    """Where a redirect from `url` leads, to be asked."""
    before = _split(url)
    try:
        target = urljoin(url, location)
    except ValueError:
        raise Refused("The redirect leads to no address.") from None
    after = _split(target)
    _check(after, own_host)
    if after.hostname != before.hostname and not _is_storage(after.hostname or ""):
        raise Refused("The redirect leads to another host.")
    if before.scheme == "https" and after.scheme != "https":
        raise Refused("The redirect leads from https to http.")
    return target


def leads_inside(host: str, peer: str, own_host: str) -> bool:
    """Whether a connection to `host` ended at an address, `peer`, in this computer or its network.

    The gateway's host and its storages may be there: their names are nobody else's to give.
    """
    if host == own_host.lower() or _is_storage(host):
        return False
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return True
    return _is_private(address) and not (address.version == _STANDING_IN.version and address in _STANDING_IN)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError:
        raise Refused("The link is no address.") from None
    return parts


def _check(parts: SplitResult, own_host: str) -> None:
    if parts.scheme not in ("http", "https"):
        scheme = parts.scheme if parts.scheme.isascii() and len(parts.scheme) <= 10 else "something else"
        raise Refused(f"The link leads to {scheme or 'no scheme'}, not to http or https.")
    host = parts.hostname or ""
    if not host or parts.username or parts.password:
        raise Refused("The link names no plain host.")
    if host != own_host.lower() and _is_inside(host):
        raise Refused("The link leads into this computer or its network.")


def _is_inside(host: str) -> bool:
    host = host.rstrip(".")
    try:
        return _is_private(ip_address(host.partition("%")[0]))
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal", ".home.arpa")) or _is_odd(host)


def _is_private(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        inner = IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address.ipv4_mapped
        if inner is None:
            return address not in _UNICAST or any(address in tunnel for tunnel in _TUNNELS) or not address.is_global
        address = inner
    return not address.is_global or address.is_multicast


def _is_odd(host: str) -> bool:
    """``0x7f.1`` and ``2130706433`` are addresses to some resolvers."""
    last = host.rpartition(".")[2]
    return last.isdigit() or last.startswith("0x")


def _is_storage(host: str) -> bool:
    return any(host == storage or host.endswith(f".{storage}") for storage in STORAGES)
