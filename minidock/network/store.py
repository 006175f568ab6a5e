"""The instance's networks as they are written down: made, found, listed, removed.

Three are always there: bridge (the default one, chosen at its first use), host and none. Another is a directory,
`networks/NAME`, with network.json; its bridge is made with it, and again at the first use after a reboot.
"""

from __future__ import annotations

import os
import time

from minidock import files
from minidock.digests import hex_digest
from minidock.errors import Conflict, Forbidden, MinidockError, NetworkNotFound, NotFound, Unsupported, UsageError
from minidock.kernel import link, macvlan, vlan
from minidock.model.network import IpamPool, NetworkRequest
from minidock.network import config_only, ipam, options, overlay, subnets
from minidock.network.arithmetic import contains, overlap
from minidock.network.subnets import Network
from minidock.paths import Layout

PREDEFINED = ("bridge", "host", "none")
VLANS = ("macvlan", "ipvlan")
LONGEST = 255
"""Bytes of a name, as it is written in the file system: NAME_MAX of limits.h."""


def network_id(layout: Layout, name: str) -> str:
    """The id of a network that every instance has: 64 hexadecimal digits, always the same ones."""
    return hex_digest(f"{layout.root} {name}".encode())


def ls(layout: Layout) -> list[Network]:
    """All of them, by name. Looking chooses no subnet: the default network may have none yet."""
    found = {network.name: network for network in subnets.everything(layout)}
    for name, driver in zip(PREDEFINED, ("bridge", "host", "null"), strict=True):
        bridge = layout.bridge if name == "bridge" else ""
        known = found.get(name) or Network(name, "", "", bridge, driver=driver)
        found[name] = _with_id(layout, known)
    return [found[name] for name in sorted(found)]


def find(layout: Layout, ref: str) -> Network:
    """By name, id, or a prefix of an id that only one has. Raises NetworkNotFound, MinidockError."""
    if ref in PREDEFINED or (ref and len(os.fsencode(ref)) <= LONGEST and subnets.read(layout, ref)):
        return next(network for network in ls(layout) if network.name == ref)
    matches = [network for network in ls(layout) if ref and network.id.startswith(ref)]
    if len(matches) > 1:
        raise MinidockError(f"network {ref} is ambiguous ({len(matches)} matches found on ID prefix)")
    if not matches:
        raise NetworkNotFound(ref)
    return matches[0]


def _with_id(layout: Layout, network: Network) -> Network:
    import msgspec

    return msgspec.structs.replace(network, id=network.id or network_id(layout, network.name))


def create(layout: Layout, asked: NetworkRequest) -> Network:
    """Write a new network down, with a subnet that nobody has. Raises in Docker's words; then nothing is written."""
    asked, pools = _sound(layout, asked)
    with files.locked(subnets.REGISTRY / "lock"):
        if subnets.read(layout, asked.name):
            raise Conflict(f"network with name {asked.name} already exists")
        network = _made(layout, asked, pools)
        subnets.directory(layout, asked.name).mkdir(parents=True, exist_ok=True)
        if network.subnet:
            subnets.register(layout, network)
        files.write_json(subnets.directory(layout, asked.name) / "network.json", network)
    return network


def draft(layout: Layout, asked: NetworkRequest) -> Network:
    """The network that create() would make now; nothing is written."""
    asked, pools = _sound(layout, asked)
    return _made(layout, asked, pools)


def _sound(layout: Layout, asked: NetworkRequest) -> tuple[NetworkRequest, list[IpamPool]]:
    _check_name(layout, asked.name)
    config_only.check(asked)
    asked = config_only.completed(layout, asked)
    _check_driver(asked)
    if asked.driver == "bridge":
        options.check(asked.options)
    return asked, [ipam.checked(pool) for pool in asked.pools]


def _check_name(layout: Layout, name: str) -> None:
    if name in PREDEFINED:
        raise Forbidden(f"operation is not permitted on predefined {name} network")
    if name and not name.strip():
        raise UsageError("invalid name:")  # of blanks nothing can be seen
    if len(os.fsencode(subnets.directory(layout, name).name)) > LONGEST:
        raise UsageError(f"invalid name: {name}", hint=f"a network's name has at most {LONGEST} bytes")
    if not name or subnets.read(layout, name):
        raise Conflict(f"network with name {name} already exists")


def _check_driver(asked: NetworkRequest) -> None:
    if asked.driver in ("host", "null"):
        raise UsageError(f'only one instance of "{asked.driver}" network is allowed')
    if asked.ingress:
        raise UsageError("Ingress network can only be global scope network")
    if asked.scope == "swarm" and asked.driver != "overlay":
        raise Unsupported("cannot create a swarm scoped network when swarm is not active")
    if asked.scope not in ("", "local") or asked.driver == "overlay":
        raise Unsupported(
            "This node is not a swarm manager. "
            'Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.'
        )
    if asked.driver not in ("bridge", *VLANS):
        raise NotFound(f'plugin "{asked.driver}" not found')
    if asked.ipam_driver != "default":
        raise NotFound(f'plugin "{asked.ipam_driver}" not found')
    if asked.driver in VLANS:
        mode = asked.options.get(f"{asked.driver}_mode", macvlan.DEFAULT_MODE[asked.driver])
        if mode not in macvlan.MODES[asked.driver]:
            usual = macvlan.DEFAULT_MODE[asked.driver]
            raise UsageError(
                f"requested {asked.driver} mode '{mode}' is not valid, "
                f"'{usual}' mode is the {asked.driver} driver default"
            )


