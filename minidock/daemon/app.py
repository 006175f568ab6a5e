"""What all routes have in common: versions, headers, errors as JSON, listeners.

A handler is an async function of the daemon and the request. Paths come with a version in front, as clients send them
(/v1.41/containers/json), or without; what a version changes is a matter of the handler.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec
from aiohttp import ClientConnectionResetError, web
from aiohttp.http_exceptions import HttpProcessingError

from minidock import __version__
from minidock.daemon.happenings import Happenings
from minidock.daemon.swarming import Swarming
from minidock.daemon.workers import Refused, Workers
from minidock.errors import UsageError
from minidock.paths import Layout

if TYPE_CHECKING:
    from minidock.daemon.births import Birth

NEWEST, OLDEST = (1, 44), (1, 24)
LONGEST_PATH = 64 * 1024
"""Bytes of a request line or header: filters come in the query."""

log = logging.getLogger("minidock.daemon")


class Daemon:
    """One instance's engine, for everybody who speaks the API."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.workers = Workers(layout)
        self.happenings = Happenings(layout)
        self.swarming = Swarming(layout, self.workers, self.happenings)
        self.starting: dict[str, Birth] = {}
        """By id of a container that isn't running: who attached to it waits here for the shim's connection."""

    def open(self) -> None:
        self.workers.start()
        self.happenings.open()
        self._restoring = asyncio.create_task(self._restore())
        self._resuming = asyncio.create_task(self.swarming.resume())

    async def _restore(self) -> None:
        """After the machine was down: what should be up by its restart policy."""
        try:
            await self.workers.call("restore")
        except Refused as refused:
            log.warning("containers could not be started again: %s", refused.message)

    async def close(self) -> None:
        self._restoring.cancel()
        self._resuming.cancel()
        await self.swarming.close()
        self.happenings.close()
        self.workers.close()


CONTAINER = "/containers/{ref:[^/]+(?:/[^/]+)?}"
"""By id or name; a link gives one more name, `web/store`."""

Handler = Callable[[Daemon, web.Request], Awaitable[web.StreamResponse]]
Route = tuple[str, str, Handler]
DAEMON = web.AppKey("daemon", Daemon)


def routes() -> list[Route]:
    """All there are; what stands first is asked first."""
    from minidock.daemon.routes import (
        absent,
        attached,
        builds,
        containers,
        described,
        execs,
        images,
        kept,
        networks,
        nodes,
        registries,
        service_logs,
        services,
        steering,
        swarm,
        system,
        trees,
        volumes,
    )

    modules = (
        system,
        containers,
        attached,
        steering,
        trees,
        execs,
        images,
        registries,
        builds,
        networks,
        volumes,
        swarm,
        nodes,
        kept,
        services,
        service_logs,
        absent,
    )
    return [route for module in (*modules, described) for route in module.ROUTES]


def application(daemon: Daemon) -> web.Application:
    app = web.Application(middlewares=[answers], client_max_size=0)
    app[DAEMON] = daemon
    for method, path, handler in routes():
        for prefix in ("", r"/v{version:\d+\.\d+}"):
            app.router.add_route(method, prefix + path, _bound(daemon, handler))
    return app


def _bound(daemon: Daemon, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await handler(daemon, request)

    return handle


@web.middleware
async def answers(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Every answer carries Docker's headers; every failure is {"message": …}, and never a traceback."""
    try:
        _check_version(request)
        if "\0" in request.path or any("\0" in word for pair in request.query.items() for word in pair):
            raise Refused(400, "invalid address: no name and no path has a null byte in it")
        response = await handler(request)
    except Refused as refused:
        response = failure(refused.status, refused.message)
    except UsageError as error:
        response = failure(400, error.message)
    except web.HTTPNotFound:
        response = failure(404, "page not found")
    except web.HTTPMethodNotAllowed:
        response = failure(405, f"method not allowed: {request.method} {request.path}")
    except web.HTTPException as error:
        response = failure(error.status, error.reason.lower())
    except (asyncio.CancelledError, ConnectionError):
        raise
    except Exception as error:
        log.exception("%s %s", request.method, request.path)
        response = failure(500, f"a mistake in minidock itself: {type(error).__name__}")
    if not response.prepared:
        response.headers.update(HEADERS)
    return response


HEADERS = {
    "Api-Version": f"{NEWEST[0]}.{NEWEST[1]}",
    "Docker-Experimental": "false",
    "Ostype": "linux",
    "Server": f"Docker/{__version__} (linux)",
}


def _check_version(request: web.Request) -> None:
    """Newer than we know is served as the newest: docker-py asks for what the server says, whatever it is."""
    asked = request.match_info.get("version")
    if asked is not None and version(request) < OLDEST:
        oldest = f"{OLDEST[0]}.{OLDEST[1]}"
        raise Refused(
            400,
            f"client version {asked} is too old. Minimum supported API version is {oldest}, "
            "please upgrade your client to a newer version",
        )


def version(request: web.Request) -> tuple[int, int]:
    asked = request.match_info.get("version")
    if asked is None:
        return NEWEST
    major, _, minor = asked.partition(".")
    return int(major), int(minor)


# Answers


def failure(status: int, message: str) -> web.Response:
    return json(msgspec.json.encode({"message": message}), status=status)


def json(body: bytes, *, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")


def nothing() -> web.Response:
    return web.Response(status=204)


# Listeners


def _is_ours(record: logging.LogRecord) -> bool:
    """What is no HTTP is the client's mistake, and answered; one that has gone before its answer needs none. The log
    is for our own."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | ClientConnectionResetError)


async def serve(daemon: Daemon, sites: Callable[[web.AppRunner], list[web.BaseSite]]) -> None:
    """Until SIGTERM or SIGINT. Containers go on; open streams are cut after a moment."""
    import signal

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    logging.getLogger("aiohttp.server").addFilter(_is_ours)
    daemon.open()
    runner = web.AppRunner(
        application(daemon),
        handler_cancellation=True,
        access_log=None,
        max_line_size=LONGEST_PATH,
        max_field_size=LONGEST_PATH,
        shutdown_timeout=1.0,
    )
    await runner.setup()
    try:
        for site in sites(runner):
            await site.start()
        await stopped.wait()
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(runner.cleanup(), 5)
        await daemon.close()
