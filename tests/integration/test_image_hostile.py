"""Images that want to harm: none writes outside its layer, none ends in a traceback, none is taken for good.

Two tables, one of layers and one of archives. In both, everything that lies beside the store is the victim: its names,
bytes, modes, links and times are the same afterwards.
"""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from minidock.errors import MinidockError
from minidock.image.archive import load
from minidock.image.garbage import check
from minidock.image.importer import import_tar
from minidock.image.layers import discard
from minidock.image.store import ImageStore
from minidock.image.unpack import unpack
from tests.conftest import require_root
from tests.support import hostile_page
from tests.support import tarforge as forge
from tests.support.tarforge import block, directory, hard_link, long_name, member, padded, pax, symlink, tar

VICTIM = "/{victim}"
"""Stands in names for the absolute path of a directory beside the store, with `file` and `dir` in it."""


@pytest.fixture(autouse=True)
def root() -> None:
    require_root()


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    (path / "dir").mkdir(parents=True)
    (path / "file").write_text("untouched")
    return path


def snapshot(path: Path) -> list[tuple[str, int, int, int, int, int, bytes]]:
    """All that a layer could have changed."""
    seen = []
    for each in sorted([path, *path.rglob("*")]):
        status = each.lstat()
        content = each.read_bytes() if each.is_file() else b""
        seen.append(
            (str(each), status.st_mode, status.st_uid, status.st_nlink, status.st_mtime_ns, status.st_rdev, content)
        )
    return seen


def at(victim: Path, text: str) -> str:
    return text.replace(VICTIM, str(victim))


Parts = Callable[[Path], bytes]


def layer(*parts: bytes) -> Parts:
    return lambda victim: tar(*parts)


def through(victim_target: str, *parts: bytes) -> Parts:
    """A symlink `s` to the victim first."""
    return lambda victim: tar(symlink("s", at(victim, victim_target)), *parts)


UP = "../" * 40

