"""A real browser without a window, told what to do by the protocol of its developers' tools."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.instance import SLOWNESS
from tests.support.needs import require_tool

PATIENCE = 30.0 * SLOWNESS


async def in_browser(address: str, profile: Path, *scripts: str) -> list[Any]:
    """What each expression gives in the page, as soon as it gives anything true; in the end nothing at all."""
    command = [require_tool("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    browser = await asyncio.create_subprocess_exec(
        *command, f"--user-data-dir={profile}", address, stderr=asyncio.subprocess.PIPE
    )
    assert browser.stderr
    try:
        async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as session:
            while not (found := re.search(rb"ws://([\d.:]+)/", await browser.stderr.readline())):
                pass
            while not (tabs := await _tabs(session, found[1].decode(), address)):
                await asyncio.sleep(0.05)
            async with session.ws_connect(tabs[0]) as wire:
                return [await _evaluated(wire, script) for script in scripts]
    finally:
        browser.terminate()
        await browser.communicate()


async def _tabs(session: aiohttp.ClientSession, browser: str, address: str) -> list[str]:
    async with session.get(f"http://{browser}/json/list") as answer:
        return [tab["webSocketDebuggerUrl"] for tab in await answer.json(content_type=None) if tab["url"] == address]


async def _evaluated(wire: aiohttp.ClientWebSocketResponse, script: str) -> Any:
    number = 0
    while True:
        number += 1
        asked = {"id": number, "method": "Runtime.evaluate", "params": {"expression": script, "returnByValue": True}}
        await wire.send_json(asked)
        while (answer := await wire.receive_json()).get("id") != number:
            pass
        if value := answer["result"]["result"].get("value"):
            return value
        await asyncio.sleep(0.05)
