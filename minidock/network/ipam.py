"""What a new network does with its pools: which address its gateway gets, and which addresses no container may have.

Docker's rules (libnetwork, ipam/allocator.go): the subnet's first address names the subnet, the last one of IPv4 is the
broadcast; the gateway is the first of the range that containers get theirs from, unless one is given; and each of the
auxiliary addresses is taken for good, so none of them twice.
"""

from __future__ import annotations

from minidock.errors import Conflict, UsageError
from minidock.model.network import IpamPool
from minidock.network.arithmetic import contains, is_address, is_subnet, number, span, text


def checked(pool: IpamPool) -> IpamPool:
    """Raises UsageError for what isn't one address space."""
    if not pool.subnet:
        return pool
    six = ":" in pool.subnet
    if not is_subnet(pool.subnet):
        raise UsageError(f"Invalid subnet {pool.subnet} : invalid CIDR address: {pool.subnet}")
    first, _ = span(pool.subnet)
    if first != number(pool.subnet.partition("/")[0]):
        like = f"{text(first, pool.subnet)}/{pool.subnet.partition('/')[2]}"
        raise UsageError(f"invalid subnet {pool.subnet}: it should be {like}")
    if pool.ip_range and not (is_subnet(pool.ip_range) and contains(pool.subnet, pool.ip_range)):
        raise UsageError(f"no matching subnet for range {pool.ip_range}")
    addresses = [("gateway", pool.gateway), *(("aux-address", each) for each in pool.auxiliary_addresses.values())]
    for kind, address in addresses:
        if address and not (is_address(address, six=six) and contains(pool.subnet, address)):
            raise UsageError(f"no matching subnet for {kind} {address}")
    return pool


def usable(subnet: str) -> range:
    """The addresses that somebody can have, as numbers."""
    first, size = span(subnet)
    return range(first + 1, first + size - (0 if ":" in subnet else 1))


def gateway(subnet: str, pool: IpamPool | None) -> str:
    """The one that was asked for, else the first of the range. Raises Conflict, in Docker's words, when it can't be."""
    everybody = usable(subnet)
    if pool and pool.gateway:
        if number(pool.gateway) not in everybody:
            raise Conflict(f"failed to allocate gateway ({pool.gateway}): Address already in use")
        return pool.gateway
    lowest, above = everybody.start, everybody.stop
    if pool and pool.ip_range:
        start, count = span(pool.ip_range)
        lowest, above = max(lowest, start), min(above, start + count)
    if lowest >= above:
        raise Conflict("failed to allocate gateway (): No available addresses on this pool")
    return text(lowest, subnet)


def auxiliary(subnet: str, taken: str, pool: IpamPool | None) -> None:
    """`taken` is the gateway. Raises Conflict for an auxiliary address that isn't free."""
    everybody, used = usable(subnet), {number(taken)}
    for name, address in sorted(pool.auxiliary_addresses.items() if pool else []):
        if number(address) not in everybody or number(address) in used:
            raise Conflict(f"failed to allocate secondary ip address ({name}:{address}): Address already in use")
        used.add(number(address))
