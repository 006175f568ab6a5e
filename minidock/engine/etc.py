"""/etc/hostname, /etc/hosts and /etc/resolv.conf: files that minidock writes and binds into the container."""

from __future__ import annotations

from pathlib import Path

from minidock.engine.record import Record
from minidock.network import Attachment, resolv
from minidock.paths import Layout


def write(layout: Layout, record: Record, attachment: Attachment) -> None:
    """Plain files in the container's directory, new at each start: the address may be another one."""
    directory = layout.container(record.id)
    host, config = record.host_config, record.config
    for name, text in {
        "hostname": config.hostname + "\n",
        "hosts": resolv.hosts_text(layout, config, host, attachment),
        "resolv.conf": resolv.resolver_text(host),
    }.items():
        (directory / name).write_text(text, encoding="utf-8")
        Path(directory / name).chmod(0o644)
