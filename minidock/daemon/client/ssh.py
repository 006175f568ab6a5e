"""ssh://: the other host's client connects its standard streams to its daemon's socket, and ssh carries them here."""

from __future__ import annotations

import shlex
import socket
import subprocess

from minidock.daemon.client.endpoint import Endpoint

DIAL = "system dial-stdio"


def dial(endpoint: Endpoint) -> socket.socket:
    """Our end of a pair; ssh has the other as stdin and stdout, and ends when we close ours.

    It runs in a session of its own, so that Ctrl-C is ours alone. What it has to complain about, it says itself.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        subprocess.Popen(command(endpoint), stdin=theirs.fileno(), stdout=theirs.fileno(), start_new_session=True)
    return ours


def command(endpoint: Endpoint) -> list[str]:
    words = ["ssh", "-o", "ConnectTimeout=30", "-T"]
    words += ["-l", endpoint.user] if endpoint.user else []
    words += ["-p", str(endpoint.port)] if endpoint.port else []
    return [*words, "--", endpoint.address, f"sh -c {shlex.quote(_over_there(endpoint.path))}"]


def _over_there(path: str) -> str:
    """minidock where it is installed, else docker. `path` is that of another socket than the usual."""
    options = f"-H {shlex.quote(f'unix://{path}')} " if path else ""
    ours, docker = (f"exec {name} {options}{DIAL}" for name in ("minidock", "docker"))
    return f"if command -v minidock >/dev/null 2>&1; then {ours}; else {docker}; fi"
