"""Whom to ask for a name, and by which rules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from minidock.errors import MinidockError
from minidock.image.reference import parse
from minidock.image.registry import names
from minidock.image.registry.names import is_insecure, servers
from minidock.image.registry.tls import proxy_for
from minidock.image.registry.wire import retry_after
from minidock.image.registry.words import of_pull, refusal, told
from minidock.paths import Layout


@pytest.fixture(autouse=True)
def no_system_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(names, "SYSTEM_CERTS", tmp_path / "etc")


def configure(layout: Layout, **settings: object) -> None:
    layout.root.mkdir(parents=True, exist_ok=True)
    (layout.root / "daemon.json").write_text(
        json.dumps({key.replace("_", "-"): value for key, value in settings.items()})
    )


@pytest.mark.parametrize(
    ("host", "listed", "expected"),
    [
        ("127.0.0.1:5000", [], True),
        ("127.8.9.10", [], True),
        ("localhost:5000", [], True),
        ("[::1]:5000", [], True),
        ("registry.test", [], False),
        ("10.1.2.3:5000", [], False),
        ("127.0.0.1.evil.test", [], False),
        ("localhost.evil.test", [], False),
        ("registry.test:5000", ["registry.test:5000"], True),
        ("registry.test:5001", ["registry.test:5000"], False),
        ("registry.test:5001", ["registry.test"], True),
        ("10.1.2.3:5000", ["10.0.0.0/8"], True),
        ("11.1.2.3:5000", ["10.0.0.0/8"], False),
    ],
)
def test_insecure(host: str, listed: list[str], expected: bool) -> None:
    assert is_insecure(host, listed) is expected


def test_plain_http_only_where_allowed(layout: Layout) -> None:
    (secure,) = servers(layout, "registry.test")
    assert secure.schemes == ("https",) and secure.verified
    (loopback,) = servers(layout, "127.0.0.1:5000")
    assert loopback.schemes == ("https", "http") and not loopback.verified
    configure(layout, insecure_registries=["registry.test"])
    (allowed,) = servers(layout, "registry.test")
    assert allowed.schemes == ("https", "http")


def test_hub_and_its_mirrors(layout: Layout) -> None:
    assert [server.host for server in servers(layout, "docker.io")] == ["registry-1.docker.io"]
    configure(layout, registry_mirrors=["https://mirror.test:5000/cache/", "http://127.0.0.1:5000"])
    first, second, hub = servers(layout, "docker.io", mirrors=True)
    assert (first.host, first.base, first.schemes, first.mirror) == ("mirror.test:5000", "/cache", ("https",), True)
    assert (second.schemes, hub.mirror) == (("http",), False)
    assert len(servers(layout, "docker.io")) == 1  # a push goes to the hub
    assert len(servers(layout, "other.test", mirrors=True)) == 1


@pytest.mark.parametrize("address", ["mirror.test", "ftp://mirror.test", "https://", "https://m.test/?x=1"])
def test_bad_mirror(layout: Layout, address: str) -> None:
    configure(layout, registry_mirrors=[address])
    with pytest.raises(MinidockError, match="invalid mirror"):
        servers(layout, "docker.io", mirrors=True)


def test_bad_configuration(layout: Layout) -> None:
    configure(layout, insecure_registries="all")
    with pytest.raises(MinidockError, match="damaged state file"):
        servers(layout, "registry.test")
    configure(layout, insecure_registries=["10.0.0.0/99"])
    with pytest.raises(MinidockError, match="is not a network"):
        servers(layout, "10.0.0.1")


def test_certificates(layout: Layout) -> None:
    place = layout.root / "certs.d" / "127.0.0.1:5000"
    place.mkdir(parents=True)
    (place / "ca.crt").write_text("x")
    (place / "me.cert").write_text("x")
    with pytest.raises(MinidockError, match=r"missing key me\.key"):
        servers(layout, "127.0.0.1:5000")
    (place / "me.key").write_text("x")
    (server,) = servers(layout, "127.0.0.1:5000")
    # who puts an authority there wants certificates to be checked, on this machine too
    assert server.verified and server.schemes == ("https",)
    assert server.authorities == [str(place / "ca.crt")] and server.identity == (
        str(place / "me.cert"),
        str(place / "me.key"),
    )


def test_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    assert proxy_for("https://registry.test/v2/") == ""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", "inside.test")
    assert proxy_for("https://registry.test/v2/") == "http://proxy.test:3128"
    assert proxy_for("http://registry.test/v2/") == ""
    assert proxy_for("https://inside.test/v2/") == proxy_for("https://127.0.0.1:5000/v2/") == ""


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("3", 3.0),
        ("0", 0.0),
        ("Thu, 01 Jan 1970 00:00:40 GMT", 40.0),
        ("Wed, 31 Dec 1969 00:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-1", None),
    ],
)
def test_retry_after(header: str, expected: float | None) -> None:
    assert retry_after(header, 0.0) == expected


# Words


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{}}]}',
            ("MANIFEST_UNKNOWN", "manifest unknown: manifest unknown"),
        ),
        (b'{"errors":[]}', ("", "")),
        (b'{"details":"incorrect username"}', ("", "incorrect username")),
        (b"<html>", ("", "")),
        (b"[" * 100_000, ("", "")),
        (b'{"errors":[{"code":"X","message":"a\\nb\\u001b[31m"}]}', ("X", "x: a b [31m")),
    ],
)
def test_told(body: bytes, expected: tuple[str, str]) -> None:
    """One printable line, whatever a stranger sends."""
    assert told(body) == expected


def test_refusals() -> None:
    assert (
        str(refusal(500, b"", 'Get "x"')) == 'Get "x": unexpected status from the registry: 500 Internal Server Error'
    )
    assert str(refusal(401, b"", "x")) == "unauthorized: authentication required"
    assert str(refusal(401, b"", "x", insufficient=True)) == "denied: requested access to the resource is denied"
    name = parse("user/app:1")
    denied = of_pull(refusal(401, b"", "x", insufficient=True), name)
    assert str(denied) == (
        "pull access denied for user/app, repository does not exist or may require 'docker login': "
        "denied: requested access to the resource is denied"
    )
    unknown = b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'
    assert str(of_pull(refusal(404, unknown, "x"), name)) == (
        "manifest for user/app:1 not found: manifest unknown: manifest unknown"
    )
