"""Why there was no answer, in the words that Go, and so Docker, has for it."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import urllib3

from minidock.errors import RegistryError, Unreachable


class Cut(RegistryError):
    """The connection broke off, or fell silent: another try may well succeed."""


UNKNOWN_AUTHORITY = (18, 19, 20, 21)
"""OpenSSL's verify errors for chains that end with nobody whom we know (x509_vfy.h)."""
EXPIRED, NOT_YET, WRONG_HOST, WRONG_ADDRESS = 10, 9, 62, 64


def failure(error: BaseException, method: str, url: str, proxy: str = "") -> RegistryError:
    """The error to raise for one of urllib3, ssl or the kernel. `proxy`: the address of the one on the way."""
    if isinstance(error, urllib3.exceptions.ProxyError | urllib3.exceptions.ProxySchemeUnknown):
        sentence, kind, hint = _of_proxy(error, proxy)
    else:
        sentence, kind, hint = _reason(error, url)
    return kind(f'{method.title()} "{url}": {sentence}', hint=hint)


def _reason(error: BaseException, url: str) -> tuple[str, type[RegistryError], str]:
    chain = list(_chain(error))
    unusable = urllib3.exceptions.LocationParseError | urllib3.exceptions.LocationValueError
    if isinstance(error, unusable):  # before it is taken apart here, which would fail as well
        return "not an address that can be asked", Unreachable, ""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    for one in chain:
        if isinstance(one, ssl.SSLCertVerificationError):
            return _certificate(one, host)
        if isinstance(one, ssl.SSLError) and one.reason in (
            "WRONG_VERSION_NUMBER",
            "HTTP_REQUEST",
            "RECORD_LAYER_FAILURE",
        ):
            hint = "list it in insecure-registries of the instance's daemon.json if it is meant to speak plain http"
            return "http: server gave HTTP response to HTTPS client", Unreachable, hint
        if isinstance(one, socket.gaierror):
            return f"dial tcp: lookup {host}: no such host", Unreachable, ""
    for one in chain:
        if isinstance(one, urllib3.exceptions.ReadTimeoutError):
            return "the registry has fallen silent", Cut, ""
        if isinstance(one, urllib3.exceptions.InvalidChunkLength):
            return "malformed chunk of an HTTP response", Cut, ""
        if isinstance(one, urllib3.exceptions.IncompleteRead | http.client.IncompleteRead):
            return "unexpected EOF", Cut, ""
        if isinstance(one, http.client.BadStatusLine) and not isinstance(one, http.client.RemoteDisconnected):
            return f"malformed HTTP response {str(one)[:80].strip()!a}", Cut, ""
        if isinstance(one, ssl.SSLError):
            return f"tls: {one.reason or one.strerror or one}".replace("_", " ").lower(), Unreachable, ""
        if isinstance(one, OSError) and one.errno in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH):
            text = {errno.ECONNREFUSED: "connection refused", errno.EHOSTUNREACH: "no route to host"}
            said = text.get(one.errno, "network is unreachable")
            return f"dial tcp {host}:{port}: connect: {said}", Unreachable, ""
        if isinstance(one, OSError) and one.errno in (errno.ECONNRESET, errno.EPIPE):
            return "connection reset by peer", Cut, ""
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
        return f"dial tcp {host}:{port}: i/o timeout", Unreachable, ""
    return " ".join(str(chain[-1]).split())[:200] or "unexpected EOF", Cut, ""


def _of_proxy(error: BaseException, proxy: str) -> tuple[str, type[RegistryError], str]:
    """It couldn't be reached, or didn't let us through; its password stays out of the message."""
    hint = "HTTP_PROXY, HTTPS_PROXY and NO_PROXY say whom to ask through one"
    if isinstance(error, urllib3.exceptions.ProxySchemeUnknown):
        return f"a proxy of an unknown kind: {proxy.partition(':')[0]}", Unreachable, hint
    refusal = next((str(one) for one in _chain(error) if str(one).startswith("Tunnel connection failed")), "")
    sentence, kind, _ = (refusal, Unreachable, "") if refusal else _reason(error, proxy)
    return f"proxyconnect tcp: {sentence}", kind, hint


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised for; urllib3 keeps some of that in `args` and `reason`."""
    waiting, seen = [error], set()
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        more = [getattr(one, "reason", None), one.__cause__, one.__context__, *one.args]
        waiting += [other for other in more if isinstance(other, BaseException)]


def _certificate(error: ssl.SSLCertVerificationError, host: str) -> tuple[str, type[RegistryError], str]:
    code = error.verify_code
    if code in UNKNOWN_AUTHORITY:
        where = f"put its authority's certificate into /etc/docker/certs.d/{host}[:PORT]/ca.crt"
        return "x509: certificate signed by unknown authority", Unreachable, where
    if code in (EXPIRED, NOT_YET):
        return "x509: certificate has expired or is not yet valid", Unreachable, ""
    if code in (WRONG_HOST, WRONG_ADDRESS):
        return f"x509: certificate is not valid for {host}", Unreachable, ""
    return f"x509: {error.verify_message}", Unreachable, ""
