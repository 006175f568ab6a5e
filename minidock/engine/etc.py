"""/etc/hostname, /etc/hosts and /etc/resolv.conf: files that minidock writes and binds into the container.

Without a network namespace of its own a container gets the files of whom it shares it with: the host's, or the other
container's.
"""

from __future__ import annotations

import os
from pathlib import Path

from minidock.engine import userns
from minidock.engine.record import Record, Records
from minidock.network import Attachment, resolv
from minidock.paths import Layout


def write(layout: Layout, record: Record, attachment: Attachment) -> None:
    """Plain files in the container's directory, new at each start: the address may be another one."""
    directory = layout.container(record.id)
    # Whatever our umask is: the container's users must be able to read them.
    for name, text in texts(layout, record, attachment).items():
        path = directory / name
        path.write_text(text, encoding="utf-8")
        os.chmod(path, 0o644)
        userns.give(path, record)


def update(layout: Layout, record: Record, attachment: Attachment, gone: list[str], come: list[str]) -> None:
    """After a change of a running container's networks. Its files are bound into it, so they are written in place; and
    of hosts only what has changed, for somebody may have written there."""
    directory, config = layout.container(record.id), record.config
    hosts = directory / "hosts"
    text = hosts.read_text(encoding="utf-8", errors="surrogateescape")
    text = resolv.moved_hosts(text, config.hostname, config.domainname, gone, come)
    hosts.write_text(text, encoding="utf-8", errors="surrogateescape")
    (directory / "resolv.conf").write_text(_resolver(record, attachment), encoding="utf-8")


def texts(layout: Layout, record: Record, attachment: Attachment) -> dict[str, str]:
    """What the files hold, by name."""
    return {"hostname": record.config.hostname + "\n", **_network_files(layout, record, attachment)}


def _network_files(layout: Layout, record: Record, attachment: Attachment) -> dict[str, str]:
    host, config = record.host_config, record.config
    mode = host.network_mode
    if mode.startswith("container:"):
        other = layout.container(Records(layout).find(mode.removeprefix("container:")).id)
        return {name: (other / name).read_text(encoding="utf-8") for name in ("hosts", "resolv.conf")}
    addresses = attachment.addresses
    extra = host.extra_hosts
    if host.links:
        from minidock.engine import links

        extra = [*extra, *links.hosts(layout, record)]
    hosts = resolv.hosts_text(config.hostname, config.domainname, addresses, extra, gateway=attachment.gateway)
    if mode == "host" and not host.extra_hosts:
        hosts = Path("/etc/hosts").read_text(encoding="utf-8", errors="replace")
    return {"hosts": hosts, "resolv.conf": _resolver(record, attachment)}


def _resolver(record: Record, attachment: Attachment) -> str:
    host = record.host_config
    if attachment.named:
        return resolv.named_config(resolv.host_text(), host)
    text = resolv.host_resolver_config()
    if attachment.name_server:
        text = resolv.asking(attachment.name_server, text)
    return resolv.resolver_config(text, host, host.network_mode)


def name_server(layout: Layout, record: Record, attachment: Attachment) -> str:
    """dns.conf, by which the container's shim answers for names; empty when the container has no network of its own."""
    if not attachment.dns_port:
        return ""
    from minidock.network import names, subnets

    hosts = {name: subnets.directory(layout, name) / "hosts" for name in attachment.named}
    links = [link for settings in record.requested.values() for link in settings.links or []]
    servers = record.host_config.dns or resolv.servers(resolv.host_text())
    return names.config(attachment.dns_port, hosts, links, servers if attachment.reaches_out else [])
