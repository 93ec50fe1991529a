"""Which addresses a download may connect to.

A provider names the address of its result, and so could anyone who speaks in its name: an answer must not make a
runner fetch from the studio's own network or from the metadata service of its host. `ipaddress.is_global` alone does
not say so: it lets multicast, 6to4, Teredo and the like pass. The lists are IANA's special-purpose registries.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

NOT_PUBLIC_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT, and a cloud's metadata service (100.100.100.200)
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's platform service, inside its public range
        "169.254.0.0/16",  # link-local, and the usual metadata service (169.254.169.254)
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments, and a cloud's metadata service (192.0.0.192)
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # automatic multicast tunneling
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
PUBLIC_V6 = IPv6Network("2000::/3")
"""All that was ever given out. Mapped, unique-local, link-local, multicast and loopback addresses lie outside."""
NOT_PUBLIC_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
NAT64 = IPv6Network("64:ff9b::/96")
"""How a network without IPv4 sees an IPv4 address: as good as the address inside."""
ISATAP_MARK, ISATAP_BITS = 0x00005EFE, 0xFDFFFFFF
"""The interface identifier of an address with an IPv4 address inside."""
OWN_V4 = tuple(IPv4Network(network) for network in ("10.0.0.0/8", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
OWN_V6 = tuple(IPv6Network(network) for network in ("::1/128", "fc00::/7"))
METADATA_V6 = IPv6Network("fd00:ec2::/32")

NAME = re.compile(
    r"(?=.{1,253}\.?\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?"
)
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def is_public(address: str) -> bool:
    """Whether this literal address belongs to a host on the internet. False for anything that is no address."""
    found = _parsed(address)
    if isinstance(found, IPv4Address):
        return not any(found in network for network in NOT_PUBLIC_V4)
    if found is None or found.scope_id is not None:
        return False
    if found in NAT64:
        return is_public(str(IPv4Address(int(found) & 0xFFFFFFFF)))
    isatap = (int(found) >> 32) & ISATAP_BITS == ISATAP_MARK
    return found in PUBLIC_V6 and not isatap and not any(found in network for network in NOT_PUBLIC_V6)


def is_own(address: str) -> bool:
    """Whether this literal address lies on this machine or in a private network; a metadata service never does."""
    found = _parsed(address)
    if isinstance(found, IPv4Address):
        return any(found in network for network in OWN_V4)
    if found is None or found.scope_id is not None:
        return False
    return any(found in network for network in OWN_V6) and found not in METADATA_V6


def is_address(host: str) -> bool:
    """Whether the host of a URL is a literal address, in the one way to write it: no short, octal or decimal IPv4."""
    return _parsed(host) is not None


def is_name(host: str) -> bool:
    """Whether the host of a URL is a name to look up, and cannot be taken for a number (`127.1`, `0x7f000001`)."""
    last = host.lower().rstrip(".").rpartition(".")[2]
    return NAME.fullmatch(host.lower()) is not None and NUMBER.fullmatch(last) is None


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(address)
    except ValueError:
        return None