REFUSED: dict[str, Parts] = {
    # Names
    "dot dot": layer(member("..", b"x")),
    "dot dot slash": lambda victim: tar(member(UP + str(victim)[1:] + "/new", b"x")),
    "dot dot in the middle": layer(directory("a"), member("a/../../new", b"x")),
    "dot dot at the end": layer(directory("a/b/..")),
    "zero byte": layer(pax({"path": b"a\0b"}), member("x", b"x")),
    "zero byte in link": layer(pax({"linkpath": b"a\0b"}), symlink("x", "y")),
    "name longer than PATH_MAX": layer(pax({"path": "a/" * 2100 + "x"}), member("x", b"x")),
    "part longer than NAME_MAX": layer(pax({"path": "a" * 256}), member("x", b"x")),
    "link longer than PATH_MAX": layer(pax({"linkpath": "a" * 5000}), symlink("x", "y")),
    "empty link": layer(symlink("x", "")),
    # Symlinks, and members through them
    "through a symlink outside": through(VICTIM, member("s/new", b"x")),
    "over a file through a symlink": through(VICTIM, member("s/file", b"x")),
    "directory through a symlink": through(VICTIM, directory("s/new")),
    "symlink through a symlink": through(VICTIM, symlink("s/new", "x")),
    "device through a symlink": through(VICTIM, member("s/new", kind=b"3", major=1, minor=3)),
    "through two symlinks": lambda victim: tar(symlink("b", str(victim)), symlink("a", "b"), member("a/new", b"x")),
    "through a relative symlink": lambda victim: tar(symlink("s", UP + str(victim)[1:]), member("s/new", b"x")),
    "through a symlink to a symlink loop": layer(symlink("a", "b"), symlink("b", "a"), member("a/x", b"x")),
    "through a file": layer(member("f", b"x"), member("f/x", b"x")),
    "through a device": layer(member("d", kind=b"3", major=1, minor=3), member("d/x", b"x")),
    "through /proc/self/root": lambda victim: tar(
        symlink("s", "/proc/self/root"), member("s" + str(victim) + "/new", b"x")
    ),
    "through a directory that became a symlink": lambda victim: tar(
        directory("d"), member("d/a", b"a"), symlink("d", str(victim)), member("d/b", b"b")
    ),
    # Hard links
    "hard link outside": lambda victim: tar(hard_link("h", str(victim / "file")), member("h", b"x")),
    "hard link up and out": lambda victim: tar(hard_link("h", UP + str(victim)[1:] + "/file")),
    "hard link through a symlink": through(VICTIM, hard_link("h", "s/file")),
    "hard link to a directory": layer(directory("d"), hard_link("h", "d")),
    "hard link to itself": layer(member("h", b"x"), hard_link("h", "h")),
    "hard link to the root": layer(hard_link("h", "/")),
    "hard link to nothing": layer(hard_link("h", "missing")),
    "hard link to what was replaced": layer(member("d/f", b"x"), member("d", b"file"), hard_link("h", "d/f")),
    # Whiteouts
    "whiteout of dot dot": layer(member(".wh...")),
    "whiteout of dot": layer(member(".wh..")),
    "whiteout of nothing": layer(member(".wh.")),
    "whiteout through a symlink": through(VICTIM, member("s/.wh.file")),
    "whiteout up and out": layer(member("../.wh.victim")),
    "opaque through a symlink": through(VICTIM, member("s/.wh..wh..opq")),
    "opaque up and out": layer(member("../.wh..wh..opq")),
    "file below a whiteout": layer(member(".wh.x/y", b"x")),
    "directory below a whiteout": layer(directory("a/.wh.b/c")),
    # Attributes
    "overlay redirect": layer(pax({"SCHILY.xattr.trusted.overlay.redirect": "/x"}), directory("d")),
    "overlay opaque by hand": layer(pax({"SCHILY.xattr.trusted.overlay.opaque": "y"}), directory("d")),
    "overlay metacopy": layer(pax({"SCHILY.xattr.trusted.overlay.metacopy": ""}), member("f", b"x")),
    "overlay redirect for users": layer(pax({"LIBARCHIVE.xattr.user.overlay.redirect": "Lw=="}), directory("d")),
    "attribute without name": layer(pax({"SCHILY.xattr.": "x"}), member("f", b"x")),
    "attribute too large": layer(pax({"SCHILY.xattr.user.x": b"x" * 100_000}), member("f", b"x")),
    "attribute not base64": layer(pax({"LIBARCHIVE.xattr.user.x": "%%%"}), member("f", b"x")),
    "owner over 32 bits": layer(pax({"uid": "4294967296"}), member("f", b"x")),
    "owner minus one": layer(pax({"uid": "4294967295"}), member("f", b"x")),
    "owner negative": layer(member("f", b"x", uid=b"\xff" * 8)),
    "owner negative in pax": layer(pax({"uid": "-1"}), member("f", b"x")),
    "device number too large": layer(member("d", kind=b"3", major=0o7777777, minor=0o7777777)),
    "time out of range": layer(pax({"mtime": "9" * 20}), member("f", b"x")),
    "time not a number": layer(pax({"mtime": "soon"}), member("f", b"x")),
    # Sizes and numbers
    "huge size": layer(block(b"f", size=0o77777777777)),
    "huge size in pax": layer(pax({"size": str(1 << 61)}), block(b"f")),
    "size over 64 bits": layer(pax({"size": str(1 << 70)}), block(b"f")),
    "size with sign": layer(pax({"size": "+5"}), block(b"f")),
    "negative size": layer(block(b"f", size=b"\xff" * 12)),
    "base-256 size out of range": layer(block(b"f", size=b"\x80" + b"\xff" * 11)),
    "not octal": layer(block(b"f", size=b"99999999999\0")),
    "letters for a number": layer(block(b"f", mtime=b"yesterday\0")),
    # Extended headers
    "long name bomb": layer(block(b"L", b"L", size=1 << 30)),
    "long link bomb": layer(block(b"K", b"K", size=1 << 30)),
    "pax bomb": layer(block(b"p", b"x", size=1 << 30)),
    "global pax bomb": layer(block(b"p", b"g", size=1 << 30)),
    "negative long name": layer(block(b"L", b"L", size=b"\xff" * 12)),
    "pax length too long": layer(member("p", b"99 path=x\n", b"x"), member("f", b"x")),
    "pax length too short": layer(member("p", b"3 path=x\n", b"x"), member("f", b"x")),
    "pax length zero": layer(member("p", b"0 path=x\n", b"x"), member("f", b"x")),
    "pax length missing": layer(member("p", b"path=x\n", b"x"), member("f", b"x")),
    "pax without equals": layer(member("p", b"8 path!\n", b"x"), member("f", b"x")),
    "pax without key": layer(member("p", b"5 =x\n", b"x"), member("f", b"x")),
    "pax without newline": layer(member("p", b"10 path=xy", b"x"), member("f", b"x")),
    "long name, then the end": layer(long_name(b"x" * 200)),
    "pax, then the end": layer(pax({"path": "x"})),
    # Sparse files
    "sparse pieces overlap": layer(
        pax({"GNU.sparse.map": "0,4,2,4", "GNU.sparse.size": "8"}), member("f", b"12345678")
    ),
    "sparse beyond the end": layer(pax({"GNU.sparse.map": "100,4", "GNU.sparse.size": "8"}), member("f", b"1234")),
    "sparse more than stored": layer(pax({"GNU.sparse.map": "0,8", "GNU.sparse.size": "8"}), member("f", b"1234")),
    "sparse map odd": layer(pax({"GNU.sparse.map": "0,4,9", "GNU.sparse.size": "8"}), member("f", b"1234")),
    "sparse map letters": layer(pax({"GNU.sparse.map": "0,x", "GNU.sparse.size": "8"}), member("f", b"1234")),
    "sparse 1.0 map endless": layer(
        pax({"GNU.sparse.major": "1", "GNU.sparse.realsize": "8"}), member("f", b"9" * 512)
    ),
    "sparse 1.0 map too long": layer(
        pax({"GNU.sparse.major": "1", "GNU.sparse.realsize": "8"}), member("f", b"9999999999\n")
    ),
    "sparse 1.0 map longer than its member": layer(
        pax({"GNU.sparse.major": "1", "GNU.sparse.realsize": "8"}), block(b"f", size=4), padded(b"2\n0\n1\n2\n3\n")
    ),
    "old sparse nonsense": layer(
        block(b"f", b"S", size=0, magic=b"ustar  \0", tail=bytes(41) + b"00000000010\x0000000000010\0".ljust(96, b"\0"))
    ),
    # Broken archives
    "wrong checksum": layer(block(b"f", checksum=b"000000\0 ")),
    "checksum of letters": layer(block(b"f", checksum=b"checksum")),
    "unknown type": layer(block(b"f", b"Z")),
    "multi-volume": layer(block(b"f", b"M")),
    "cut in a header": lambda victim: block(b"f")[:300],
    "cut in a body": lambda victim: block(b"f", size=5000) + b"x" * 100,
    "cut in a long name": lambda victim: long_name(b"x" * 2000)[:1000],
    "one zero block, then more": lambda victim: bytes(512) + member("f", b"x") + forge.END,
    "not a tar": lambda victim: b"\xde\xad\xbe\xef" * 1000,
    "text": lambda victim: b"<html>404 not found</html>" * 50,
    "gzip cut short": lambda victim: gzip.compress(tar(member("f", os.urandom(5000))))[:-200],
    "gzip with a wrong sum": lambda victim: gzip.compress(tar(member("f", b"x")))[:-8] + bytes(8),
    "gzip, then garbage": lambda victim: gzip.compress(tar(member("f", b"x"))) + b"garbage",
    "zstd garbage": lambda victim: b"\x28\xb5\x2f\xfd" + b"garbage" * 20,
    "xz garbage": lambda victim: b"\xfd7zXZ\x00" + b"garbage" * 20,
    "bzip2 garbage": lambda victim: b"BZh9" + b"garbage" * 20,
}
"""Layers that must raise an error of ours."""

