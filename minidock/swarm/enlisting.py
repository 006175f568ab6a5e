"""A new manager's questions to the others: a place in their etcd, and then a vote."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence

from minidock.swarm import wire
from minidock.swarm.objects import Body

PATIENCE, PAUSE = 60.0, 0.2
NOT_YET = (409, 503)
"""Another manager is just joining, or the last one that did isn't yet known to be well."""


async def place(managers: Sequence[str], where: Body, context: ssl.SSLContext) -> Body:
    """Members, and the keys that managers have. Raises Refusal, Unreachable."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while True:
        try:
            found: Body = await wire.ask_any(managers, "managers/add", where, context=context)
        except wire.Refusal as error:
            if error.status not in NOT_YET or loop.time() > deadline:
                raise
            await asyncio.sleep(PAUSE)
        else:
            return found


async def vote(managers: Sequence[str], where: Body, context: ssl.SSLContext) -> None:
    """Until we have one. Raises Refusal, Unreachable, TimeoutError."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not (await wire.ask_any(managers, "managers/vote", where, context=context))["done"]:
        if asyncio.get_running_loop().time() > deadline:
            raise wire.Unreachable("the other managers' etcd doesn't give this one a vote: it can't reach it")
        await asyncio.sleep(PAUSE)
