"""A connection to a daemon, always a plain socket: whoever encrypts or tunnels stands between."""

from __future__ import annotations

import socket

from minidock.daemon.client.endpoint import Endpoint
from minidock.errors import NoDaemon


def dial(endpoint: Endpoint) -> socket.socket:
    """Raises NoDaemon in Docker's words."""
    if endpoint.kind == "ssh":
        from minidock.daemon.client import ssh

        return ssh.dial(endpoint)
    try:
        plain = _unix(endpoint.path) if endpoint.kind == "unix" else _tcp(endpoint)
    except PermissionError as error:
        sentence = f"permission denied while trying to connect to the Docker daemon socket at {endpoint.host}"
        raise NoDaemon(sentence, hint="try it with sudo, or as a member of the socket's group") from error
    except socket.gaierror as error:
        raise NoDaemon(f"error during connect: {endpoint.host}: lookup {endpoint.address}: no such host") from error
    except OSError as error:
        raise nobody(endpoint) from error
    if endpoint.tls is None or endpoint.kind == "unix":
        return plain
    from minidock.daemon.client import tls

    return tls.wrapped(plain, endpoint)


def nobody(endpoint: Endpoint) -> NoDaemon:
    shown = endpoint.host if "://" in endpoint.host else f"tcp://{endpoint.host}"
    return NoDaemon(f"Cannot connect to the Docker daemon at {shown}. Is the docker daemon running?")


def _unix(path: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        made.connect(path)
    except BaseException:
        made.close()
        raise
    return made


def _tcp(endpoint: Endpoint) -> socket.socket:
    made = socket.create_connection((endpoint.address, endpoint.port), timeout=30)
    made.settimeout(None)
    # Interactive: each key is a packet of its own. And a daemon whose host has died is noticed, in the end.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return made
