"""system dial-stdio: our standard streams as a connection to the daemon. What `ssh://` runs on the other host."""

from __future__ import annotations

from . import context
from .commands import verb


@verb(
    "dial-stdio",
    "Proxy the stdio stream to the daemon connection",
    hidden=True,
    examples="ssh user@lab minidock system dial-stdio",
)
def dial_stdio() -> None:
    from ..daemon.client import carry, dial, endpoint

    carry.between(dial.dial((context.endpoint() if context.may_be_elsewhere() else None) or endpoint.here()))
