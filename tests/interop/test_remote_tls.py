"""TLS between client and daemon: who is trusted, and that each direction of a connection still ends alone."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock.daemon.client.dial import dial
from minidock.daemon.client.endpoint import Tls, parse
from minidock.errors import NoDaemon
from tests.conftest import Minidock, require_root
from tests.support.instance import COMMAND, SLOWNESS
from tests.support.registry import make_authority

PEM = (("cacert", "ca"), ("cert", "cert"), ("key", "key"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """An authority, and a certificate of this machine's with its key."""
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def echo(files: tuple[Path, Path, Path]) -> Iterator[int]:
    """A server that hears us out, and only then answers with all it has heard; its port."""
    ca, certificate, key = files
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    plain, _ = listener.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(plain, server_side=True) as secured:
                        heard = b""
                        while piece := secured.recv(65536):
                            heard += piece
                        secured.sendall(heard)
                except OSError:
                    continue

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def test_our_half_ends_alone_and_nothing_is_lost(echo: int, files: tuple[Path, Path, Path]) -> None:
    ca, certificate, key = map(str, files)
    text = os.urandom(3 << 20)
    with dial(parse(f"tcp://localhost:{echo}", Tls(ca, certificate, key))) as connection:
        connection.settimeout(20 * SLOWNESS)
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        heard = b""
        while piece := connection.recv(1 << 20):
            heard += piece
    assert heard == text


def test_a_server_that_nobody_vouches_for_is_refused(echo: int, files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    _, certificate, key = map(str, files)
    other, *_ = map(str, make_authority(tmp_path))
    with pytest.raises(NoDaemon, match="the server's certificate"):
        dial(parse(f"tcp://localhost:{echo}", Tls(other, certificate, key)))
    dial(parse(f"tcp://localhost:{echo}", Tls("", certificate, key, verify=False))).close()


def test_certificates_that_are_not_there_are_named(echo: int) -> None:
    with pytest.raises(NoDaemon, match="can't use the certificates /nope: no such file or directory"):
        dial(parse(f"tcp://localhost:{echo}", Tls("/nope")))


def test_a_daemon_over_tls_knows_its_clients(
    minidock: Minidock, busybox_image: Path, files: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    require_root()
    minidock("load", "-i", str(busybox_image), check=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    certificates = tmp_path / "certificates"
    certificates.mkdir()
    for name, source in zip(("ca.pem", "cert.pem", "key.pem"), files, strict=True):
        (certificates / name).write_bytes(source.read_bytes())
    options = [f"--tls{flag}={certificates}/{name}.pem" for flag, name in PEM]
    daemon = minidock.popen("daemon", "-H", url, "--tlsverify", *options, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20 * SLOWNESS
        while _client(url, "--tlsverify", *options, "version").returncode != 0:
            assert daemon.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        ran = _client(url, "--tlsverify", *options, "run", "--rm", "busybox", "sh", "-c", "echo out; exit 4")
        assert (ran.stdout, ran.returncode) == ("out\n", 4), ran.stderr
        script = "cat; sleep 0.5; echo after"  # our half has ended by then
        heard = _client(url, "--tlsverify", *options, "run", "-i", "--rm", "busybox", "sh", "-c", script, input="in\n")
        assert heard.stdout == "in\nafter\n", heard.stderr
        variables = {"DOCKER_HOST": url, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(certificates)}
        assert _client("", "ps", "-q", env=variables).returncode == 0
        made = f"host={url},ca={certificates}/ca.pem,cert={certificates}/cert.pem,key={certificates}/key.pem"
        store = {"DOCKER_CONFIG": str(tmp_path / "config")}
        _client("", "context", "create", "secured", "--docker", made, env=store)
        assert _client("", "-c", "secured", "ps", "-q", env=store).returncode == 0
        stranger = _client(url, "--tlsverify", f"--tlscacert={certificates}/ca.pem", "ps", env={"HOME": str(tmp_path)})
        assert stranger.returncode == 1 and "it may not trust our certificate" in stranger.stderr
        plain = _client(url, "ps")
        assert plain.returncode == 1 and "it may ask for TLS: --tlsverify" in plain.stderr
    finally:
        daemon.terminate()
        daemon.wait(15 * SLOWNESS)


def _client(
    url: str, *words: str, input: str = "", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    where = ["-H", url] if url else []
    return subprocess.run(
        [*COMMAND, *where, *words],
        capture_output=True,
        text=True,
        input=input,
        env={**os.environ, **(env or {})},
        timeout=60 * SLOWNESS,
    )
