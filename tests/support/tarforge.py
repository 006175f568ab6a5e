"""Tar archives and images made byte by byte, so that a test can write what no honest tool would."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
END = bytes(1024)


def octal(value: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, value)


def block(
    name: bytes,
    kind: bytes = b"0",
    *,
    size: int | bytes = 0,
    link: bytes = b"",
    mode: int = 0o644,
    uid: int | bytes = 0,
    gid: int = 0,
    mtime: int | bytes = 1_700_000_000,
    major: int = 0,
    minor: int = 0,
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
    tail: bytes = b"",
    checksum: bytes | None = None,
) -> bytes:
    """One header. Numbers given as bytes go into their field as they are; `tail` replaces prefix and what follows."""

    def number(value: int | bytes, width: int) -> bytes:
        return value.ljust(width, b"\0") if isinstance(value, bytes) else octal(value, width)

    head = name.ljust(100, b"\0")[:100] + octal(mode, 8) + number(uid, 8) + octal(gid, 8)
    head += number(size, 12) + number(mtime, 12) + b" " * 8 + kind + link.ljust(100, b"\0")[:100]
    head += magic + bytes(64) + octal(major, 8) + octal(minor, 8)
    raw = (head + (tail or prefix)).ljust(512, b"\0")
    return raw[:148] + (checksum if checksum is not None else b"%06o\0 " % sum(raw)) + raw[156:]


def padded(body: bytes) -> bytes:
    return body + bytes(-len(body) % 512)


def member(name: str | bytes, body: bytes = b"", kind: bytes = b"0", **fields: object) -> bytes:
    """A header and its body; a pax header first for names that are too long for the fields."""
    raw = os.fsencode(name)
    link = fields.get("link", b"")
    assert isinstance(link, bytes)
    long = {key: value for key, value in (("path", raw), ("linkpath", link)) if len(value) > 100}
    fields.setdefault("size", len(body))
    return (pax(long) if long else b"") + block(raw, kind, **fields) + padded(body)  # type: ignore[arg-type]


def directory(name: str, **fields: object) -> bytes:
    fields.setdefault("mode", 0o755)
    return member(name, b"", b"5", **fields)


def symlink(name: str, target: str | bytes) -> bytes:
    return member(name, kind=b"2", link=os.fsencode(target), mode=0o777)


def hard_link(name: str, target: str) -> bytes:
    return member(name, kind=b"1", link=os.fsencode(target))


def record(key: bytes, value: bytes) -> bytes:
    """One record of a pax header; its length counts its own digits."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + 1
    while len(b"%d" % length) + len(rest) != length:
        length = len(b"%d" % length) + len(rest)
    return b"%d" % length + rest


def pax(records: Mapping[str, bytes | str], kind: bytes = b"x") -> bytes:
    raw = b"".join(record(key.encode(), os.fsencode(value)) for key, value in records.items())
    return member("PaxHeaders/x", raw, kind)


def long_name(name: bytes, kind: bytes = b"L") -> bytes:
    return member("././@LongLink", name + b"\0", kind, magic=b"ustar  \0")


def tar(*parts: bytes) -> bytes:
    return b"".join(parts) + END


# Images


def digest(raw: bytes) -> str:
    return "sha256:" + hashlib.sha256(raw).hexdigest()


def image_config(diff_ids: list[str], **more: object) -> bytes:
    document = {
        "architecture": ARCHITECTURE,
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    return json.dumps({**document, **more}).encode()


def docker_archive(
    layers: list[bytes],
    *,
    config: bytes | None = None,
    tags: list[str] | None = None,
    item: dict[str, object] | None = None,
) -> dict[str, bytes]:
    """Files of an archive of Docker's: name → bytes. `item` overrides members of manifest.json's only entry."""
    config = image_config([digest(layer) for layer in layers]) if config is None else config
    files = {f"{number}/layer.tar": layer for number, layer in enumerate(layers)}
    entry = {"Config": "config.json", "RepoTags": tags or ["test:latest"], "Layers": list(files), **(item or {})}
    return {**files, "config.json": config, "manifest.json": json.dumps([entry]).encode()}


OCI = "application/vnd.oci.image."


def descriptor(raw: bytes, media_type: str, **more: object) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest(raw), "size": len(raw), **more}


class Layout:
    """An OCI layout being put together; change `files` to break it."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
        self.entries: list[dict[str, object]] = []

    def blob(self, raw: bytes) -> bytes:
        self.files[f"blobs/sha256/{digest(raw)[7:]}"] = raw
        return raw

    def image(
        self,
        layers: list[tuple[bytes, bytes]],
        *,
        media_type: str = OCI + "layer.v1.tar",
        name: str = "test:latest",
        platform: dict[str, str] | None = None,
        config: bytes | None = None,
        layer_fields: dict[str, object] | None = None,
        config_fields: dict[str, object] | None = None,
        manifest_fields: dict[str, object] | None = None,
    ) -> bytes:
        """Add an image of (blob, plain tar) pairs; returns its manifest."""
        config = image_config([digest(plain) for _, plain in layers]) if config is None else config
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI + "manifest.v1+json",
            "config": descriptor(self.blob(config), OCI + "config.v1+json", **(config_fields or {})),
            "layers": [descriptor(self.blob(raw), media_type, **(layer_fields or {})) for raw, _ in layers],
        }
        raw = self.blob(json.dumps({**manifest, **(manifest_fields or {})}).encode())
        entry = descriptor(raw, OCI + "manifest.v1+json")
        if name:
            entry["annotations"] = {"org.opencontainers.image.ref.name": name}
        if platform:
            entry["platform"] = platform
        self.entries.append(entry)
        return raw

    def done(self) -> dict[str, bytes]:
        index = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": self.entries}
        return {"index.json": json.dumps(index).encode(), **self.files}


def archive(files: dict[str, bytes], *more: bytes) -> bytes:
    """The files as a tar; `more` are ready members."""
    return tar(*(member(name, raw) for name, raw in files.items()), *more)


def write_directory(files: dict[str, bytes], path: Path) -> Path:
    for name, raw in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(raw)
    return path
