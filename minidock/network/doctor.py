"""What on this host is in the way of containers' packets: looked at, never changed. Needs root for the firewalls."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import msgspec

from minidock.errors import MinidockError
from minidock.kernel import link, nft, route
from minidock.kernel.forwarding import FORWARDING6, IP_FORWARD
from minidock.kernel.netlink import Netlink
from minidock.network import firewall, obstacles, resolv, subnets
from minidock.network.arithmetic import overlap
from minidock.paths import Layout

NFT_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
MODULES = (
    ("nf_tables", "/proc/net/netfilter", "rules: published ports, and a way out for containers"),
    ("nf_conntrack", "/proc/sys/net/netfilter/nf_conntrack_max", "answers find their way back"),
)


class Finding(msgspec.Struct, frozen=True):
    """`level` is ok, note (minidock deals with it, or it matters to some only) or bad; `advice` what to do."""

    level: str
    about: str
    text: str
    advice: str = ""


def examine(layout: Layout) -> list[Finding]:
    """Everything that has stopped containers' networks somewhere, in the order in which a packet meets it."""
    checks = (_nft, _modules, _forwarding, _uplink, _firewalls, _subnets, _leftovers, _resolver, _ipv6, _bridge_filter)
    return [finding for check in checks for finding in check(layout)]


def _nft(layout: Layout) -> list[Finding]:
    found = shutil.which("nft", path=NFT_PATH)
    if not found:
        return [Finding("bad", "nft", "the program nft is not here", "apt-get install nftables")]
    try:
        nft.generation()
    except MinidockError as error:
        return [Finding("bad", "nft", f"the kernel's rules can't be read: {error}", "run it as root")]
    return [Finding("ok", "nft", f"{found} is here and the kernel answers")]


def _modules(layout: Layout) -> list[Finding]:
    rows = []
    for name, place, why in MODULES:
        loaded = Path(place).exists() or Path(f"/sys/module/{name}").exists()
        if not loaded:
            rows.append(Finding("note", "modules", f"{name} is not loaded yet ({why})", f"modprobe {name}"))
    return rows or [Finding("ok", "modules", "what rules and connection tracking need is there")]


def _forwarding(layout: Layout) -> list[Finding]:
    if IP_FORWARD.read_text().strip() == "1":
        return [Finding("ok", "forwarding", "the host passes packets on (net.ipv4.ip_forward)")]
    fixed = _set_to_zero()
    text = "net.ipv4.ip_forward is 0: the first container on a bridge switches it on"
    if fixed:
        return [Finding("bad", "forwarding", f"{text}, but {fixed} sets it to 0 again", f"change it in {fixed}")]
    return [Finding("note", "forwarding", text)]


def _set_to_zero() -> str:
    """A file of sysctl.d(5) that says so; the next boot, or `sysctl --system`, would cut all containers off."""
    places = [Path("/etc/sysctl.conf"), *Path("/etc/sysctl.d").glob("*.conf"), *Path("/run/sysctl.d").glob("*.conf")]
    for path in places:
        if path.is_file() and re.search(r"(?m)^\s*net[./]ipv4[./]ip_forward\s*=\s*0", path.read_text(errors="replace")):
            return str(path)
    return ""


def _uplink(layout: Layout) -> list[Finding]:
    with Netlink() as netlink:
        ways = [found for found in route.routes(netlink) if not found.prefix]
        names = {found.index: found for found in link.links(netlink)}
    if not ways:
        return [Finding("note", "way out", "the host has no default route: containers reach what it has routes for")]
    uplink = names[ways[0].index]
    rows = [Finding("ok", "way out", f"{uplink.name} by {ways[0].gateway or 'its own wire'}, MTU {uplink.mtu}")]
    if uplink.mtu < subnets.ETHERNET_MTU:
        text = f"{uplink.name} carries {uplink.mtu} bytes: networks that are made now carry no more"
        rows.append(Finding("note", "way out", text, "-o com.docker.network.driver.mtu=… for other sizes"))
    return rows


def _firewalls(layout: Layout) -> list[Finding]:
    try:
        dropping, rules = firewall.dropping(nft.chains()), nft.rules()
    except MinidockError:
        return []  # told by _nft
    rows = []
    for place in dropping:
        passed = any(
            f"{rule.family} {rule.table} {rule.chain}" == place
            and rule.comment.decode(errors="replace").startswith(layout.nft_table)
            for rule in rules
        )
        how = "has our rules at its end" if passed else "gets rules at its end with the next container"
        rows.append(Finding("note", "firewalls", f"chain {place} drops forwarded packets by policy; it {how}"))
    if any(rule.table == "firewalld" for rule in rules):
        advice = f"firewall-cmd --zone=trusted --add-interface={layout.bridge}"
        rows.append(
            Finding("note", "firewalls", "firewalld is here; it rejects by rules what it wasn't told of", advice)
        )
    legacy = Path("/proc/net/ip_tables_names")
    if legacy.exists() and "filter" in legacy.read_text().split():
        text = "iptables-legacy has a filter table, which is not looked at here"
        rows.append(Finding("note", "firewalls", text, "iptables-legacy -S FORWARD shows whether it drops"))
    rows += _dropping_rules(layout)
    return rows or [Finding("ok", "firewalls", "nobody drops our containers' packets")]


