"""Seccomp's listener: another process decides over a container's system calls.

A filter may answer SCMP_ACT_NOTIFY. The kernel then holds the calling thread and tells whoever has the filter's
listener, a descriptor that seccomp(2) makes at the load. The runtime gives that descriptor away: over the unix socket
that config.json names (`listenerPath`), in one message with who the container is. The descriptor is born in the very
last program (native/exec.c), under the filter already; so the socket is connected early, by the parent, and what is to
be said over it is written down while the host's /proc is in sight. Man page: seccomp_unotify(2); runtime-spec
config-linux.md, "The Container Process State".
"""

from __future__ import annotations

import os
import socket
from typing import Any, ClassVar

import msgspec

from minidock.errors import MinidockError, UsageError
from minidock.spec import Seccomp
from minidock.steps import Live, Step

NEW_LISTENER = 8  # SECCOMP_FILTER_FLAG_NEW_LISTENER, linux/seccomp.h
TSYNC = 1
LARGEST = 65536
"""What native/exec.c has room for."""


class ConnectAgent(Step, frozen=True):
    """The parent connects, for the path is the host's; the child keeps the socket for minidock-exec."""

    path: str
    metadata: str
    state: dict[str, Any]
    version: str = ""
    """Of the message, if not that of the state."""
    man: ClassVar[str] = "seccomp_unotify(2)"

    def describe(self) -> str:
        return f"connect to {self.path}, whose owner will decide over system calls"

    def shell(self) -> str:
        return f"# no tool of Debian 12 passes a seccomp listener to {self.path}"

    def lend(self, live: Live) -> int:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
            try:
                agent.connect(self.path)
            except OSError as error:
                raise MinidockError(
                    f"failed to connect with seccomp agent at {self.path}: {(error.strerror or str(error)).lower()}",
                    hint="linux.seccomp.listenerPath names a unix socket at which somebody has to listen",
                ) from error
            return agent.detach()

    def apply(self, live: Live) -> None:
        said = self.notice(int(os.readlink("/proc/self")))
        if len(said) > LARGEST:
            raise UsageError(f"linux.seccomp.listenerMetadata is too long: the message has {len(said)} bytes")
        live.actions["lend"]()
        live.fds["agent"] = live.fds.pop("lent")
        live.fds["agent-notice"] = os.memfd_create("minidock-agent", os.MFD_CLOEXEC)
        os.write(live.fds["agent-notice"], said)

    def notice(self, pid: int) -> bytes:
        """The container process state; `pid` is the host's number of the process that gets the filter."""
        state = {"ociVersion": "1.2.0", "id": "", "status": "creating", "bundle": "/", **self.state}
        told = {
            "ociVersion": self.version or state["ociVersion"],
            "fds": ["seccompFd"],
            "pid": pid,
            "metadata": self.metadata,
            # For an exec the state has the container's own first process.
            "state": {"pid": pid, **state},
        }
        return msgspec.json.encode(told)


def steps(profile: Seccomp, state: dict[str, Any], version: str = "") -> list[Step]:
    """For a profile with such a rule. Raises UsageError where nobody would answer: each such call would be ENOSYS."""
    if not profile.listener_path:
        raise UsageError("seccomp: SCMP_ACT_NOTIFY needs a listenerPath")
    return [ConnectAgent(profile.listener_path, profile.listener_metadata, state, version)]


def flags(given: int) -> int:
    """For the load. One thread has no others to synchronise with, and the one that passes the listener on must not be
    under the filter."""
    return given & ~TSYNC | NEW_LISTENER


def demo() -> None:
    """What an agent is told."""
    print(ConnectAgent("/run/agent.sock", "", {"id": "demo"}).notice(os.getpid()).decode())


if __name__ == "__main__":
    demo()
