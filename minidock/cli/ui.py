"""ui: a page that shows what the kernel has of the containers, live."""

from __future__ import annotations

from ..errors import Unsupported, UsageError
from . import context
from .commands import verb
from .flags import number


@verb(
    "ui",
    "Show containers, live, in a browser on this machine",
    "[OPTIONS]",
    flags=[number("port", "p", "Port on 127.0.0.1; any that is free when 0")],
    most=0,
    examples="""
        sudo minidock ui              open the address that it prints; Ctrl-C ends it
        sudo minidock ui --port 8080
    """,
)
def ui(port: int) -> None:
    if not context.is_here():
        raise Unsupported("ui shows this host's kernel", hint="leave out -H, DOCKER_HOST and the context")
    if not 0 <= port < 1 << 16:
        raise UsageError(f"invalid port: {port}")
    from ..daemon import ui as page

    page.serve(context.layout(), port, lambda address: print(address, flush=True))
