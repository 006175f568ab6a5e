"""The wire between the command (A) and the container's first process (C) while the container is being made.

    A                                   C
    │  proceed ───────────────────────▶ │   memberships, id maps and veth are in place: set yourself up
    │ ◀─────────── started 0, done 0 …  │   only when somebody listens (--explain)
    │ ◀──────────────────────── failed  │   the step and why; C has exited
    │ ◀─────────────────────── lend 5   │   only with a user namespace or mapped ids: open the source of step 5 for me
    │  lent, a descriptor ────────────▶ │
    │ ◀──────────────────────── hooks   │   only with hooks of the host: every mount is made; A runs them,
    │  proceed ───────────────────────▶ │   and C goes on
    │ ◀───────────────────────── ready  │   every step succeeded, the command was found
    │  exec ──────────────────────────▶ │
    │ ◀──────────────── end of file     │   close-on-exec: the command runs
    │ ◀─────────────────────── refused  │   execve said no: the errno

A socket pair of SOCK_SEQPACKET: a message is a JSON object and arrives whole. Either side reads end-of-file when the
other is gone, and then gives up: fail closed.
"""

from __future__ import annotations

import _socket  # socket.py without its enumerations and what it imports: a millisecond of every start
import sys
from typing import ClassVar

import msgspec

from minidock import errors
from minidock.errors import MinidockError, SystemCallFailed

LARGEST = 65536
DESCRIPTOR = 4
"""Bytes of a C int."""


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """`kind` is proceed, exec, park, hooks, lend, lent, started, done, failed, ready or refused.

    `step` is an index into the child's steps.

    With ready: `message` is the file that will be executed, `hint` and `call` why ENOENT or ENOEXEC would be.
    """

    kind: str
    step: int = -1
    seconds: float = 0.0
    error: str = ""
    message: str = ""
    hint: str = ""
    number: int = 0
    call: str = ""


class Wire:
    """One end of the pair."""

    def __init__(self, end: _socket.socket) -> None:
        self.end = end

    @classmethod
    def pair(cls) -> tuple[Wire, Wire]:
        """Both ends; each side closes the other's."""
        mine, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        return cls(mine), cls(theirs)

    def send(self, message: Message, fd: int = -1) -> None:
        """With a descriptor, if one is given (unix(7), SCM_RIGHTS)."""
        if fd >= 0:
            rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(DESCRIPTOR, sys.byteorder))
            self.end.sendmsg([msgspec.json.encode(message)], [rights])
        else:
            self.end.send(msgspec.json.encode(message))

    def receive(self) -> Message | None:
        """The next message; None at end-of-file."""
        raw = self.end.recv(LARGEST)
        return msgspec.json.decode(raw, type=Message) if raw else None

    def receive_fd(self) -> tuple[Message | None, int]:
        """The next message, and the descriptor that came with it; -1 for none."""
        space = _socket.CMSG_SPACE(DESCRIPTOR)
        raw, told, _, _ = self.end.recvmsg(LARGEST, space, _socket.MSG_CMSG_CLOEXEC)
        rights = [data for level, kind, data in told if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS)]
        fd = int.from_bytes(rights[0][:DESCRIPTOR], sys.byteorder) if rights else -1
        return (msgspec.json.decode(raw, type=Message) if raw else None), fd

    def close(self) -> None:
        self.end.close()


class Failures:
    """How an error crosses: by its class's name, back to the same class."""

    CARRIED: ClassVar[int] = 16384

    @classmethod
    def pack(cls, step: int, error: BaseException) -> Message:
        text = str(error)[: cls.CARRIED]
        if isinstance(error, SystemCallFailed):
            return Message(
                "failed", step, error="SystemCallFailed", message=text, hint=error.hint, number=error.number,
                call=error.call,
            )  # fmt: skip
        if isinstance(error, MinidockError):
            return Message("failed", step, error=type(error).__name__, message=text, hint=error.hint)
        return Message("failed", step, error="", message=f"{type(error).__name__}: {text}")

    @classmethod
    def unpack(cls, message: Message) -> MinidockError:
        if message.error == "SystemCallFailed":
            return SystemCallFailed(message.call, message.number, hint=message.hint)
        kind: type[MinidockError] = getattr(errors, message.error) if message.error else MinidockError
        revived = kind.__new__(kind)
        MinidockError.__init__(revived, message.message, hint=message.hint)
        return revived
