"""Debian's docker-registry for one test: on a port of the loopback, with or without passwords, TLS and tokens.

`network` is a process in whose network namespace it runs: dockerd of the tests has one of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.needs import require_tool

PATIENCE = 30
PASSWORD_HASH = "bob:$2y$05$5qj7QhXq28S184h1dmKJ7e1ou5pOenmJklMgWDkOxCtrkz/YU5Gya"
"""`htpasswd -B`: bob's password is `secret`."""


class Registry:
    """`address` is HOST:PORT, what names of its images begin with."""

    def __init__(self, directory: Path, *, port: int = 0, network: int = 0) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._network = network
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, auth: Mapping[str, object] | None = None, tls: tuple[Path, Path] | None = None) -> None:
        """Start and wait until it listens. YAML is a superset of JSON, so its configuration is JSON."""
        program = require_tool("docker-registry")
        self.directory.mkdir(parents=True, exist_ok=True)
        http: dict[str, object] = {"addr": self.address, "secret": "tests"}
        if tls:
            http["tls"] = {"certificate": str(tls[0]), "key": str(tls[1])}
        document: dict[str, object] = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.directory / "data")},
                "delete": {"enabled": True},
                "maintenance": {"uploadpurging": {"enabled": False}},
            },
            "http": http,
        }
        if auth:
            document["auth"] = dict(auth)
        path = self.directory / "config.yml"
        path.write_text(json.dumps(document))
        enter = ["nsenter", f"--net=/proc/{self._network}/ns/net"] if self._network else []
        with open(self.directory / "log", "wb") as log:
            self._process = subprocess.Popen(
                [*enter, program, "serve", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},
            )
        self._wait(enter)

    def _wait(self, enter: list[str]) -> None:
        assert self._process is not None
        deadline = time.monotonic() + PATIENCE
        probe = f"exec 3<>/dev/tcp/127.0.0.1/{self.port}"
        while time.monotonic() < deadline and self._process.poll() is None:
            if subprocess.run([*enter, "bash", "-c", probe], capture_output=True, check=False).returncode == 0:
                return
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"docker-registry did not start:\n{(self.directory / 'log').read_text()[-2000:]}")

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=PATIENCE)
        shutil.rmtree(self.directory / "data", ignore_errors=True)

    def basic_auth(self) -> dict[str, object]:
        """Only bob, whose password is `secret`, may come in."""
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / "htpasswd"
        path.write_text(PASSWORD_HASH + "\n")
        return {"htpasswd": {"realm": "tests", "path": str(path)}}

    def digest(self, name: str, tag: str = "latest") -> str:
        """Of a manifest, asked without any of our own code."""
        types = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
        request = urllib.request.Request(
            f"http://{self.address}/v2/{name}/manifests/{tag}", method="HEAD", headers={"Accept": types}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return str(answer.headers["Docker-Content-Digest"])


@contextlib.contextmanager
def running(directory: Path, **options: object) -> Iterator[Registry]:
    registry = Registry(directory)
    registry.start(**options)  # type: ignore[arg-type]
    try:
        yield registry
    finally:
        registry.stop()


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_authority(directory: Path) -> tuple[Path, Path, Path]:
    """A certificate authority, and a certificate of it for this machine: (authority, certificate, key)."""
    openssl = require_tool("openssl")
    directory.mkdir(parents=True, exist_ok=True)
    ca, ca_key, request = (directory / name for name in ("ca.crt", "ca.key", "server.csr"))
    certificate, key, extensions = (directory / name for name in ("server.crt", "server.key", "extensions"))
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

    def run(*words: object) -> None:
        subprocess.run([openssl, *map(str, words)], check=True, capture_output=True)

    run("req", "-x509", *new_key, "-keyout", ca_key, "-out", ca, "-subj", "/CN=tests", "-days", "2")
    run("req", *new_key, "-keyout", key, "-out", request, "-subj", "/CN=localhost")
    extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    run("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-out", certificate,
        "-days", "2", "-extfile", extensions)  # fmt: skip
    return ca, certificate, key
