"""A server that says one thing, whatever it is asked, and hangs up."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def answering(words: bytes) -> Iterator[str]:
    """Its address, for one request."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            client, _ = listening.accept()
            with client:
                client.recv(1 << 16)
                client.sendall(words)

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/x"
        server.join(10)
