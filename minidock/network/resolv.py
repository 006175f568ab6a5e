"""Two files by which a container finds names: /etc/resolv.conf and /etc/hosts, written by Docker's rules.

Pure: text in, text out; the engine reads the host's files and puts the results into the container.
man: resolv.conf(5), hosts(5)
"""

from __future__ import annotations

import re
from pathlib import Path

from minidock.errors import UsageError
from minidock.model.host import HostConfig

ETC_RESOLV_CONF = Path("/etc/resolv.conf")
SYSTEMD_RESOLV_CONF = Path("/run/systemd/resolve/resolv.conf")
STUB = "127.0.0.53"
"""Where systemd-resolved listens on the host: an address that inside a container leads nowhere."""
PUBLIC_SERVERS = ["8.8.8.8", "8.8.4.4"]
"""What Docker falls back to when the host knows no name server that a container could reach."""

NAMESERVER = r"(?m)^[ \t]*nameserver[ \t]+(\S+).*\n?"
SEARCH = r"(?m)^[ \t]*search[ \t]+(.+)$"
OPTIONS = r"(?m)^[ \t]*options[ \t]+(.+)$"

LOCAL_NAMES = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""


def host_resolver_config(etc: Path = ETC_RESOLV_CONF, systemd: Path = SYSTEMD_RESOLV_CONF) -> str:
    """What the host itself asks: its resolv.conf, or the one behind systemd-resolved's stub. Empty when it has none."""
    try:
        text = etc.read_text(errors="replace")
    except FileNotFoundError:
        return ""
    if set(re.findall(NAMESERVER, text)) == {STUB} and systemd.exists():
        return systemd.read_text(errors="replace")
    return text


def host_text(etc: Path = ETC_RESOLV_CONF) -> str:
    """The host's resolv.conf as it is: stubs on its loopback too, since whoever asks them for us is on the host."""
    try:
        return etc.read_text(errors="replace")
    except FileNotFoundError:
        return ""


def servers(text: str) -> list[str]:
    """The name servers in the text, without zones (`fe80::1%eth0`); the public ones when there are none."""
    found = [server for server in re.findall(NAMESERVER, text) if "%" not in server]
    return found or PUBLIC_SERVERS


def named_config(text: str, host: HostConfig) -> str:
    """resolv.conf of a container in a network with names: all is asked at 127.0.0.11, the search list is kept.

    `ndots:0`: names without a dot are asked as they are first, for that is what containers are called.
    """
    options = host.dns_options or _words(OPTIONS, text)
    if not any(option.startswith("ndots:") for option in options):
        options = [*options, "ndots:0"]
    return _built(["127.0.0.11"], host.dns_search or _words(SEARCH, text), options)


def asking(server: str, text: str) -> str:
    """The host's resolv.conf with one server in place of its own."""
    return f"nameserver {server}\n" + re.sub(NAMESERVER, "", text)


def resolver_config(host_text: str, host: HostConfig, mode: str) -> str:
    """The container's resolv.conf. `host_text` is the host's, `mode` the network mode.

    What --dns, --dns-search and --dns-option give replaces the host's lines of that kind. Without them the host's
    text stays as it is, but for servers that a container can't reach; a container on the host's network can.
    """
    if host.dns or host.dns_search or host.dns_options:
        return _built(
            host.dns or re.findall(NAMESERVER, host_text if mode == "host" else _reachable(host_text)),
            host.dns_search or _words(SEARCH, host_text),
            host.dns_options or _words(OPTIONS, host_text),
        )
    return host_text if mode == "host" else _reachable(host_text)


def _reachable(text: str) -> str:
    """Without name servers on a loopback address (that would be the container itself) and without IPv6 ones."""
    kept = re.sub(NAMESERVER, lambda line: "" if _is_out_of_reach(line[1]) else line[0], text)
    if re.search(NAMESERVER, kept):
        return kept
    lines = [f"nameserver {server}\n" for server in PUBLIC_SERVERS]
    return kept + ("\n" if kept and not kept.endswith("\n") else "") + "".join(lines)


def _is_out_of_reach(server: str) -> bool:
    return server.startswith("127.") or ":" in server


def _words(kind: str, text: str) -> list[str]:
    """The words of the last line of that kind: resolv.conf(5), the last instance wins."""
    lines = re.findall(kind, text)
    return lines[-1].split() if lines else []


def _built(servers: list[str], search: list[str], options: list[str]) -> str:
    lines = [f"search {' '.join(search)}"] if search and search != ["."] else []
    lines += [f"nameserver {server}" for server in servers]
    lines += [f"options {' '.join(options)}"] if options else []
    return "\n".join(lines) + "\n"


def hosts_text(
    hostname: str, domainname: str, addresses: list[str], extra_hosts: list[str], *, gateway: str = ""
) -> str:
    """The container's /etc/hosts: localhost, then --add-host (`name:address`), then its own name for each address.

    `gateway` is what the address "host-gateway" stands for. Raises UsageError.
    """
    lines = [f"{address}\t{name}\n" for name, address in (_extra(entry, gateway) for entry in extra_hosts)]
    names = _own_names(hostname, domainname)
    return LOCAL_NAMES + "".join(lines) + "".join(f"{address}\t{names}\n" for address in addresses)


def _own_names(hostname: str, domainname: str) -> str:
    full = f"{hostname}.{domainname}" if domainname else hostname
    short = full.partition(".")[0]
    return full if short == full else f"{full} {short}"


def moved_hosts(text: str, hostname: str, domainname: str, gone: list[str], come: list[str]) -> str:
    """/etc/hosts of a running container that has lost and got addresses: only the lines of its own name change, for
    what somebody has written there meanwhile is his."""
    names = _own_names(hostname, domainname)
    mine = [[address, *names.split()] for address in gone]
    kept = [line for line in text.splitlines() if line.split() not in mine]
    return "\n".join([*kept, *(f"{address}\t{names}" for address in come)]) + "\n"


def relinked_hosts(text: str, names: set[str], address: str) -> str:
    """/etc/hosts of a container that is linked to another (by `names`, its alias and short id), which has another
    address now; or none: the link is no more."""
    lines = []
    for line in text.splitlines():
        words = line.split()
        if not names <= set(words[1:]):
            lines.append(line)
        elif address:
            lines.append(f"{address}\t{' '.join(words[1:])}")
    return "\n".join(lines) + "\n"


def _extra(entry: str, gateway: str) -> tuple[str, str]:
    """`name:address` or `name=address`; an IPv6 address may stand in brackets."""
    name, separator, address = entry.partition("=") if "=" in entry else entry.partition(":")
    if not (name and separator and address):
        raise UsageError(f'invalid argument "{entry}" for "--add-host" flag: bad format for add-host: "{entry}"')
    if address == "host-gateway":
        if not gateway:
            raise UsageError("unable to derive the IP value for host-gateway", hint="the container has no gateway")
        return name, gateway
    return name, address.removeprefix("[").removesuffix("]")
