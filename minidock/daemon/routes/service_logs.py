"""What a service's tasks have written, all of them in one stream: /services/ID/logs and /tasks/ID/logs.

With `details` each line says whose it is, which is how `docker service logs` knows; it stands after the time:
`com.docker.swarm.node.id=N,com.docker.swarm.service.id=S,com.docker.swarm.task.id=T line`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from aiohttp import web

from minidock.daemon import query
from minidock.daemon.app import Daemon, Route, version
from minidock.daemon.hijack import FRAMED, RAW
from minidock.daemon.streams import flowing, prepared
from minidock.daemon.workers import Refused

if TYPE_CHECKING:
    from minidock.swarm.objects import Body

HEADER = 8
"""Bytes in front of each line: stream, three zeros, length."""


async def of_service(daemon: Daemon, request: web.Request) -> web.StreamResponse:
    from minidock.swarm import tasks_shown

    return await _logs(daemon, request, await daemon.swarming.asked(tasks_shown.of_service, request.match_info["ref"]))


async def of_task(daemon: Daemon, request: web.Request) -> web.StreamResponse:
    from minidock.swarm import tasks_shown

    return await _logs(daemon, request, [await daemon.swarming.asked(tasks_shown.inspected, request.match_info["ref"])])


async def _logs(daemon: Daemon, request: web.Request, tasks: list[Body]) -> web.StreamResponse:
    streams = [number for number, name in ((1, "stdout"), (2, "stderr")) if query.flag(request, name)]
    if not streams:
        raise Refused(400, "Bad parameters: you must choose at least one stream")
    tail = request.query.get("tail", "all")
    wanted: dict[str, Any] = {
        "follow": query.flag(request, "follow"),
        "tail": int(tail) if tail.isdigit() else None,
        "since": query.moment(request, "since"),
        "until": None,
        "timestamps": query.flag(request, "timestamps"),
        "details": False,
        "streams": streams,
        "framed": True,
    }
    tty = bool(tasks and tasks[0]["Spec"]["ContainerSpec"].get("TTY"))
    response = web.StreamResponse(headers={"Content-Type": FRAMED if not tty and version(request) >= (1, 42) else RAW})
    found = await _here(daemon, tasks)
    await prepared(request, response)
    details = query.flag(request, "details")

    async def pass_on(task: Body) -> None:
        async for stream, line in _lines(daemon, {**wanted, "ref": task["Status"]["ContainerStatus"]["ContainerID"]}):
            text = _detailed(task, line, wanted["timestamps"]) if details else line
            await response.write(text if tty else stream + len(text).to_bytes(4, "big") + text)

    if wanted["follow"]:
        await asyncio.gather(*(pass_on(task) for task in found))
    else:
        for task in found:
            await pass_on(task)
    return response


async def _here(daemon: Daemon, tasks: list[Body]) -> list[Body]:
    """Those that have written anything. Raises Refused when one of them is on another node."""
    started = [task for task in tasks if (task["Status"].get("ContainerStatus") or {}).get("ContainerID")]
    me = (await daemon.swarming.info())["NodeID"]
    elsewhere = {task["NodeID"] for task in started if task["NodeID"] != me}
    if elsewhere:
        raise Refused(501, f"logs of tasks on other nodes can't be read from here: ask node {', '.join(elsewhere)}")
    return [task for task in started if await _exists(daemon, task)]


async def _exists(daemon: Daemon, task: Body) -> bool:
    try:
        await daemon.workers.call("inspect", {"ref": task["Status"]["ContainerStatus"]["ContainerID"]})
    except Refused as refused:
        if refused.status == 404:
            return False
        raise
    return True


async def _lines(daemon: Daemon, wanted: dict[str, Any]) -> AsyncIterator[tuple[bytes, bytes]]:
    """(header without the length, line)"""
    try:
        async with flowing(daemon, "logs", wanted) as (_, output):
            while True:
                header = await output.readexactly(HEADER)
                yield header[:4], await output.readexactly(int.from_bytes(header[4:], "big"))
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise


def _detailed(task: Body, line: bytes, timestamps: bool) -> bytes:
    whose = (
        f"com.docker.swarm.node.id={task['NodeID']},com.docker.swarm.service.id={task['ServiceID']},"
        f"com.docker.swarm.task.id={task['ID']} "
    ).encode()
    if not timestamps:
        return whose + line
    time, _, rest = line.partition(b" ")
    return time + b" " + whose + rest


ROUTES: list[Route] = [
    ("GET", "/services/{ref}/logs", of_service),
    ("GET", "/tasks/{ref}/logs", of_task),
]
