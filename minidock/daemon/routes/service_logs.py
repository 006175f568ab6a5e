"""What a service's tasks have written, all of them in one stream: /services/ID/logs and /tasks/ID/logs.

With `details` each line says whose it is, which is how `docker service logs` knows; it stands after the time:
`com.docker.swarm.node.id=N,com.docker.swarm.service.id=S,com.docker.swarm.task.id=T line`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from minidock.daemon import query
from minidock.daemon.app import Daemon, Route, version
from minidock.daemon.hijack import FRAMED, RAW
from minidock.daemon.log_lines import lines
from minidock.daemon.streams import prepared
from minidock.daemon.workers import Refused
from minidock.errors import MinidockError

if TYPE_CHECKING:
    from minidock.swarm.objects import Body

ERROR = 3
"""Stream of what the daemon itself has to say, when it is too late for a status."""
INCOMPLETE = (
    "Error grabbing logs: rpc error: code = Unknown desc = warning: incomplete log stream. some logs could not be "
    "retrieved for the following reasons: "
)


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
    started = [task for task in tasks if (task["Status"].get("ContainerStatus") or {}).get("ContainerID")]
    me = (await daemon.swarming.info())["NodeID"]
    here = [task for task in started if task["NodeID"] == me]
    elsewhere = {task["ID"]: task for task in started if task["NodeID"] != me}
    await prepared(request, response)
    details = query.flag(request, "details")

    async def write(task: Body, stream: int, line: bytes) -> None:
        text = _detailed(task, line, wanted["timestamps"]) if details else line
        await response.write(text if tty else _framed(stream, text))

    async def of_here(task: Body) -> None:
        async for stream, line in lines(daemon.workers, container(task), wanted):
            await write(task, stream, line)

    async def of_others() -> None:
        problems = [problem async for problem in _elsewhere(daemon, elsewhere, wanted, write)]
        if problems:
            await response.write(_framed(ERROR, f"{INCOMPLETE}{'; '.join(problems)}".encode()))

    if wanted["follow"]:
        await asyncio.gather(*(of_here(task) for task in here), of_others())
    else:
        for task in here:
            await of_here(task)
        await of_others()
    return response


def container(task: Body) -> str:
    return str(task["Status"]["ContainerStatus"]["ContainerID"])


def _framed(stream: int, text: bytes) -> bytes:
    return bytes((stream, 0, 0, 0)) + len(text).to_bytes(4, "big") + text


async def _elsewhere(
    daemon: Daemon, tasks: dict[str, Body], wanted: dict[str, Any], write: Callable[[Body, int, bytes], Awaitable[None]]
) -> AsyncIterator[str]:
    """Lines of tasks on other nodes are written as they come; what comes out is why some can't be had."""
    if not tasks:
        return
    asked = {
        "tasks": {id: {"node": task["NodeID"], "container": container(task)} for id, task in tasks.items()},
        "wanted": wanted,
    }
    try:
        async with contextlib.aclosing(daemon.swarming.logs(asked)) as messages:
            async for message in messages:
                for stream, line in message.get("lines", []):
                    await write(tasks[message["task"]], stream, base64.b64decode(line))
                if message.get("error"):
                    yield message["error"]
    except MinidockError as error:
        yield error.message


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
