"""A proxy that can't be reached, or doesn't let us through, is what the error speaks of, and never its password."""

from pathlib import Path

import pytest

from minidock.errors import MinidockError
from minidock.image.reference import parse
from minidock.image.registry.auth import NOBODY
from minidock.image.registry.client import repositories
from minidock.paths import Layout
from tests.support.odd_answers import answering


def told(layout: Layout) -> str:
    (repository,) = repositories(layout, parse("registry.test/x"), mirrors=False, credentials=NOBODY)
    with pytest.raises(MinidockError) as raised:
        repository.wire.connect()
    assert "secret" not in raised.value.message
    return raised.value.message.removeprefix('Get "https://registry.test/v2/": ')


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    for name in ("NO_PROXY", "no_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    return Layout(tmp_path)


@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        ("http://me:secret@127.0.0.1:1", "proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused"),
        ("127.0.0.1:1", "proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused"),
        ("socks5://me:secret@127.0.0.1:1", "a proxy of an unknown kind: socks5"),
        ("http://me:secret@:bad:", "HTTPS_PROXY: ':bad:' is not a valid host or port"),
    ],
)
def test_no_way_to_the_proxy(layout: Layout, monkeypatch: pytest.MonkeyPatch, proxy: str, reason: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    assert told(layout) == reason


def test_a_proxy_that_refuses(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(b"HTTP/1.1 403 no way\r\nContent-Length: 0\r\n\r\n") as address:
        monkeypatch.setenv("HTTPS_PROXY", address)
        assert told(layout) == "proxyconnect tcp: Tunnel connection failed: 403 no way"
