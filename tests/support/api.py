"""A daemon for one test: minidock's API on a unix socket of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.instance import SLOWNESS, Minidock


class Daemon:
    """`minidock daemon` on the instance of `box`; `url` is what clients put into DOCKER_HOST.

    `also` is one more address, for what can't be said over a unix socket.
    """

    def __init__(self, box: Minidock, directory: Path, also: str = "") -> None:
        self.box = box
        self.also = also
        self.words: list[str] = []
        """Further flags of its next start."""
        self.socket = directory / "d.sock"
        self.url = f"unix://{self.socket}"
        self.log = directory / "log"
        self.environment = {**os.environ, "DOCKER_HOST": self.url, "DOCKER_CONFIG": str(directory / "config")}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        with self.log.open("ab") as log:
            hosts = [word for host in (self.url, self.also) if host for word in ("-H", host)]
            self.process = self.box.popen(
                "daemon", *hosts, *self.words, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 60 * SLOWNESS
        while not self._answers():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
            probe.connect(str(self.socket))
            return True
        return False

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=15 * SLOWNESS)

    def docker(self, *words: str, input: str = "", timeout: float = 30) -> subprocess.CompletedProcess[str]:
        """The real client. It passes SIGTERM on to the container, so a hanging one is killed."""
        return subprocess.run(
            ["docker", *words],
            input=input,
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=timeout * SLOWNESS,
        )


@contextlib.contextmanager
def serving(box: Minidock, also: str = "") -> Iterator[Daemon]:
    """A running daemon. Fails when it has complained about itself."""
    # Beside the root, in the test's own directory: pytest clears that away also when this process is killed.
    beside = box.layout.root.parent
    beside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="d-", dir=beside) as directory:  # short: a socket's path has 107 bytes
        daemon = Daemon(box, Path(directory), also)
        try:
            daemon.start()
            yield daemon
        finally:
            daemon.stop()
        told = daemon.log.read_text()
        assert "Traceback" not in told, told


def free_port() -> str:
    """An address on the loopback that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"
