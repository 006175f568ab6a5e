"""Which daemon a command drives: its address, and how to prove who we are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from minidock.daemon.client import contexts
from minidock.errors import UsageError

LOCAL = "unix:///run/minidock.sock"
"""Where `minidock daemon` listens when it isn't told."""
PORT, TLS_PORT = 2375, 2376


class Tls(msgspec.Struct, frozen=True):
    """Files in PEM, empty where there are none. `verify`: the server must show a certificate that `ca` has signed."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    verify: bool = True


class Endpoint(msgspec.Struct, frozen=True):
    """`host` as it was given; `kind` is unix, tcp or ssh. `context` is the name of the one that said so."""

    host: str
    kind: str
    address: str = ""
    port: int = 0
    path: str = ""
    user: str = ""
    tls: Tls | None = None
    context: str = contexts.DEFAULT


class Wishes(msgspec.Struct, frozen=True):
    """The global options of the command line that are about this. `tlsverify` None: not given."""

    host: str = ""
    context: str = ""
    config: str = ""
    tls: bool = False
    tlsverify: bool | None = None
    tlscacert: str = ""
    tlscert: str = ""
    tlskey: str = ""


def find(wishes: Wishes, environment: Mapping[str, str]) -> Endpoint | None:
    """None when everything says: here, without a daemon. Raises UsageError, NotFound for a context that isn't."""
    if wishes.host and wishes.context:
        raise UsageError("conflicting options: cannot specify both --host and --context")
    host = wishes.host
    if not host and not wishes.context:
        host = environment.get("MINIDOCK_HOST") or environment.get("DOCKER_HOST", "")
    if host:
        return parse(host, tls_of(wishes, environment))
    store = contexts.Store(contexts.config_directory(wishes.config, environment))
    name = wishes.context or store.current(environment)
    if name == contexts.DEFAULT:
        return None
    context = store.read(name)
    return msgspec.structs.replace(parse(context.host, tls_of_context(store, context)), context=name)


def tls_of(wishes: Wishes, environment: Mapping[str, str]) -> Tls | None:
    """From the options, DOCKER_TLS, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, by Docker's rules."""
    verify = wishes.tlsverify if wishes.tlsverify is not None else bool(environment.get("DOCKER_TLS_VERIFY"))
    named = wishes.tlscacert or wishes.tlscert or wishes.tlskey
    if not (verify or wishes.tls or named or environment.get("DOCKER_TLS")):
        return None
    home = contexts.config_directory(wishes.config, environment)
    directory = Path(environment.get("DOCKER_CERT_PATH") or home)
    given = (wishes.tlscacert, wishes.tlscert, wishes.tlskey)
    defaults = (directory / name for name in contexts.TLS_FILES)
    # A default that isn't there is not used; what was asked for by name must be there.
    ca, cert, key = (asked or (str(path) if path.exists() else "") for asked, path in zip(given, defaults, strict=True))
    return Tls(ca, cert, key, verify)


def tls_of_context(store: contexts.Store, context: contexts.Context) -> Tls | None:
    directory = store.tls_directory(context.name)
    ca, cert, key = (str(directory / name) if (directory / name).exists() else "" for name in contexts.TLS_FILES)
    if not (ca or cert or key or context.skip_tls_verify):
        return None
    return Tls(ca, cert, key, verify=not context.skip_tls_verify)


def parse(host: str, tls: Tls | None = None) -> Endpoint:
    """unix:///path, tcp://name:port (http:// and https:// mean the same), ssh://user@name:port. Raises UsageError."""
    scheme, separator, rest = host.partition("://")
    if not separator:
        scheme, rest = "tcp", host
    if scheme == "unix" and rest:
        return Endpoint(host, "unix", path=rest if rest.startswith("/") else f"/{rest}")
    if scheme not in ("tcp", "http", "https", "ssh") or not rest:
        raise UsageError(
            f"unable to resolve docker endpoint: invalid bind address format: {host}",
            hint="unix:///path, tcp://name:port or ssh://user@name",
        )
    try:
        url = urlsplit(f"//{rest}")
        port = url.port
    except ValueError as error:
        raise UsageError(f"unable to resolve docker endpoint: invalid address {host}: {error}") from None
    name = url.hostname or "127.0.0.1"
    if scheme == "ssh":
        return _ssh(host, name, port, url.username or "", url.path)
    if scheme == "https" and tls is None:
        tls = Tls()
    return Endpoint(host, "tcp", address=name, port=port or (TLS_PORT if tls else PORT), tls=tls)


def _ssh(host: str, name: str, port: int | None, user: str, path: str) -> Endpoint:
    """A name or user that begins with a dash would be an option of ssh, ProxyCommand for instance."""
    if name.startswith("-") or user.startswith("-"):
        raise UsageError(f"unable to resolve docker endpoint: invalid address {host}")
    return Endpoint(host, "ssh", address=name, port=port or 0, user=user, path="" if path == "/" else path)


def here() -> Endpoint:
    """This host's own daemon."""
    return parse(os.environ.get("MINIDOCK_HOST") or LOCAL)
