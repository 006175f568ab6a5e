"""The docker command."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator

from tests.interop.clients import HEALTHY, Client


class DockerCommand(Client):
    NAME = "docker 28"

    def __call__(self, *words: str, code: int = 0, input: str = "") -> str:
        done = self.daemon.docker(*words, input=input)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return done.stdout

    @contextlib.contextmanager
    def container(self, *words: str) -> Iterator[str]:
        name = self("run", "-d", *words).strip()
        try:
            yield name
        finally:
            self("rm", "-fv", name)

    def run(self) -> None:
        assert self("run", "--rm", "-e", "WHO=me", "busybox", "sh", "-c", "echo $WHO; exit 3", code=3) == "me\n"
        assert self("run", "-i", "--rm", "busybox", "cat", input="typed\n") == "typed\n"
        with self.container("--label", "a=b", "busybox", "sleep", "100") as name:
            assert self("ps", "-q", "--no-trunc", "--filter", "label=a=b") == f"{name}\n"
            self("stop", "-t", "0", name)
            assert self("wait", name) == "137\n"

    def exec(self) -> None:
        with self.container("busybox", "sleep", "100") as name:
            words = ("exec", "-i", "-w", "/tmp", "-e", "A=b", name, "sh", "-c", "cat; pwd; echo $A; exit 5")
            assert self(*words, code=5, input="typed\n") == "typed\n/tmp\nb\n"

    def logs(self) -> None:
        with self.container("busybox", "sh", "-c", "echo one; echo two; echo three >&2") as name:
            heard = self.daemon.docker("logs", "-f", "--tail", "2", name)
            assert (heard.stdout, heard.stderr) == ("two\n", "three\n")
            assert len(self("logs", "-t", name).splitlines()[0].split()) == 2

    def build(self) -> None:
        told = self("build", "-q", "-t", "mdt-command", "--build-arg", "GREETING=hi", str(self.place / "context"))
        try:
            assert told.startswith("sha256:") and self("run", "--rm", "mdt-command") == "page\nhi\n"
        finally:
            self("rmi", "mdt-command")

    def networks(self) -> None:
        self("network", "create", "--subnet", "10.206.1.0/24", "mdt-command")
        with self.container("--network", "mdt-command", "--network-alias", "al", "busybox", "sleep", "100") as name:
            assert "10.206.1." in self("run", "--rm", "--network", "mdt-command", "busybox", "ping", "-c1", "al")
            self("network", "disconnect", "mdt-command", name)
            assert json.loads(self("inspect", "-f", "{{json .NetworkSettings.Networks}}", name)) == {}
        assert self("network", "rm", "mdt-command") == "mdt-command\n"

    def volumes(self) -> None:
        self("volume", "create", "--label", "a=b", "mdt-command")
        self("run", "--rm", "-v", "mdt-command:/data", "busybox", "sh", "-c", "echo kept >/data/file")
        assert self("run", "--rm", "-v", "mdt-command:/data:ro", "busybox", "cat", "/data/file") == "kept\n"
        assert self("volume", "ls", "-q", "--filter", "label=a=b") == "mdt-command\n"
        self("volume", "rm", "mdt-command")

    def events(self) -> None:
        since = time.time()
        with self.container("--label", "told=yes", "busybox", "true") as name:
            self("wait", name)
        words = ("events", "--since", f"{since:.3f}", "--until", f"{time.time():.3f}", "--filter", "label=told=yes")
        actions = self(*words, "--format", "{{.Action}}").split()
        assert actions == ["create", "start", "die", "destroy"]

    def cp(self) -> None:
        with self.container("busybox", "sleep", "100") as name:
            self("cp", str(self.place / "context"), f"{name}:/tmp/in")
            assert self("exec", name, "cat", "/tmp/in/page") == "page\n"
            self("cp", f"{name}:/tmp/in/page", str(self.place / "out"))
            assert (self.place / "out").read_text() == "page\n"

    def stats(self) -> None:
        with self.container("--memory", "64m", "busybox", "sleep", "100") as name:
            told = json.loads(self("stats", "--no-stream", "--no-trunc", "--format", "json", name))
            assert told["ID"] == name and told["PIDs"] == "1" and told["MemUsage"].endswith("/ 64MiB")

    def health(self) -> None:
        listen = ["docker", "events", "--filter", "event=health_status", "--format", "{{.Action}}"]
        with subprocess.Popen(listen, env=self.daemon.environment, stdout=subprocess.PIPE, text=True) as events:
            with self.container(
                "--health-cmd", HEALTHY, "--health-interval", "500ms", "busybox", "sleep", "100"
            ) as one:
                assert events.stdout is not None and events.stdout.readline() == "health_status: healthy\n"
                assert self("ps", "-q", "--no-trunc", "--filter", "health=healthy") == f"{one}\n"
            events.terminate()