CONTAINED: dict[str, tuple[Parts, dict[str, str | None]]] = {
    "absolute name": (lambda victim: tar(member(str(victim) + "/new", b"x")), {VICTIM + "/new": "f"}),
    "many slashes": (lambda victim: tar(member("//" + str(victim) + "///new", b"x")), {VICTIM + "/new": "f"}),
    "through a symlink to /": (layer(symlink("s", "/"), member("s/new", b"x")), {"new": "f"}),
    "through a symlink up and out": (layer(symlink("s", UP), member("s/new", b"x")), {"new": "f"}),
    "through an absolute symlink that is also inside": (
        lambda victim: tar(directory(str(victim)), symlink("s", str(victim)), member("s/new", b"x")),
        {VICTIM + "/new": "f"},
    ),
    "file in the place of a symlink outside": (through(VICTIM + "/file", member("s", b"x")), {"s": "f"}),
    "directory in the place of a symlink outside": (
        through(VICTIM, directory("s", mode=0o777), member("s/new", b"x")),
        {"s": "d", "s/new": "f"},
    ),
    "symlink outside in the place of a directory": (
        lambda victim: tar(directory("s", mode=0o777, uid=7), member("s/f", b"x"), symlink("s", str(victim))),
        {"s": "l"},
    ),
    "hard link to a symlink outside": (through(VICTIM + "/file", hard_link("h", "s")), {"h": "l", "s": "l"}),
    "file in the place of a hard link to a symlink": (
        through(VICTIM + "/file", hard_link("h", "s"), member("h", b"x")),
        {"h": "f", "s": "l"},
    ),
    "modes and owners of a symlink outside": (
        lambda victim: tar(member("s", kind=b"2", link=os.fsencode(victim / "file"), mode=0o4777, uid=5, gid=5)),
        {"s": "l"},
    ),
    "whiteout of a symlink outside": (through(VICTIM, member(".wh.s")), {"s": "l"}),
    "block device": (layer(member("d", kind=b"4", major=8, minor=0, mode=0o666)), {"d": "b"}),
    "files of aufs": (layer(directory(".wh..wh.plnk"), member(".wh..wh.plnk/1.2", b"x"), member(".wh..wh.aufs")), {}),
    "very deep": (layer(pax({"path": "d/" * 1900 + "f"}), member("x", b"x")), {"d": "d"}),
    "very deep, replaced by a file": (
        layer(pax({"path": "d/" * 1900 + "f"}), member("x", b"x"), member("d", b"x")),
        {"d": "f"},
    ),
    "nothing": (lambda victim: b"", {}),
    "only zeros": (layer(), {}),
}
"""Layers that Docker takes too; what they name stays inside: path → d, f, l, b (directory, file, symlink, device)."""


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_layer_is_refused(name: str, store: ImageStore, victim: Path) -> None:
    raw = REFUSED[name](victim)
    before = snapshot(victim)
    with pytest.raises(MinidockError) as caught:
        import_tar(store, io.BytesIO(raw), reference="hostile")
    assert "\n" not in caught.value.message
    hostile_page.said(caught.value.message)
    assert snapshot(victim) == before
    assert_empty(store)


