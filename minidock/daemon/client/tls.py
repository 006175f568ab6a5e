"""TLS: a thread (daemon.carrier) between a plain socket, which the rest of the client uses, and the encrypted one."""

from __future__ import annotations

import socket
import ssl
import threading

from minidock.daemon.carrier import Carrier
from minidock.daemon.client.endpoint import Endpoint, Tls
from minidock.errors import NoDaemon


def wrapped(plain: socket.socket, endpoint: Endpoint) -> socket.socket:
    """A connection through TLS to whom `plain` leads to. Raises NoDaemon, when either side doesn't trust the other."""
    assert endpoint.tls is not None
    ours, inner = socket.socketpair()
    try:
        carrier = Carrier(plain, inner, context(endpoint.tls), server_hostname=endpoint.address)
        carrier.shake_hands()
    except (ssl.SSLError, OSError) as error:
        plain.close()
        raise NoDaemon(f"error during connect: {endpoint.host}: {_reason(error)}") from error
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


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate: {error.verify_message}"
    return (getattr(error, "reason", "") or error.strerror or str(error)).replace("_", " ").lower()
