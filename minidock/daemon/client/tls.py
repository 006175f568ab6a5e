"""TLS: a thread between a plain socket, which the rest of the client uses, and the encrypted one.

So there is one kind of connection, with all that a socket can: poll(2) tells the truth about it (an SSLSocket may hold
decrypted bytes that poll doesn't know of), and each direction can end alone, as `echo x | run -i` needs it: the end of
ours is TLS's close_notify, after which the other side may still send.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading

from minidock.daemon.client.endpoint import Endpoint, Tls
from minidock.errors import NoDaemon

CHUNK, LIMIT = 64 * 1024, 256 * 1024


def wrapped(plain: socket.socket, endpoint: Endpoint) -> socket.socket:
    """A connection through TLS to whom `plain` leads to. Raises NoDaemon, when either side doesn't trust the other."""
    assert endpoint.tls is not None
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    secured = context(endpoint.tls).wrap_bio(incoming, outgoing, server_hostname=endpoint.address)
    try:
        while not _shake_hands(secured):
            plain.sendall(outgoing.read())
            received = plain.recv(CHUNK)
            incoming.write(received) if received else incoming.write_eof()
        plain.sendall(outgoing.read())
    except (ssl.SSLError, OSError) as error:
        plain.close()
        raise NoDaemon(f"error during connect: {endpoint.host}: {_reason(error)}") from error
    ours, inner = socket.socketpair()
    carrier = Carrier(plain, inner, secured, incoming, outgoing)
    threading.Thread(target=carrier.run, daemon=True).start()
    return ours


def context(tls: Tls) -> ssl.SSLContext:
    """Raises NoDaemon for files that can't be used."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if not tls.verify:
            made.check_hostname = False
            made.verify_mode = ssl.CERT_NONE
        elif tls.ca:
            made.load_verify_locations(tls.ca)
        else:
            made.load_default_certs()
        if tls.cert or tls.key:
            made.load_cert_chain(tls.cert, tls.key or None)
    except (OSError, ssl.SSLError) as error:
        named = ", ".join(filter(None, (tls.ca, tls.cert, tls.key)))
        raise NoDaemon(f"can't use the certificates {named}: {_reason(error)}") from error
    return made


def _shake_hands(secured: ssl.SSLObject) -> bool:
    try:
        secured.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate: {error.verify_message}"
    return (getattr(error, "reason", "") or error.strerror or str(error)).replace("_", " ").lower()


class Carrier:
    """Bytes both ways, until both ways have ended."""

    def __init__(
        self,
        plain: socket.socket,
        inner: socket.socket,
        secured: ssl.SSLObject,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
    ) -> None:
        self.plain, self.inner = plain, inner
        self.secured, self.incoming, self.outgoing = secured, incoming, outgoing
        self.to_plain, self.to_inner = bytearray(), bytearray()
        self.receiving, self.sending = True, True

    def run(self) -> None:
        with self.plain, self.inner:
            self.plain.setblocking(False)
            self.inner.setblocking(False)
            try:
                self._decrypt()  # what came with the handshake's last packet
                while self.receiving or self.to_inner or self.to_plain:
                    self._turn()
            except (OSError, ssl.SSLError):
                return  # one side has gone; closing both tells the other

    def _turn(self) -> None:
        poll = select.poll()
        wanted = (
            (self.plain, self.receiving and len(self.to_inner) < LIMIT, self.to_plain),
            (self.inner, self.sending and len(self.to_plain) < LIMIT, self.to_inner),
        )
        for side, reading, queue in wanted:
            poll.register(side, (select.POLLIN if reading else 0) | (select.POLLOUT if queue else 0))
        ready = dict(poll.poll())
        on_plain, on_inner = ready.get(self.plain.fileno(), 0), ready.get(self.inner.fileno(), 0)
        gone = select.POLLHUP | select.POLLERR
        if on_inner & gone and not on_inner & select.POLLIN:
            raise ConnectionResetError  # our client has closed its end
        if on_plain & (select.POLLIN | gone) and self.receiving:
            received = self.plain.recv(CHUNK)
            self.incoming.write(received) if received else self.incoming.write_eof()
            self._decrypt()
        if on_inner & select.POLLIN and self.sending:
            self._encrypt(self.inner.recv(CHUNK))
        for side, queue in ((self.plain, self.to_plain), (self.inner, self.to_inner)):
            if queue:
                try:
                    del queue[: side.send(queue)]
                except BlockingIOError:
                    continue
        if not self.receiving and not self.to_inner:
            self.inner.shutdown(socket.SHUT_WR)

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
