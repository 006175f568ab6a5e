"""Reserved ports: sockets that nobody ever talks to, so that no other program of the host gets the port.

Packets for a published port are rewritten before they could reach a socket of the host (nat.py). Without a socket the
host's own programs would not know: a web server could take port 8080, and get nothing.

The sockets are bound, not listening. A listening one would say "connected" to whoever comes past the rules (over
::1, or after somebody flushed them), and then say nothing for ever; a bound one says "connection refused", the truth.
They are close-on-exec. Their descriptors go to the container's shim, and the port is free when the shim ends.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Sequence
from pathlib import Path

from minidock.errors import MinidockError, PortInUse, Unsupported
from minidock.network import addresses, subnets

KINDS = {
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}
LISTEN, UDP_BOUND = 0x0A, 0x07  # include/net/tcp_states.h, as in /proc/net/tcp


def reserve_ports(ports: Sequence[tuple[str, str, int]]) -> list[socket.socket]:
    """Take the ports (protocol, address, number) of the host; addresses of either family.

    Raises PortInUse with the holder's name; then none is taken.
    """
    taken: list[socket.socket] = []
    try:
        for protocol, address, number in ports:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            taken += _take(family, protocol, address, number)
    except BaseException:
        for held in taken:
            held.close()
        raise
    return taken


def listen(held: socket.socket) -> None:
    """Let a reserved TCP port be connected to. From now on nobody can share it, whatever he says; that connections to
    it don't mind is for the next start: what is left of them would hold the port against us for a minute."""
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.listen(128)


def _take(family: socket.AddressFamily, protocol: str, address: str, number: int) -> list[socket.socket]:
    """The bound socket; none where the kernel has no IPv6, as then nobody else can have such a port.

    Raises Unsupported where it has no SCTP: nobody could listen in the container either.
    """
    try:
        made = socket.socket(family, *KINDS[protocol])
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT:
            return []
        if error.errno in (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
            text = f"can't publish {protocol} port {number}: protocol not supported by this kernel"
            raise Unsupported(text, hint=f"modprobe {protocol} loads it where it is a module") from error
        raise
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        _bind(made, protocol, address, number)
    except OSError as error:
        made.close()
        if address == "::" and error.errno == errno.EADDRNOTAVAIL:  # IPv6 is switched off
            return []
        raise _explain(error, protocol, address, number) from error
    return [made]


def _bind(made: socket.socket, protocol: str, address: str, number: int) -> None:
    """Bind without SO_REUSEADDR: two sockets that have it and don't listen may share a port (socket(7))."""
    try:
        made.bind((address, number))
    except OSError as error:
        only_ghosts = error.errno == errno.EADDRINUSE and protocol == "tcp" and _only_ghosts(number)
        if not only_ghosts or holder(protocol, address, number):
            raise
        # A server that has ended left connections, most in TIME_WAIT, which hold the port for a minute against all but
        # those that say they don't mind, as long as they themselves said so (listen). Say so for this bind only.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, number))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)


def _explain(error: OSError, protocol: str, address: str, number: int) -> MinidockError:
    shown = f"[{address}]:{number}" if ":" in address else f"{address}:{number}"
    if error.errno == errno.EADDRINUSE:
        return PortInUse(shown, holder(protocol, address, number))
    if error.errno == errno.EADDRNOTAVAIL:
        hint = "`ip addr` shows the addresses of this host"
        return MinidockError(
            f"listen {protocol}{'6' if ':' in address else '4'} {shown}: bind: cannot assign requested address",
            hint=hint,
        )
    return MinidockError(f"can't reserve {protocol} port {shown}: {error.strerror}")


# Who has it?


def holder(protocol: str, address: str, number: int) -> str:
    """`container web`, `nginx (pid 4711)`, or empty when nobody can be found: a process of another namespace."""
    for layout in subnets.instances():
        with contextlib.suppress(PermissionError):  # somebody else's instance, and we are an ordinary user
            for claim in (claim for name in addresses.networks(layout) for claim in addresses.peek(layout, name)):
                # What this process itself has claimed is the container that is about to be started.
                if claim.pid != os.getpid() and any(port.clashes(protocol, address, number) for port in claim.ports):
                    return f"container {addresses.container_name(layout, claim.container)}"
    inodes = {row[2] for row in _sockets(protocol) if row[0] == number and row[1] in (LISTEN, UDP_BOUND) and row[2]}
    return _process_with(inodes) if inodes else ""


def _sockets(protocol: str) -> list[tuple[int, int, int]]:
    """The kernel's list: local port, state, inode. proc_net_tcp(5); a TCP socket that is only bound isn't in it."""
    rows = []
    for table in (protocol, f"{protocol}6"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                rows.append((int(fields[1].rpartition(":")[2], 16), int(fields[3], 16), int(fields[9])))
    return rows


def _only_ghosts(number: int) -> bool:
    """Whether nobody's sockets have the port: those that the kernel alone still keeps have no inode."""
    return {row[2] for row in _sockets("tcp") if row[0] == number} == {0}


def _process_with(inodes: set[int]) -> str:
    """The process that has one of the sockets open, by the links in /proc/PID/fd (proc_pid_fd(5))."""
    names = {f"socket:[{inode}]" for inode in inodes}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it ended meanwhile, or isn't ours to look at
            for fd in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{fd}") in names:
                    return f"{Path(f'/proc/{pid}/comm').read_text().strip()} (pid {pid})"
    return ""
