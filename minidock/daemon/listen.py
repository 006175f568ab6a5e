"""Where the daemon listens: a unix socket for this host's users, TCP for others, who must show a certificate.

Whoever can talk to the daemon can become root on its host. So the socket belongs to root and to the group `minidock`
(where there is one), plain TCP is for loopback only, and TCP elsewhere asks for certificates of both sides.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import grp
import ipaddress
import logging
import os
import socket
import ssl
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from minidock.daemon.app import Daemon, serve
from minidock.daemon.carrier import Carrier
from minidock.engine.device_requests import DIRECTORIES_VARIABLE
from minidock.errors import Conflict, MinidockError, UsageError
from minidock.paths import Layout

DEFAULT = "unix:///run/minidock.sock"
GROUP = "minidock"
PORT, TLS_PORT = 2375, 2376
HANDSHAKE_SECONDS = 20


class Tls(msgspec.Struct, frozen=True):
    """Files in PEM. `verify`: a client must show a certificate that `ca` has signed."""

    ca: str
    cert: str
    key: str
    verify: bool = True


def start(layout: Layout, hosts: Sequence[str], tls: Tls | None, cdi_directories: Sequence[str] = ()) -> None:
    """Listen, and serve until SIGTERM. Raises UsageError for an address that can't be, Conflict for one in use."""
    if os.geteuid() != 0:
        raise MinidockError("the daemon needs root", hint="try it with sudo")
    if cdi_directories:
        os.environ[DIRECTORIES_VARIABLE] = ":".join(cdi_directories)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    with contextlib.ExitStack() as stack:
        listening = [stack.enter_context(_listen(host, tls)) for host in hosts or [DEFAULT]]
        context = _context(tls) if tls else None
        local = [sock for sock in listening if sock.family == socket.AF_UNIX]
        tcp = [sock for sock in listening if sock.family != socket.AF_UNIX]

        def sites(runner: web.AppRunner) -> list[web.BaseSite]:
            plain = [stack.enter_context(_behind_tls(sock, context)) if context else sock for sock in tcp]
            return [web.SockSite(runner, sock) for sock in (*plain, *local)]

        for host in hosts or [DEFAULT]:
            print(f"minidock: the API listens on {host}", file=sys.stderr, flush=True)
        asyncio.run(serve(Daemon(layout), sites))


def _listen(host: str, tls: Tls | None) -> contextlib.AbstractContextManager[socket.socket]:
    address = urlsplit(host if "://" in host else f"tcp://{host}")
    if address.scheme == "unix":
        return _unix(Path(address.path))
    if address.scheme == "tcp":
        name = address.hostname or "127.0.0.1"
        if tls is None:
            _warn_of_plain(name)
        try:
            return socket.create_server(
                (name, address.port or (TLS_PORT if tls else PORT)),
                family=socket.AF_INET6 if ":" in name else socket.AF_INET,
            )
        except OSError as error:
            raise Conflict(f"can't listen on {host}: {(error.strerror or str(error)).lower()}") from error
    raise UsageError(f"invalid address {host}", hint="unix:///path or tcp://address:port")


@contextlib.contextmanager
def _behind_tls(outer: socket.socket, context: ssl.SSLContext) -> Iterator[socket.socket]:
    """Where the connections of `outer` arrive decrypted: a socket in a directory that is ours alone."""
    with tempfile.TemporaryDirectory(prefix="minidock-tls-") as directory, socket.socket(socket.AF_UNIX) as inner:
        path = f"{directory}/plain.sock"
        inner.bind(path)
        inner.listen(128)
        threading.Thread(target=_accept, args=(outer, path, context), daemon=True).start()
        yield inner


def _accept(outer: socket.socket, path: str, context: ssl.SSLContext) -> None:
    while True:
        try:
            plain, _ = outer.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                time.sleep(0.1)  # until somebody leaves
                continue
            if error.errno == errno.ECONNABORTED:
                continue
            return  # closed: the daemon ends
        threading.Thread(target=_carry, args=(plain, path, context), daemon=True).start()


def _carry(plain: socket.socket, path: str, context: ssl.SSLContext) -> None:
    """One client. Who doesn't finish the handshake in time, or isn't trusted, never reaches the API."""
    with plain, contextlib.suppress(OSError):
        plain.settimeout(HANDSHAKE_SECONDS)
        with socket.socket(socket.AF_UNIX) as inner:
            carrier = Carrier(plain, inner, context)
            carrier.shake_hands()
            inner.connect(path)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            carrier.run()


def _warn_of_plain(name: str) -> None:
    if name != "localhost" and not ipaddress.ip_address(name).is_loopback:
        raise UsageError(
            f"tcp://{name} without TLS would give root to everybody who reaches it",
            hint="use --tlsverify with --tlscacert, --tlscert and --tlskey, or listen on 127.0.0.1",
        )
    print("minidock: warning: every user and process of this host that reaches the port has root", file=sys.stderr)


@contextlib.contextmanager
def _unix(path: Path) -> Iterator[socket.socket]:
    """A socket that nobody listens on any more is replaced; one that somebody does is left."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise Conflict(f"can't listen on {path}: it is there, and not a socket")
    if _answers(path):
        raise Conflict(f"can't listen on {path}: another daemon does")
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    old = os.umask(0o177)  # nobody gets in between bind(2) and chmod(2)
    try:
        listener.bind(os.fspath(path))
    finally:
        os.umask(old)
    with contextlib.suppress(KeyError):
        os.chown(path, 0, grp.getgrnam(GROUP).gr_gid)
    path.chmod(0o660)
    listener.listen(128)
    inode = path.lstat().st_ino
    try:
        yield listener
    finally:
        listener.close()
        with contextlib.suppress(FileNotFoundError):
            if path.lstat().st_ino == inode:
                path.unlink()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(os.fspath(path))
        except OSError:
            return False
        return True


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.cert, tls.key)
        if tls.verify:
            context.load_verify_locations(tls.ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise MinidockError(f"can't use the certificates {tls.ca}, {tls.cert}, {tls.key}: {error}") from error
    return context
