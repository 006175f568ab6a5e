"""A real Docker daemon for one test session: own socket, own directories, own network namespace.

In its own network namespace it meets neither another dockerd's iptables rules nor its docker0, so any number of test
processes can have one. What a container publishes is reached from inside: `docker.inside("curl", "-s", …)`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

OCI = Path(__file__).resolve().parents[2] / "scripts" / "minidock-oci"
PATIENCE = 60
"""Seconds until a starting daemon must answer: a loaded machine of two cores has taken ten."""


class Docker:
    """`docker("run", "--rm", "busybox", "true")`; `environment` has DOCKER_HOST for other clients."""

    def __init__(self, directory: Path, client: str) -> None:
        self.client = client
        self.socket = directory / "d.sock"
        self.directory = directory
        self.environment = {"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CONFIG": str(directory / "config")}
        self.log = directory / "log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The daemon's process, whose network namespace its containers hang on."""
        assert self._process is not None
        return self._process.pid

    def __call__(
        self,
        *arguments: str,
        input: str | None = None,  # as subprocess.run calls it
        check: bool = False,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """The docker client on this daemon, as subprocess.run with captured text."""
        return self.inside(self.client, *arguments, input=input, check=check, timeout=timeout)

    def inside(
        self,
        *command: str,
        input: str | None = None,
        check: bool = False,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """A command in the daemon's network namespace, with DOCKER_HOST set."""
        assert self._process is not None
        result = subprocess.run(
            ["nsenter", f"--net=/proc/{self._process.pid}/ns/net", *command],
            input="" if input is None else input,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env={**os.environ, **self.environment},
        )
        if check and result.returncode != 0:
            told = f"exit {result.returncode}\n{result.stdout}{result.stderr}"
            raise AssertionError(f"{' '.join(command)}: {told}")
        return result

    def start(self, dockerd: str) -> None:
        """Start and wait for the socket to answer. Raises RuntimeError with the log's end."""
        flags = [f"--{kind}={self.directory}/{name}" for kind, name in _PLACES]
        flags.append(f"--add-runtime=minidock={OCI}")  # for `run --runtime minidock`
        script = 'ip link set lo up && echo 1 >/proc/sys/net/ipv4/ip_forward && exec "$@"'
        command = ["unshare", "--net", "sh", "-c", script, "sh", dockerd, f"--host=unix://{self.socket}", *flags]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            if self.socket.exists() and self("version").returncode == 0:
                return
            time.sleep(0.1)
        self.stop()
        raise RuntimeError(f"dockerd did not start:\n{self.log.read_text()[-2000:]}")

    def stop(self) -> None:
        """Remove its containers, end it (and the containerd that it started), unmount what it leaves."""
        assert self._process is not None
        if self._process.poll() is None:
            listed = self("ps", "-aq").stdout.split()
            if listed:
                self("rm", "-fv", *listed)
            self._process.terminate()
            self._process.wait(timeout=60)
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            point = line.split(" ")[4]
            if point.startswith(f"{self.directory}/"):
                subprocess.run(["umount", "-l", point], check=False)
        shutil.rmtree(self.directory / "data", ignore_errors=True)


_PLACES = [("data-root", "data"), ("exec-root", "exec"), ("pidfile", "pid")]
