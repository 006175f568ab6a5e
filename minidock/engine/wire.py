"""The wire to a shim, for those who speak it without being the shim's client in a terminal: the daemon."""

from minidock.runtime.attach import (
    CLOSE_STDIN,
    EXIT,
    OWNER,
    RESIZE,
    STDERR,
    STDIN,
    STDOUT,
    Decoder,
    frame,
)
from minidock.runtime.session import DETACH_SECONDS
from minidock.runtime.terminal import DetachKeys, parse_detach_keys

__all__ = [
    "CLOSE_STDIN",
    "DETACH_SECONDS",
    "EXIT",
    "OWNER",
    "RESIZE",
    "STDERR",
    "STDIN",
    "STDOUT",
    "Decoder",
    "DetachKeys",
    "frame",
    "parse_detach_keys",
]