@pytest.mark.parametrize("name", CONTAINED)
def test_a_dangerous_layer_stays_inside(name: str, tmp_path: Path, victim: Path) -> None:
    make, expected = CONTAINED[name]
    raw = make(victim)
    before = snapshot(victim)
    inside = tmp_path / "layer"
    inside.mkdir()
    unpack(io.BytesIO(raw).read, inside)
    assert snapshot(victim) == before
    kinds = {"f": "is_file", "d": "is_dir", "l": "is_symlink", "b": "is_block_device"}
    for path, kind in expected.items():
        found = inside / at(victim, path).lstrip("/")
        assert getattr(found, kinds[kind])() and (kind == "l" or not found.is_symlink()), path
    assert expected or not list(inside.iterdir())
    discard(inside)
    assert not inside.exists()


def assert_empty(store: ImageStore) -> None:
    assert store.ids() == [] and store.read_tags() == {}
    for place in (store.tmp, store.layers):
        assert not place.exists() or not list(place.iterdir())


# Archives

GOOD = tar(member("f", b"x"))
PLAIN = forge.OCI + "layer.v1.tar"


def docker(**fields: object) -> bytes:
    return forge.archive(forge.docker_archive([GOOD], **fields))  # type: ignore[arg-type]


def layout(**fields: object) -> bytes:
    made = forge.Layout()
    made.image([(GOOD, GOOD)], **fields)  # type: ignore[arg-type]
    return forge.archive(made.done())


