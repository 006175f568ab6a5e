"""What a worker tells while it works: JSON, a line each, as pulls, pushes, loads and builds have it in Docker's API.

The answer begins with the first line. What fails before it is an HTTP status, as for every other verb; what fails
later is the stream's last line, `errorDetail`, by which clients know it.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

from minidock.daemon.encoding import encoded
from minidock.daemon.spawner import Reply, refusal


class Body(io.RawIOBase):
    """A file to write the answer's body to. With the first byte the answer begins."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        if not self.reply.given:
            self.reply.begin()
        return os.write(self.reply.descriptors[0], data)  # type: ignore[arg-type]  # whatever has a buffer


@contextlib.contextmanager
def body(reply: Reply) -> Iterator[BinaryIO]:
    """For archives. A client that has gone is nobody's failure."""
    with contextlib.suppress(BrokenPipeError):
        out: Any = io.BufferedWriter(Body(reply))
        yield out
        out.flush()


class Lines:
    def __init__(self, reply: Reply) -> None:
        self._body = Body(reply)

    def say(self, **members: object) -> None:
        self._body.write(encoded(members) + b"\r\n")

    def stream(self, text: str) -> None:
        self.say(stream=text)


@contextlib.contextmanager
def lines(reply: Reply) -> Iterator[Lines]:
    """Raises what went wrong only while nothing has been said."""
    told = Lines(reply)
    try:
        yield told
    except BrokenPipeError:
        return  # whoever asked has gone
    except Exception as error:
        if not reply.given:
            raise
        message = refusal(error).message
        with contextlib.suppress(BrokenPipeError):
            told.say(errorDetail={"message": message}, error=message)
    if not reply.given:
        reply.begin()
