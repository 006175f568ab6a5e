"""The wire to a shim, for those who speak it without being the engine: the daemon, and the client of one.

`stream` is the loop of an attached client: a connection to a shim is one end of it, or what looks like one."""

from minidock.runtime.attach import (
    CLOSE_STDIN,
    DETACH_KEYS,
    EXIT,
    HEADER,
    OWNER,
    RESIZE,
    STDERR,
    STDIN,
    STDOUT,
    Decoder,
    Outcome,
    frame,
    stream,
)
from minidock.runtime.session import DETACH_SECONDS
from minidock.runtime.terminal import DetachKeys, parse_detach_keys, size

__all__ = [
    "CLOSE_STDIN",
    "DETACH_KEYS",
    "DETACH_SECONDS",
    "EXIT",
    "HEADER",
    "OWNER",
    "RESIZE",
    "STDERR",
    "STDIN",
    "STDOUT",
    "Decoder",
    "DetachKeys",
    "Outcome",
    "frame",
    "parse_detach_keys",
    "size",
    "stream",
]