def broken(change: Callable[[dict[str, bytes]], object], kind: str = "layout") -> bytes:
    """A good archive, changed."""
    made = forge.Layout()
    made.image([(GOOD, GOOD)])
    files = made.done() if kind == "layout" else forge.docker_archive([GOOD])
    change(files)
    return forge.archive(files)


def blob_changed(files: dict[str, bytes]) -> None:
    files[f"blobs/sha256/{forge.digest(GOOD)[7:]}"] = tar(member("f", b"y"))


def index_changed(**fields: object) -> Callable[[dict[str, bytes]], object]:
    def change(files: dict[str, bytes]) -> None:
        index = json.loads(files["index.json"])
        index["manifests"][0].update(fields)
        files["index.json"] = json.dumps(index).encode()

    return change


def nested(depth: int) -> bytes:
    made = forge.Layout()
    made.image([(GOOD, GOOD)])
    for _ in range(depth):
        index = made.blob(json.dumps({"schemaVersion": 2, "manifests": made.entries}).encode())
        made.entries = [forge.descriptor(index, forge.OCI + "index.v1+json")]
    return forge.archive(made.done())


DEEP = b'{"a":' * 20_000 + b"1" + b"}" * 20_000
CONFIG = forge.image_config([forge.digest(GOOD)])
TWO = forge.image_config([forge.digest(GOOD)] * 2)
OTHER = forge.image_config([forge.digest(b"other")])
EVIL_ID = forge.image_config(["sha256:../../../../etc/passwd"])

