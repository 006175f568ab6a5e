"""A name's domain → the servers to ask for it, in order, and the rules for each.

What an instance allows beyond the rule stands in its `daemon.json`, with the names that Docker's has:

    {"insecure-registries": ["registry.lab:5000", "10.0.0.0/8"], "registry-mirrors": ["https://mirror.lab"]}

Plain http and certificates that nobody vouches for are accepted from this very machine (127.0.0.0/8, ::1, localhost)
and from registries that are listed there; everybody else speaks TLS with a certificate that can be checked. For
registries with an authority of their own there is `certs.d/HOST[:PORT]/`, in the instance or in /etc/docker:

    *.crt           authorities to trust, besides the system's           NAME.cert, NAME.key     who we are
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from minidock import files
from minidock.errors import MinidockError
from minidock.paths import Layout

from ..reference import DEFAULT_DOMAIN

HUB_HOST = "registry-1.docker.io"
SYSTEM_CERTS = Path("/etc/docker/certs.d")


class Settings(msgspec.Struct, frozen=True, rename="kebab"):
    """What an instance's daemon.json says about registries."""

    insecure_registries: list[str] = []
    registry_mirrors: list[str] = []


class Server(msgspec.Struct, frozen=True):
    """Somebody to ask. `host` has a port where one was written; `base` is the path before /v2/ (of mirrors only)."""

    host: str
    schemes: tuple[str, ...]
    verified: bool = True
    """Whether its certificate must be right."""
    authorities: list[str] = []
    """Files with certificates to trust."""
    identity: tuple[str, str] | None = None
    """Our own certificate and its key."""
    base: str = ""
    mirror: bool = False


def settings(layout: Layout) -> Settings:
    try:
        return files.read_json(layout.root / "daemon.json", Settings)
    except FileNotFoundError:
        return Settings()


def servers(layout: Layout, domain: str, *, mirrors: bool = False, insecure: bool = False) -> list[Server]:
    """Who serves the domain; with `mirrors` those of docker.io come first."""
    known = settings(layout)
    found = []
    if mirrors and domain == DEFAULT_DOMAIN:
        found = [_mirror(layout, known, address) for address in known.registry_mirrors]
    host = HUB_HOST if domain == DEFAULT_DOMAIN else domain
    return [*found, _server(layout, known, host, insecure=insecure)]


def _mirror(layout: Layout, known: Settings, address: str) -> Server:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.username:
        raise MinidockError(f"invalid mirror: {address!r} in {layout.root}/daemon.json is not an http(s) address")
    server = _server(layout, known, parts.netloc)
    # Whoever writes http:// into the configuration has allowed it explicitly.
    return msgspec.structs.replace(server, schemes=(parts.scheme,), base=parts.path.rstrip("/"), mirror=True)


def _server(layout: Layout, known: Settings, host: str, *, insecure: bool = False) -> Server:
    directories = [place / host for place in (layout.root / "certs.d", SYSTEM_CERTS)]
    authorities = [str(path) for place in directories for path in _listed(place, ".crt")]
    identity = next(iter(identity for place in directories for identity in _identities(place)), None)
    open_ = insecure or is_insecure(host, known.insecure_registries)
    # An authority that was put there on purpose is a wish to have the certificate checked, also on this machine.
    verified = not open_ or bool(authorities)
    return Server(host, ("https",) if verified else ("https", "http"), verified, authorities, identity)


def _listed(directory: Path, ending: str) -> list[Path]:
    try:
        return sorted(path for path in directory.iterdir() if path.name.endswith(ending))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _identities(directory: Path) -> list[tuple[str, str]]:
    found = []
    for certificate in _listed(directory, ".cert"):
        key = certificate.with_suffix(".key")
        if not key.exists():
            raise MinidockError(f"missing key {key.name} for client certificate {certificate}")
        found.append((str(certificate), str(key)))
    return found


def is_insecure(host: str, listed: list[str]) -> bool:
    """This machine itself, or a registry that the list names: HOST, HOST:PORT, or a network that its address is in."""
    name = urlsplit(f"//{host}").hostname or ""
    if host in listed or name in listed or name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or any(address in network for network in _networks(listed))


def _networks(listed: list[str]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    found = []
    for entry in listed:
        if "/" in entry:
            try:
                found.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                raise MinidockError(f"insecure registry {entry} is not a network") from None
    return found
