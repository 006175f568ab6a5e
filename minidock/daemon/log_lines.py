"""A container's log, line by line, as a worker reads it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from minidock.daemon.streams import flowing
from minidock.daemon.workers import Refused, Workers

HEADER = 8
"""Bytes in front of each line: stream, three zeros, length."""


async def lines(workers: Workers, container: str, wanted: dict[str, Any]) -> AsyncGenerator[tuple[int, bytes]]:
    """(stream, line); none of a container that isn't here any more. Raises Refused."""
    try:
        await workers.call("inspect", {"ref": container})
        async with flowing(workers, "logs", {**wanted, "ref": container}) as (_, output):
            while True:
                header = await output.readexactly(HEADER)
                yield header[0], await output.readexactly(int.from_bytes(header[4:], "big"))
    except Refused as refused:
        if refused.status != 404:
            raise
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