ARCHIVES: dict[str, bytes] = {
    "empty": b"",
    "a tar of nothing": forge.END,
    "a root file system": tar(directory("etc"), member("etc/passwd", b"x")),
    "cut short": docker()[:1500],
    "manifest.json: layer up and out": docker(item={"Layers": ["../../../../etc/passwd"]}),
    "manifest.json: layer absolute": docker(item={"Layers": ["/etc/passwd"]}),
    "manifest.json: config up and out": docker(item={"Config": "../../../../etc/passwd"}),
    "manifest.json: config absolute": docker(item={"Config": "/etc/passwd"}),
    "manifest.json: config missing": docker(item={"Config": "nothing.json"}),
    "manifest.json: too few layers": docker(config=TWO),
    "manifest.json: too many layers": docker(item={"Layers": ["0/layer.tar", "0/layer.tar"]}),
    "manifest.json: no layers": docker(item={"Layers": None}),
    "manifest.json: other layer": docker(config=OTHER),
    "manifest.json: not JSON": broken(lambda files: files.update({"manifest.json": b"{"}), "docker"),
    "manifest.json: no list": broken(lambda files: files.update({"manifest.json": b"{}"}), "docker"),
    "manifest.json: empty list": broken(lambda files: files.update({"manifest.json": b"[]"}), "docker"),
    "manifest.json: too deep": broken(lambda files: files.update({"manifest.json": b"[" * 99999}), "docker"),
    "manifest.json: too large": broken(lambda files: files.update({"manifest.json": b" " * (9 << 20)}), "docker"),
    "manifest.json: bad tag": docker(tags=["../../x:y"]),
    "manifest.json: tag in capitals": docker(tags=["Test:latest"]),
    "layer.tar: a symlink outside": forge.archive(
        {k: v for k, v in forge.docker_archive([GOOD]).items() if k != "0/layer.tar"},
        symlink("0/layer.tar", "../../../etc/passwd"),
    ),
    "layer.tar: a symlink loop": forge.archive(
        {k: v for k, v in forge.docker_archive([GOOD]).items() if k != "0/layer.tar"},
        symlink("0/layer.tar", "layer.tar"),
    ),
    "layer.tar: a device": forge.archive(
        {k: v for k, v in forge.docker_archive([GOOD]).items() if k != "0/layer.tar"},
        member("0/layer.tar", kind=b"3", major=1, minor=5),
    ),
    "config: not JSON": docker(config=b"not JSON"),
    "config: a list": docker(config=b"[]"),
    "config: too deep": docker(config=DEEP),
    "config: bytes that aren't UTF-8": docker(config=b'{"architecture": "\xff\xfe"}'),
    "config: wrong types": docker(config=forge.image_config([forge.digest(GOOD)], config={"Env": "PATH=/"})),
    "config: evil diff id": docker(config=EVIL_ID),
    "config: unknown rootfs": docker(config=forge.image_config([], rootfs={"type": "windows", "diff_ids": []})),
    "layout: wrong bytes of a layer": broken(blob_changed),
    "layout: layer longer than said": layout(layer_fields={"size": len(GOOD) - 1}),
    "layout: layer shorter than said": layout(layer_fields={"size": len(GOOD) + 1}),
    "layout: layer of negative size": layout(layer_fields={"size": -1}),
    "layout: layer missing": layout(layer_fields={"digest": forge.digest(b"nothing")}),
    "layout: digest up and out": layout(layer_fields={"digest": "sha256:../../../../etc/passwd"}),
    "layout: digest of another kind": layout(layer_fields={"digest": "md5:" + "0" * 32}),
    "layout: digest in capitals": layout(layer_fields={"digest": forge.digest(GOOD).upper()}),
    "layout: digest without kind": layout(layer_fields={"digest": "passwd"}),
    "layout: layer of unknown type": layout(media_type="application/octet-stream"),
    "layout: encrypted layer": layout(media_type=PLAIN + "+gzip+encrypted"),
    "layout: config of unknown type": layout(config_fields={"mediaType": "application/vnd.cncf.helm.config.v1+json"}),
    "layout: config of wrong size": layout(config_fields={"size": 3}),
    "layout: wrong config digest": layout(config_fields={"digest": forge.digest(GOOD)}),
    "layout: manifest of unknown type": broken(index_changed(mediaType="application/x-unknown")),
    "layout: Docker's schema 1": broken(
        index_changed(mediaType="application/vnd.docker.distribution.manifest.v1+json")
    ),
    "layout: manifest says another type": layout(manifest_fields={"mediaType": "application/x-unknown"}),
    "layout: manifest of wrong size": broken(index_changed(size=5)),
    "layout: manifest of huge size": broken(index_changed(size=1 << 60)),
    "layout: manifest is the layer": broken(index_changed(digest=forge.digest(GOOD), size=len(GOOD))),
    "layout: more layers than diff ids": layout(config=forge.image_config([])),
    "layout: fewer layers than diff ids": layout(config=TWO),
    "layout: other diff id": layout(config=OTHER),
    "layout: indexes without end": nested(9),
    "layout: of the future": broken(lambda files: files.update({"oci-layout": b'{"imageLayoutVersion": "2.0.0"}'})),
    "layout: version not text": broken(lambda files: files.update({"oci-layout": b'{"imageLayoutVersion": 1}'})),
    "layout: no images": broken(lambda files: files.update({"index.json": b'{"schemaVersion": 2, "manifests": []}'})),
    "layout: index not JSON": broken(lambda files: files.update({"index.json": b"\0"})),
    "layout: index too deep": broken(lambda files: files.update({"index.json": DEEP})),
    "layout: index of unknown type": broken(
        lambda files: files.update({"index.json": b'{"mediaType":"x","manifests":[]}'})
    ),
    "layout: bad full name": broken(index_changed(annotations={"io.containerd.image.name": "../../x:y"})),
    "gzip of an archive, cut": gzip.compress(docker())[:-20],
}
"""Whole archives that must raise an error of ours."""


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_hostile_archive_is_refused(name: str, store: ImageStore, victim: Path) -> None:
    before = snapshot(victim)
    said: list[str] = []
    with pytest.raises(MinidockError) as caught:
        load(store, io.BytesIO(ARCHIVES[name]), say=said.append)
    assert caught.value.message and "\n" not in caught.value.message and said == []
    hostile_page.said(caught.value.message)
    assert snapshot(victim) == before
    assert store.ids() == [] and store.read_tags() == {} and not list(store.tmp.iterdir())
    store.gc()
    assert_empty(store)


