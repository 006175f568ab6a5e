"""What a container's shim does for its network: it holds the published ports, passes IPv6 on, and answers for names."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from minidock import files, network
from minidock.errors import MinidockError
from minidock.network import Attachment, Published, names, reserve
from minidock.runtime import attach
from minidock.runtime.shim import attach_socket

DNS_CONFIG = "dns.conf"
PROTOCOLS = {socket.IPPROTO_TCP: "tcp", socket.IPPROTO_UDP: "udp"}


class Services:
    """The sockets of one container's shim. A opens them, but for the name server's: those B opens in C's network."""

    def __init__(self, attachment: Attachment, run_dir: Path) -> None:
        self.attachment = attachment
        self.run_dir = run_dir
        held = network.reserve_ports(attachment.hold)
        self.proxies: dict[int, list[str]] = {}
        """By the descriptor, what the shim is told of it: `--proxy 7=172.18.0.2:80` to pass on, `--port-fd 7`
        where the kernel sees to that."""
        for one in held:
            if target := _target(one, attachment.proxied):
                option = "--proxy-udp" if one.type == socket.SOCK_DGRAM else "--proxy"
                if one.type == socket.SOCK_STREAM:
                    reserve.listen(one)
                self.proxies[one.fileno()] = [option, f"{one.fileno()}={target[0]}:{target[1]}"]
            else:
                self.proxies[one.fileno()] = ["--port-fd", str(one.fileno())]
        self.descriptors = [one.detach() for one in held]
        self.fds: dict[str, int] = {}
        """For the steps, by name: a pipe whose other end the shim has, and with it is closed."""
        if attachment.lifeline:
            self.fds[attachment.lifeline], theirs = os.pipe()
            self.descriptors.append(theirs)

    def flags(self, pid: int) -> list[str]:
        """The shim's arguments. We are B, which is about to become it, and `pid` is the container's first process."""
        words: list[str] = []
        for fd in self.descriptors:
            words += self.proxies.get(fd, ["--hold-fd", str(fd)])
        if self.attachment.dns_port:
            for option, one in zip(
                ("--dns-udp-fd", "--dns-tcp-fd"), names.open_sockets(pid, self.attachment.dns_port), strict=True
            ):
                fd = one.detach()
                os.set_inheritable(fd, True)
                words += [option, str(fd)]
        return [*words, "--dns-config", str(self.run_dir / DNS_CONFIG)]


def _target(held: socket.socket, proxied: list[tuple[Published, str]]) -> tuple[str, int] | None:
    """What comes over IPv6 and the kernel can't rewrite: to ::1, and to a container that has only IPv4."""
    if held.family != socket.AF_INET6 or held.proto not in PROTOCOLS:
        return None
    address, number = held.getsockname()[:2]
    for port, inside in proxied:
        if (PROTOCOLS[held.proto], address, number) == (port.protocol, port.host_ip, port.host_port):
            return inside, port.port
    return None


def hold_ports(run_dir: Path, published: list[Published], proxied: list[tuple[Published, str]]) -> None:
    """Take ports of the host for a container that runs, and give them to its shim. Raises PortInUse, MinidockError."""
    held = network.reserve_ports([(port.protocol, port.host_ip, port.host_port) for port in published])
    try:
        with attach.connect(attach_socket(run_dir)) as shim:
            for one in held:
                if (target := _target(one, proxied)) and one.type == socket.SOCK_STREAM:
                    reserve.listen(one)
                attach.hold_port(shim, one, target)
    except OSError as error:
        raise MinidockError("nobody would hold the container's ports: its shim was killed") from error
    finally:
        for one in held:
            one.close()


def drop_ports(run_dir: Path) -> None:
    """Let the host have back what the shim holds. One that was killed holds nothing any more."""
    with contextlib.suppress(OSError), attach.connect(attach_socket(run_dir)) as shim:
        attach.drop_ports(shim)
        shim.shutdown(socket.SHUT_WR)
        while shim.recv(attach.CHUNK):  # until it has seen all that we said
            pass


def answer_names(run_dir: Path, pid: int) -> None:
    """Make the shim of a running container its name server, unless it is one already.

    Containers in the default network alone ask the host's servers. Sockets in there would be in the way at their end:
    the kernel takes 15 ms to forget one that was bound, and so long the namespace stays. Raises MinidockError.
    """
    if dns_port(run_dir):
        return
    port = names.draw_port()
    try:
        with attach.connect(attach_socket(run_dir)) as shim:
            udp, tcp = names.open_sockets(pid, port)
            with udp, tcp:
                attach.answer_names(shim, udp, tcp)
    except OSError as error:
        raise MinidockError("nobody would answer for names in the container: its shim was killed") from error
    files.write_atomic(run_dir / DNS_CONFIG, names.config(port, {}, [], []).encode(), durable=False)


def dns_port(run_dir: Path) -> int:
    """Where in a running container its shim answers for names; 0 when it doesn't."""
    try:
        first = (run_dir / DNS_CONFIG).read_text().partition("\n")[0]
    except FileNotFoundError:
        return 0
    return int(first.removeprefix("port "))
