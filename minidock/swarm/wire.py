"""Between nodes: JSON over HTTP/1.1 over TLS, in which both sides show a certificate of the swarm's authority.

A manager is known by the name `swarm-manager` in its certificate, whatever its address: who asks one checks that. Who
is asked reads from the other's certificate who it is, and believes nothing else.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from minidock.errors import MinidockError
from minidock.swarm.ca import MANAGER

Json = Any
PATIENCE = 20.0
LONGEST_LINE = 4 << 20
"""Bytes of one object in an answer that goes on."""


class Unreachable(MinidockError):
    """No manager answers there, or not as one."""


class Refusal(MinidockError):
    """A manager says no; `status` as in HTTP."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


ELSEWHERE = 421
"""Misdirected Request: only the leader knows; its address is in the answer."""


def trusting(root_ca: str, files: Path | None = None) -> ssl.SSLContext:
    """For who asks: managers of this swarm and nobody else. `files` has our own certificate, once we have one."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cadata=root_ca)
    if files is not None:
        context.load_cert_chain(files / "node.crt", files / "node.key")
    return context


def blind() -> ssl.SSLContext:
    """For who asks for the root certificate itself, and compares it with what his token says."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def serving(files: Path) -> ssl.SSLContext:
    """For who is asked. A certificate is asked for, and needed by all but two questions: those of who joins."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(files / "node.crt", files / "node.key")
    context.load_verify_locations(files / "ca.crt")
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


async def ask(
    address: str, path: str, body: Json = None, *, context: ssl.SSLContext, timeout: float = PATIENCE
) -> Json:
    """The answer's JSON. Raises Unreachable, Refusal."""
    name = MANAGER if context.check_hostname else None
    limits = aiohttp.ClientTimeout(total=timeout)
    try:
        async with (
            aiohttp.ClientSession(timeout=limits) as session,
            session.post(f"https://{address}/v1/{path}", json=body or {}, ssl=context, server_hostname=name) as answer,
        ):
            said = await answer.json(content_type=None)
            if answer.status >= 400:
                raise Refusal(answer.status, str((said or {}).get("message", "")))
            return said
    except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
        raise Unreachable(f"no manager of the swarm answers at {address}: {_why(error)}") from error


async def stream(address: str, path: str, body: Json, *, context: ssl.SSLContext) -> AsyncGenerator[Json]:
    """The objects of an answer that goes on, one a line. Raises Unreachable, Refusal."""
    limits = aiohttp.ClientTimeout(total=None, sock_connect=PATIENCE)
    url = f"https://{address}/v1/{path}"
    try:
        async with (
            aiohttp.ClientSession(timeout=limits, read_bufsize=LONGEST_LINE) as session,
            session.post(url, json=body, ssl=context, server_hostname=MANAGER) as answer,
        ):
            if answer.status >= 400:
                raise Refusal(answer.status, str((await answer.json(content_type=None) or {}).get("message", "")))
            async for line in answer.content:
                yield json.loads(line)
    except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
        raise Unreachable(f"no manager of the swarm answers at {address}: {_why(error)}") from error


def _why(error: Exception) -> str:
    if isinstance(error, asyncio.TimeoutError | TimeoutError):
        return "it takes too long"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate isn't one of this swarm's"
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.strerror:
        return error.os_error.strerror.lower()
    return str(error) or type(error).__name__


async def ask_any(addresses: Sequence[str], path: str, body: Json = None, *, context: ssl.SSLContext) -> Json:
    """The first of the managers that answers. Raises Unreachable, Refusal."""
    last = Unreachable("no manager of the swarm is known")
    for address in addresses:
        try:
            return await ask(address, path, body, context=context)
        except Unreachable as error:
            last = error
    raise last