def layout_directory(path: Path) -> tuple[Path, Path]:
    """A good layout, and the path of its layer's blob."""
    made = forge.Layout()
    made.image([(GOOD, GOOD)])
    return forge.write_directory(made.done(), path), path / "blobs" / "sha256" / forge.digest(GOOD)[7:]


def spoilers() -> Iterator[tuple[str, Callable[[Path, Path], object]]]:
    yield "blob is a symlink", lambda top, blob: (blob.rename(top / "real"), blob.symlink_to(top / "real"))
    yield "blob is a symlink outside", lambda top, blob: (blob.unlink(), blob.symlink_to("/etc/passwd"))
    yield "blob is a pipe", lambda top, blob: (blob.unlink(), os.mkfifo(blob))
    yield "blob is a device", lambda top, blob: (blob.unlink(), os.mknod(blob, 0o20666, os.makedev(1, 5)))
    yield "blob is a directory", lambda top, blob: (blob.unlink(), blob.mkdir())
    yield (
        "blobs is a symlink",
        lambda top, blob: (
            (top / "blobs").rename(top / "real"),
            (top / "blobs").symlink_to("real"),
        ),
    )
    yield (
        "index is a symlink",
        lambda top, blob: (
            (top / "index.json").rename(top / "real"),
            (top / "index.json").symlink_to("real"),
        ),
    )


@pytest.mark.parametrize(("name", "spoil"), list(spoilers()), ids=[name for name, _ in spoilers()])
def test_a_hostile_directory_is_refused(
    name: str, spoil: Callable[[Path, Path], object], store: ImageStore, tmp_path: Path
) -> None:
    top, blob = layout_directory(tmp_path / "layout")
    spoil(top, blob)
    with pytest.raises(MinidockError) as caught:
        load(store, top, say=lambda line: None)
    hostile_page.said(caught.value.message)
    assert_empty(store)


def test_the_good_directory_is_taken(store: ImageStore, tmp_path: Path) -> None:
    top, _ = layout_directory(tmp_path / "layout")
    assert load(store, top, say=lambda line: None) == ["Loaded image: test:latest"]
    assert check(store) == []


def test_a_bomb_ends_at_the_size_that_its_manifest_says(store: ImageStore) -> None:
    """The blob is endless; no more than the declared bytes of it are read."""
    from minidock.image.compression import CHUNK

    given = 0

    def endless(n: int) -> bytes:
        nonlocal given
        given += n
        return bytes(n)

    head = block(b"zeros", size=0o77777777777)
    with pytest.raises(MinidockError) as caught, store.bringing_in():
        waiting = [head]
        store.add_layer(
            lambda n: waiting.pop() if waiting else endless(n),
            media_type=PLAIN,
            digest=forge.digest(GOOD),
            size=1 << 20,
            diff_id=forge.digest(GOOD),
        )
    hostile_page.said(caught.value.message)
    assert given <= (1 << 20) + CHUNK
    assert_empty(store)
