"""Small images for tests, written with the standard library only: an oracle that shares no code with minidock."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

DIRECTORIES = ["bin", "dev", "etc", "proc", "root", "sys", "tmp", "usr", "usr/bin", "var"]
FILES = {
    "etc/passwd": "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nuser:x:1000:1000::/:/bin/sh\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\nuser:x:1000:\nextra:x:2000:user\n",
}


def busybox_layer(busybox: str) -> bytes:
    """A root file system as a plain tar: the static busybox, a link for each applet, passwd and group."""
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in DIRECTORIES:
            _add(tar, name, kind=tarfile.DIRTYPE, mode=0o1777 if name == "tmp" else 0o755)
        _add(tar, "bin/busybox", Path(busybox).read_bytes(), mode=0o755)
        for name in applets:
            if name != "busybox":
                _add(tar, f"bin/{name}", kind=tarfile.SYMTYPE, target="busybox")
        for name, text in FILES.items():
            _add(tar, name, text.encode())
    return buffer.getvalue()


def docker_archive(path: Path, name: str, layers: list[bytes], config: dict[str, object] | None = None) -> Path:
    """Write an archive as `docker save` does (Docker 20.10): manifest.json, a config, a directory for each layer."""
    diff_ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    image = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], **(config or {})},
        "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "tests/support/images.py"} for _ in layers],
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    raw = json.dumps(image).encode()
    config_name = f"{hashlib.sha256(raw).hexdigest()}.json"
    places = [f"{digest.removeprefix('sha256:')}/layer.tar" for digest in diff_ids]
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": places}]).encode()
    with tarfile.open(path, "w") as tar:
        for place, layer in zip(places, layers, strict=True):
            _add(tar, place, layer)
        _add(tar, config_name, raw)
        _add(tar, "manifest.json", manifest)
    return path


def _add(
    tar: tarfile.TarFile,
    name: str,
    content: bytes = b"",
    *,
    kind: bytes = tarfile.REGTYPE,
    mode: int = 0o644,
    target: str = "",
) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.linkname = kind, mode, target
    member.size, member.mtime = len(content), 1_700_000_000
    tar.addfile(member, io.BytesIO(content))
