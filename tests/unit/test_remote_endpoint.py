"""Which daemon a command drives: addresses, options, environment, contexts; and who has the last word."""

from __future__ import annotations

from pathlib import Path

import pytest

from minidock.cli import context
from minidock.cli.context import Settings
from minidock.daemon.client import contexts, ssh
from minidock.daemon.client.endpoint import Tls, Wishes, find, parse
from minidock.errors import NotFound, UsageError


@pytest.mark.parametrize(
    ("host", "kind", "address", "port", "path", "user"),
    [
        ("unix:///run/d.sock", "unix", "", 0, "/run/d.sock", ""),
        ("tcp://box", "tcp", "box", 2375, "", ""),
        ("tcp://box:99", "tcp", "box", 99, "", ""),
        ("tcp://[::1]:99", "tcp", "::1", 99, "", ""),
        ("box:99", "tcp", "box", 99, "", ""),
        ("http://box:80", "tcp", "box", 80, "", ""),
        ("tcp://:99", "tcp", "127.0.0.1", 99, "", ""),
        ("ssh://lab", "ssh", "lab", 0, "", ""),
        ("ssh://me@lab:22/run/other.sock", "ssh", "lab", 22, "/run/other.sock", "me"),
    ],
)
def test_an_address_is_taken_apart(host: str, kind: str, address: str, port: int, path: str, user: str) -> None:
    found = parse(host)
    assert (found.kind, found.address, found.port, found.path, found.user) == (kind, address, port, path, user)
    assert found.host == host


@pytest.mark.parametrize(
    "host",
    ["foo://x", "unix://", "tcp://", "tcp://box:port", "tcp://box:99999", "ssh://-oProxyCommand=x", "ssh://-x@y"],
)
def test_what_is_no_address_is_refused(host: str) -> None:
    with pytest.raises(UsageError, match="unable to resolve docker endpoint"):
        parse(host)


def test_https_and_certificates_mean_tls_and_its_port() -> None:
    assert parse("https://box").tls == Tls() and parse("https://box").port == 2376
    assert parse("tcp://box", Tls("ca")).port == 2376


def test_the_command_line_comes_before_the_environment_and_that_before_the_store(tmp_path: Path) -> None:
    store = contexts.Store(tmp_path)
    for name in ("kept", "named"):
        store.write(contexts.Context(name, f"tcp://{name}"))
    store.use("kept")
    config = {"DOCKER_CONFIG": str(tmp_path)}

    def chosen(wishes: Wishes, **environment: str) -> tuple[str, str] | None:
        found = find(wishes, {**config, **environment})
        return (found.host, found.context) if found else None

    hosts = {"MINIDOCK_HOST": "tcp://ours", "DOCKER_HOST": "tcp://docker"}
    assert chosen(Wishes(host="tcp://flag"), **hosts) == ("tcp://flag", "default")
    assert chosen(Wishes(context="named"), **hosts) == ("tcp://named", "named")
    assert chosen(Wishes(), **hosts) == ("tcp://ours", "default")
    assert chosen(Wishes(), DOCKER_HOST="tcp://docker", DOCKER_CONTEXT="named") == ("tcp://docker", "default")
    assert chosen(Wishes(), DOCKER_CONTEXT="named") == ("tcp://named", "named")
    assert chosen(Wishes()) == ("tcp://kept", "kept")
    assert chosen(Wishes(), DOCKER_CONTEXT="default") is None
    with pytest.raises(NotFound, match='context "gone": context not found: open '):
        chosen(Wishes(), DOCKER_CONTEXT="gone")
    with pytest.raises(UsageError, match="cannot specify both --host and --context"):
        chosen(Wishes(host="tcp://x", context="named"))


def test_certificates_are_taken_from_where_docker_has_them(tmp_path: Path) -> None:
    for name in ("ca.pem", "cert.pem"):
        (tmp_path / name).write_text(name)

    def tls(wishes: Wishes, **environment: str) -> Tls | None:
        found = find(wishes, {"DOCKER_CERT_PATH": str(tmp_path), "DOCKER_HOST": "tcp://box", **environment})
        assert found is not None
        return found.tls

    ca, cert = str(tmp_path / "ca.pem"), str(tmp_path / "cert.pem")
    assert tls(Wishes()) is None
    assert tls(Wishes(), DOCKER_TLS_VERIFY="1") == Tls(ca, cert, "", True)
    assert tls(Wishes(tls=True)) == Tls(ca, cert, "", False)
    assert tls(Wishes(tlsverify=False, tls=True), DOCKER_TLS_VERIFY="1") == Tls(ca, cert, "", False)
    assert tls(Wishes(tlsverify=True, tlskey="/my/key")) == Tls(ca, cert, "/my/key", True)


def test_a_context_brings_its_certificates(tmp_path: Path) -> None:
    store = contexts.Store(tmp_path)
    store.write(contexts.Context("box", "tcp://box:2376"), {"ca.pem": b"ca", "key.pem": b"key"})
    found = find(Wishes(context="box"), {"DOCKER_CONFIG": str(tmp_path)})
    directory = store.tls_directory("box")
    assert found is not None and found.tls == Tls(str(directory / "ca.pem"), "", str(directory / "key.pem"), True)


LOOKS = [
    (Settings(), {}, False),
    (Settings(), {"MINIDOCK_HOST": "tcp://x"}, True),
    (Settings(), {"DOCKER_HOST": "tcp://x"}, True),
    (Settings(), {"DOCKER_CONTEXT": "x"}, True),
    (Settings(), {"DOCKER_HOST": "tcp://x", "MINIDOCK_ROOT": "/root"}, False),
    (Settings(), {"MINIDOCK_HOST": "tcp://x", "MINIDOCK_ROOT": "/root"}, True),
    (Settings(root="/root"), {"MINIDOCK_HOST": "tcp://x", "DOCKER_HOST": "tcp://x"}, False),
    (Settings(root="/root", host="tcp://x"), {}, True),
    (Settings(root="/root", context="x"), {}, True),
]


@pytest.mark.parametrize(("asked", "environment", "expected"), LOOKS)
def test_a_root_directory_stays_here_whatever_docker_s_variables_say(
    asked: Settings, environment: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("MINIDOCK_HOST", "MINIDOCK_ROOT", "DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"DOCKER_CONFIG": str(tmp_path), **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(context, "settings", lambda: asked)
    assert context.may_be_elsewhere() == expected


def test_what_context_use_has_written_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("MINIDOCK_HOST", "MINIDOCK_ROOT", "DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    store = contexts.Store(tmp_path)
    store.use("default")
    assert not context.may_be_elsewhere()
    store.use("lab")
    assert context.may_be_elsewhere()


def test_the_command_of_ssh_prefers_minidock_and_quotes_the_path() -> None:
    words = ssh.command(parse("ssh://me@lab:2222/run/a b.sock"))
    assert words[:-1] == ["ssh", "-o", "ConnectTimeout=30", "-T", "-l", "me", "-p", "2222", "--", "lab"]
    assert "exec minidock -H" in words[-1] and "exec docker -H" in words[-1] and "unix:///run/a b.sock" in words[-1]
    assert "-H" not in ssh.command(parse("ssh://lab"))[-1]