def _made(layout: Layout, asked: NetworkRequest, pools: list[IpamPool]) -> Network:
    four = [pool for pool in pools if pool.subnet and ":" not in pool.subnet]
    six = [pool for pool in pools if ":" in pool.subnet]
    if len(four) > 1 or len(six) > 1:
        raise UsageError(f"{asked.driver} driver doesn't support multiple subnets")
    known = subnets.everything(layout)
    own = [found.subnet for found in known if found.subnet]
    others = [*own, *(found.subnet6 for found in known if found.subnet6)]
    wanted = [] if asked.config_only else [*four, *(six if asked.enable_ipv6 else [])]
    if any(overlap(pool.subnet, other) for pool in wanted for other in others):
        raise Conflict("Pool overlaps with other one on this address space")
    identity = os.urandom(32).hex()
    created = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime())}.{time.time_ns() % 10**9:09d}Z"
    if asked.config_only:
        return Network(asked.name, "", "", "", driver="null", id=identity, created=created, asked=asked)
    subnet = four[0].subnet if four else subnets.free_subnet(layout, own=own)
    subnet6 = (six[0].subnet if six else _local_subnet(layout)) if asked.enable_ipv6 else ""
    parent, parent_made = _parent(layout, asked, identity) if asked.driver in VLANS else ("", False)
    bridge = "" if parent else asked.options.get("com.docker.network.bridge.name") or _bridge_name(layout)
    if bridge and link.index_of(bridge) and "com.docker.network.bridge.name" in asked.options:
        raise Conflict(f"the interface {bridge} is there already, and not this network's")
    mtu = asked.options.get("com.docker.network.driver.mtu", "")
    gateway, gateway6 = _gateway(subnet, four), _gateway(subnet6, six)
    return Network(
        asked.name,
        subnet,
        gateway,
        bridge,
        mtu=int(mtu) if mtu.isdecimal() else subnets.uplink_mtu() - overlay.wrapping(asked),
        driver=asked.driver,
        id=identity,
        created=created,
        subnet6=subnet6,
        gateway6=gateway6,
        parent=parent,
        parent_made=parent_made,
        asked=asked,
    )


def _gateway(subnet: str, pools: list[IpamPool]) -> str:
    """The network's address in the subnet; empty without one. Raises Conflict, also for auxiliary addresses."""
    if not subnet:
        return ""
    pool = pools[0] if pools else None
    gateway = ipam.gateway(subnet, pool)
    ipam.auxiliary(subnet, gateway, pool)
    return gateway


def _parent(layout: Layout, asked: NetworkRequest, identity: str) -> tuple[str, bool]:
    """The host's interface for macvlan and ipvlan, and whether it is ours: `eth0.50` that isn't there is made, and
    a dummy where none is named. It is tried at once: a kernel without such links is named here."""
    parent = asked.options.get("parent", "") or f"dm-{identity[:12]}"
    if parent == "lo":
        raise UsageError(f"loopback interface is not a valid {asked.driver} parent link")
    if link.index_of(parent):
        macvlan.probe(asked.driver, parent)
        return parent, any(other.parent == parent and other.parent_made for other in subnets.everything(layout))
    with vlan.for_a_moment(parent):
        macvlan.probe(asked.driver, parent)
    return parent, True


def _bridge_name(layout: Layout) -> str:
    """`md0-1a2b`, `md-c0ffee-1a2b`: whose it is can be seen; 15 bytes at most (IFNAMSIZ)."""
    while True:
        name = f"{layout.bridge}-{os.urandom(2).hex()}"
        if not link.index_of(name):
            return name


def _local_subnet(layout: Layout) -> str:
    """One of the 65,536 /64 of a unique local prefix that follows from the instance's root (RFC 4193)."""
    prefix = hex_digest(b"ula " + os.fsencode(layout.root))[:10]
    taken = [found.subnet6 for found in subnets.everything(layout) if found.subnet6]
    for index in range(1, 1 << 16):
        subnet = f"fd{prefix[:2]}:{prefix[2:6]}:{prefix[6:10]}:{index:x}::/64"
        if not any(contains(other, subnet.partition("/")[0]) for other in taken):
            return subnet
    raise MinidockError("no IPv6 subnet is free for the network", hint="give one with --subnet")


def forget(layout: Layout, network: Network) -> None:
    """Remove what is written down; the caller has taken away the bridge."""
    with files.locked(subnets.REGISTRY / "lock"):
        subnets.unregister(layout, network)
        files.remove_tree(subnets.directory(layout, network.name))
