"""TLS by a thread between two sockets: the encrypted one, and a plain one for everybody else.

So there is one kind of connection, with all that a socket can: poll(2) tells the truth about it (an SSLSocket may hold
decrypted bytes that poll doesn't know of), and each direction can end alone, as `echo x | run -i` needs it: the end of
one is TLS's close_notify, after which the other side may still send. asyncio's TLS would close both.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl

CHUNK, LIMIT = 64 * 1024, 256 * 1024


class Carrier:
    """Bytes both ways, until both ways have ended."""

    def __init__(
        self, plain: socket.socket, inner: socket.socket, context: ssl.SSLContext, *, server_hostname: str = ""
    ) -> None:
        """`plain` leads to the other side of TLS, `inner` to ours. With a name we are the client."""
        self.plain, self.inner = plain, inner
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.secured = context.wrap_bio(
            self.incoming, self.outgoing, server_side=not server_hostname, server_hostname=server_hostname or None
        )
        self.to_plain, self.to_inner = bytearray(), bytearray()
        self.receiving, self.sending = True, True
        self.told, self.gone = False, False
        """Whether `inner` knows that nothing more comes; whether it has been closed."""

    def shake_hands(self) -> None:
        """Blocks. Raises SSLError when either side doesn't trust the other; which has been told so by then."""
        try:
            while not self._is_agreed():
                self.plain.sendall(self.outgoing.read())
                received = self.plain.recv(CHUNK)
                self.incoming.write(received) if received else self.incoming.write_eof()
        finally:
            self.plain.sendall(self.outgoing.read())

    def _is_agreed(self) -> bool:
        try:
            self.secured.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def run(self) -> None:
        with self.plain, self.inner:
            self.plain.setblocking(False)
            self.inner.setblocking(False)
            try:
                self._decrypt()  # what came with the handshake's last packet
                while self.receiving or self.sending or self.to_inner or self.to_plain:
                    self._turn()
            except (OSError, ssl.SSLError):
                return  # one side has gone; closing both tells the other

    def _turn(self) -> None:
        on_plain, on_inner = self._poll()
        over = select.POLLHUP | select.POLLERR
        if on_plain & (select.POLLIN | over) and self.receiving:
            received = self.plain.recv(CHUNK)
            self.incoming.write(received) if received else self.incoming.write_eof()
            self._decrypt()
        if on_inner & select.POLLIN and self.sending:
            self._encrypt(self.inner.recv(CHUNK))
        elif on_inner & over:
            self._inner_has_gone()
        for side, queue in ((self.plain, self.to_plain), (self.inner, self.to_inner)):
            if queue:
                with contextlib.suppress(BlockingIOError):
                    del queue[: side.send(queue)]
        if not (self.receiving or self.to_inner or self.told or self.gone):
            self.told = True
            self.inner.shutdown(socket.SHUT_WR)

    def _poll(self) -> tuple[int, int]:
        poll = select.poll()
        reading = self.receiving and len(self.to_inner) < LIMIT
        if reading or self.to_plain:
            poll.register(self.plain, (select.POLLIN if reading else 0) | (select.POLLOUT if self.to_plain else 0))
        if not self.gone:
            reading = self.sending and len(self.to_plain) < LIMIT
            poll.register(self.inner, (select.POLLIN if reading else 0) | (select.POLLOUT if self.to_inner else 0))
        ready = dict(poll.poll())
        return ready.get(self.plain.fileno(), 0), ready.get(self.inner.fileno(), 0)

    def _inner_has_gone(self) -> None:
        """Closed in both directions: nobody hears what still comes; what was said is still sent."""
        self.gone, self.receiving = True, False
        self.to_inner.clear()
        if self.sending:
            self._encrypt(b"")

    def _decrypt(self) -> None:
        try:
            while text := self.secured.read(CHUNK):
                self.to_inner += text
            self.receiving = False
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self.receiving = False
        self.to_plain += self.outgoing.read()

    def _encrypt(self, text: bytes) -> None:
        if text:
            self.secured.write(text)
        else:
            self.sending = False
            with contextlib.suppress(ssl.SSLWantReadError):
                self.secured.unwrap()  # says close_notify, and would wait for the other's
        self.to_plain += self.outgoing.read()
