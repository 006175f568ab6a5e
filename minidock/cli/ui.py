"""ui: a page that shows what the kernel has of the containers, live; the same in a terminal."""

from __future__ import annotations

import sys

from ..errors import Unsupported, UsageError
from . import context
from .commands import verb
from .flags import boolean, number


@verb(
    "ui",
    "Show containers, live, in a browser on this machine, or in the terminal",
    "[OPTIONS]",
    flags=[
        number("port", "p", "Port on 127.0.0.1; any that is free when 0"),
        boolean("terminal", "t", "Here, in the terminal, instead of a browser"),
    ],
    most=0,
    examples="""
        sudo minidock ui              open the address that it prints; Ctrl-C ends it
        sudo minidock ui --port 8080
        sudo minidock ui --terminal   without a browser: the keys are told at the bottom, q ends it
    """,
)
def ui(port: int, terminal: bool) -> None:
    if not context.is_here():
        raise Unsupported("ui shows this host's kernel", hint="leave out -H, DOCKER_HOST and the context")
    if not 0 <= port < 1 << 16:
        raise UsageError(f"invalid port: {port}")
    if not terminal:
        from ..daemon import ui as page

        return page.serve(context.layout(), port, lambda address: print(address, flush=True))
    if port:
        raise UsageError("--port is of the page, and --terminal has none")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("ui --terminal needs a terminal", hint="without it the page of a browser is served")
    from ..daemon.ui_view import View
    from .ui_terminal import Terminal

    Terminal(View(context.engine())).run()
    return None
