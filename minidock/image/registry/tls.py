"""Whom to trust on the way to a registry, and through which proxy the way goes."""

from __future__ import annotations

import ssl
import urllib.request
from urllib.parse import urlsplit

import urllib3

from minidock.errors import MinidockError, Unreachable

from .names import Server, is_insecure


def context(server: Server | None, *, verified: bool = True) -> ssl.SSLContext:
    """The system's authorities (SSL_CERT_FILE, SSL_CERT_DIR: OpenSSL looks by itself), and the server's own."""
    if not verified or (server is not None and not server.verified):
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    else:
        made = ssl.create_default_context()
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in server.authorities if server is not None else ():
        _load(lambda path=path: made.load_verify_locations(path), path)
    if server is not None and server.identity is not None:
        certificate, key = server.identity
        _load(lambda: made.load_cert_chain(certificate, key), certificate)
    return made


def _load(act: object, path: str) -> None:
    assert callable(act)
    try:
        act()
    except (ssl.SSLError, OSError) as error:
        raise MinidockError(f"can't use the certificate {path}: {error.strerror or error}") from None


def proxy_for(url: str) -> str:
    """HTTP_PROXY, HTTPS_PROXY and NO_PROXY as Go reads them: never to this machine itself; empty for none.

    Raises Unreachable for what is no address.
    """
    parts = urlsplit(url)
    if is_insecure(parts.netloc, []) or _bypassed(parts.netloc):
        return ""
    found = urllib.request.getproxies_environment().get(parts.scheme, "")
    proxy = found if not found or "://" in found else f"http://{found}"
    try:
        urllib3.util.parse_url(proxy)
    except urllib3.exceptions.LocationParseError as error:  # it names the host, never the password
        raise Unreachable(f"{parts.scheme.upper()}_PROXY: {error.location[:100]}") from error
    return proxy


def _bypassed(host: str) -> bool:
    """NO_PROXY; typeshed doesn't know that urllib has this everywhere."""
    return bool(urllib.request.proxy_bypass_environment(host))  # type: ignore[attr-defined]
