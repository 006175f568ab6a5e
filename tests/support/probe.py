"""The probe (rootfs/probe/probe.c): a static program that says what a container's first process sees."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from .images import docker_archive
from .instance import REPOSITORY, Minidock


def compile_probe(compiler: str, path: Path) -> Path:
    source = REPOSITORY / "rootfs" / "probe" / "probe.c"
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static"]
    subprocess.run([compiler, *flags, "-o", str(path), str(source)], check=True)
    return path


def probe_archive(path: Path, probe: Path) -> Path:
    """An archive as from `docker save` with the image `probe`: one file and nothing else, not even /etc."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("probe")
        member.mode, member.size, member.mtime = 0o755, probe.stat().st_size, 1_700_000_000
        tar.addfile(member, io.BytesIO(probe.read_bytes()))
    return docker_archive(path, "probe:latest", [buffer.getvalue()], {"Entrypoint": ["/probe"], "Env": []})


class Facts(dict[str, str]):
    """What the probe printed: the first word of a line → the rest, all `lines`, its exit `code`."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__()
        self.code = code
        self.lines = text.splitlines()
        for line in self.lines:
            first, _, rest = line.partition(" ")
            self[first] = rest


def ask(minidock: Minidock, *words: str, flags: tuple[str, ...] = ()) -> Facts:
    """Run the probe as PID 1 with the flags of `run`, without a network unless the flags say one."""
    network = () if any(flag.startswith("--network") for flag in flags) else ("--network", "none")
    result = minidock("run", "--rm", *network, *flags, "probe", *words)
    assert result.stderr == "", result.stderr
    return Facts(result.stdout, result.returncode)