def _dropping_rules(layout: Layout) -> list[Finding]:
    """Rules that drop what goes out of a network, or comes in at a published port. Policies are told apart."""
    nft_program = shutil.which("nft", path=NFT_PATH)
    try:
        rules = obstacles.listed(nft_program or "nft")
    except (OSError, ValueError) as error:
        return [Finding("note", "firewalls", f"rules of other tables could not be looked at: {error}")]
    with Netlink() as netlink:
        names = {found.index: found.name for found in link.links(netlink)}
        uplink = next((names[found.index] for found in route.routes(netlink) if not found.prefix), "")
    rows: list[Finding] = []
    for bridge in [found.bridge for found in subnets.everything(layout) if found.bridge] or [layout.bridge]:
        ways = (("goes out of", obstacles.Packet(bridge, uplink)), ("comes in to", obstacles.Packet(uplink, bridge)))
        for way, packet in ways:
            met = obstacles.in_the_way(rules, packet, ours=layout.nft_table)
            for chain in dict.fromkeys(found.where for found in met):
                handles = {sure: _handles(met, chain, certain=sure) for sure in (True, False)}
                see = f"`nft -a list chain {chain}` shows"
                if handles[True]:
                    text = f"a rule of chain {chain} ({handles[True]}) drops what {way} {bridge}"
                    advice = f"{see} it; put one before it that accepts {bridge}"
                    rows.append(Finding("bad", "firewalls", text, advice))
                elif handles[False]:
                    text = f"chain {chain} ({handles[False]}) may drop some of what {way} {bridge}"
                    rows.append(Finding("note", "firewalls", text, f"{see} what it asks for"))
    return rows


def _handles(met: list[obstacles.Obstacle], chain: str, *, certain: bool) -> str:
    return ", ".join(f"handle {one.handle}" for one in met if (one.where, one.certain) == (chain, certain))


def _subnets(layout: Layout) -> list[Finding]:
    """Our networks against the host's routes: a VPN that came up later takes packets away, or loses its own."""
    with Netlink() as netlink:
        links = {found.index: found.name for found in link.links(netlink)}
        taken = [
            (f"{found.destination}/{found.prefix}", links.get(found.index, "?"))
            for found in route.routes(netlink)
            if found.prefix
        ]
    rows = []
    for network in subnets.everything(layout):
        for subnet, name in taken:
            if network.subnet and name != network.bridge and overlap(network.subnet, subnet):
                text = f"network {network.name} ({network.subnet}) meets the route to {subnet} by {name}"
                rows.append(Finding("bad", "subnets", text, "remove it, and create it with another --subnet"))
    return rows or [Finding("ok", "subnets", "no network meets a route of the host")]


def _leftovers(layout: Layout) -> list[Finding]:
    down = [found.name for found in subnets.everything(layout) if found.bridge and not link.index_of(found.bridge)]
    if not down:
        return []
    return [Finding("note", "bridges", f"not up, made by the next container: {', '.join(down)}")]


def _resolver(layout: Layout) -> list[Finding]:
    text = resolv.host_text()
    found = re.findall(resolv.NAMESERVER, text)
    local = [server for server in found if server.startswith("127.") or server == "::1"]
    if not found:
        advice = f"containers ask {', '.join(resolv.PUBLIC_SERVERS)}; --dns says otherwise"
        return [Finding("note", "names", "the host has no name server in /etc/resolv.conf", advice)]
    if not local:
        return [Finding("ok", "names", f"name servers: {', '.join(found)}")]
    if resolv.STUB in local and resolv.SYSTEMD_RESOLV_CONF.exists():
        return [Finding("ok", "names", f"systemd-resolved's stub {resolv.STUB}: what is behind it is asked instead")]
    text = f"{', '.join(local)} on the host's loopback: containers of the default network can't reach that"
    return [Finding("note", "names", text, "use a network of your own (its names are asked from the host), or --dns")]


def _ipv6(layout: Layout) -> list[Finding]:
    if not FORWARDING6.exists():
        return [Finding("note", "IPv6", "the kernel has none, or it is switched off: ports are published on IPv4 only")]
    if FORWARDING6.read_text().strip() == "1":
        return [Finding("ok", "IPv6", "the host passes packets on")]
    return [Finding("ok", "IPv6", "not passed on; the first network with --ipv6 switches it on")]


def _bridge_filter(layout: Layout) -> list[Finding]:
    path = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if path.exists() and path.read_text().strip() == "1":
        return [Finding("ok", "br_netfilter", "rules see packets inside bridges too; `enable_icc=false` works")]
    text = "rules don't see packets inside a bridge: `enable_icc=false` has no effect"
    return [Finding("note", "br_netfilter", text, "modprobe br_netfilter, when you need that")]
