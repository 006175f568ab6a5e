"""Takes layers in: one pass over the bytes files the blob, hashes it packed and unpacked, and unpacks the tree.

`commit` is the way from the other side: a tree that is here already becomes blob and layer.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from minidock import files
from minidock.errors import InvalidImage

from . import manifest as docs
from .ahead import reading_ahead
from .compression import CHUNK, Digesting, Hashing, Packing, Read, unpacked
from .manifest import Descriptor
from .spread import spread_below
from .trees import remove_tree

if TYPE_CHECKING:
    from .store import ImageStore, Layer, LayerRecord

LOCKS = 64
"""How many lock files layers share: enough for different layers seldom to meet, few enough not to litter."""


@contextlib.contextmanager
def workplace(store: ImageStore) -> Iterator[Path]:
    """A fresh directory in tmp/, gone at the end. A lock on it says that somebody is at work; it ends with us."""
    for _ in abandoned(store):
        pass
    path, lock = _claim(store)
    try:
        yield path
    finally:
        try:
            discard(path)
        finally:  # Ctrl-C in the midst of it: without our lock somebody else goes on
            os.close(lock)


def _claim(store: ImageStore) -> tuple[Path, int]:
    store.tmp.mkdir(parents=True, exist_ok=True)
    spread_below(store.tmp)
    while True:
        path = store.tmp / f"{os.getpid()}-{os.urandom(4).hex()}"
        path.mkdir(mode=0o700)
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:  # swept away between mkdir and open
            continue
        with contextlib.suppress(BlockingIOError):  # a sweeper was quicker: let it have this one
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock).st_nlink:
                return path, lock
        os.close(lock)


def abandoned(store: ImageStore) -> Iterator[Path]:
    """Work that a killed process left in tmp/, each removed after the caller has looked at it."""
    try:
        paths = sorted(store.tmp.iterdir())
    except FileNotFoundError:
        return
    for path in paths:
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield path
            with contextlib.suppress(FileNotFoundError):
                discard(path)
        except BlockingIOError:  # its owner lives
            continue
        finally:
            os.close(lock)


def discard(path: Path) -> None:
    """Remove a tree of strangers, or a file.

    What remove_tree moves up on the way stays below `path`, on which our lock is: beside it, in tmp/, another
    sweeper would take it for abandoned work and remove it under our hands.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except NotADirectoryError:
        path.unlink()
        return
    try:
        for name in os.listdir(fd):
            remove_tree(name, dir_fd=fd)
    finally:
        os.close(fd)
    path.rmdir()


def take_in(
    store: ImageStore,
    read: Read,
    claimed: Descriptor,
    diff_id: str,
    *,
    kept: Path | None = None,
    give_up: Callable[[], None] | None = None,
) -> Layer:
    """Store and unpack a layer unless both are here. In `claimed` empty or -1, and an empty diff_id, claim nothing.

    `kept`: a file to which somebody else writes what `read` gives, synced when `read` ends; it becomes the blob.
    `give_up` lets a `read` that waits fail; with it another thread unpacks than the one that reads and hashes.
    Raises InvalidImage when size, digest or diff id are not as claimed, or the tar can't be trusted.
    """
    from .store import Layer

    if claimed.digest and diff_id and store.layer(diff_id) is not None:
        with contextlib.suppress(FileNotFoundError):
            size = store.blob_path(claimed.digest).stat().st_size
            return Layer(diff_id, Descriptor(claimed.media_type, claimed.digest, size))
    # Two commands that load the same layer: the second waits, then finds it unpacked and only files its blob.
    with _one_at_a_time(store, diff_id), workplace(store) as place:
        return _receive(store, read, claimed, diff_id, place, kept, give_up)


def _one_at_a_time(store: ImageStore, diff_id: str) -> contextlib.AbstractContextManager[None]:
    if not diff_id:  # not known before it is read; _publish copes with two that finish
        return contextlib.nullcontext()
    return files.locked(store.layout.lock(f"images-layer-{int(diff_id[-4:], 16) % LOCKS}"))


def _receive(
    store: ImageStore,
    read: Read,
    claimed: Descriptor,
    diff_id: str,
    place: Path,
    kept: Path | None,
    give_up: Callable[[], None] | None,
) -> Layer:
    from .store import Layer

    what = f"layer {(claimed.digest or diff_id)[:19]}".rstrip()
    with open(place / "blob", "xb") if kept is None else contextlib.nullcontext() as blob:
        source = read if blob is None else _copying(read, blob)
        packed = Digesting(source, limit=claimed.size if claimed.size >= 0 else None, what=what)
        packing, plain = unpacked(packed.read)
        media_type = claimed.media_type or _media_type(packing)
        tar = Digesting(plain) if packing else packed
        with reading_ahead(tar.read if packing else plain, give_up) as stream:
            _unpack(store, stream, diff_id, place)
        while packed.read(CHUNK):  # what follows a packed tar belongs to the blob
            pass
        if blob is not None:
            blob.flush()
            os.fsync(blob.fileno())
    if claimed.size >= 0 and packed.count != claimed.size:
        raise InvalidImage(f"{what} has {packed.count} bytes instead of {claimed.size}")
    if claimed.digest and packed.digest != claimed.digest:
        raise InvalidImage(f"{what} has the digest {packed.digest} instead of {claimed.digest}")
    if diff_id and tar.digest != diff_id:
        raise InvalidImage(f"{what} has the diff id {tar.digest} instead of {diff_id}")
    _publish(store, place, kept or place / "blob", tar.digest, packed.digest)
    return Layer(tar.digest, Descriptor(media_type, packed.digest, packed.count))


def _copying(read: Read, blob: BinaryIO) -> Read:
    def copy(n: int) -> bytes:
        data = read(n)
        blob.write(data)
        return data

    return copy


def _media_type(packing: str) -> str:
    if packing not in ("", "gzip", "zstd"):
        raise InvalidImage(f"a layer packed with {packing}, which no media type names")
    return docs.OCI_LAYER + (f"+{packing}" if packing else "")


def _unpack(store: ImageStore, read: Read, diff_id: str, place: Path) -> None:
    """Into place/layer, unless the store has the tree and only the blob is new."""
    if diff_id and store.layer(diff_id) is not None:
        while read(CHUNK):
            pass
        return
    from .store import LayerRecord
    from .unpack import unpack

    diff = place / "layer" / "diff"
    diff.mkdir(parents=True)
    diff.chmod(0o755)  # whatever our umask is: this becomes the container's "/"
    result = unpack(read, diff)
    record = LayerRecord(result.size, result.entries, result.opaque)
    files.write_json(place / "layer" / "layer.json", record, durable=False)


def commit(store: ImageStore, upper: Path, *, packing: str, move: bool, clamp: int | None) -> Layer:
    """Make a layer of an overlay's upper directory. Memory stays the same whatever its size.

    With `move` the directory itself becomes the layer, and is gone from its place; it has to be on the store's file
    system. Otherwise it is copied, and may go on changing. After an error it is where it was.
    """
    from .copytree import copy_upper, settle

    with workplace(store) as place:
        (place / "layer").mkdir()
        tree = upper if move else place / "layer" / "diff"
        if not move:
            tree.mkdir()
            tree.chmod(0o755)
        with _opened(upper) as source, _opened(tree) as made:
            if move:
                settle(made, clamp=clamp)
            else:
                copy_upper(source, made, clamp=clamp)
            layer, record = _pack(made, place / "blob", packing, clamp)
        files.write_json(place / "layer" / "layer.json", record, durable=False)
        if move:
            os.rename(upper, place / "layer" / "diff")
        _publish(store, place, place / "blob", layer.diff_id, layer.blob.digest)
        return layer


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _pack(tree: int, path: Path, packing: str, clamp: int | None) -> tuple[Layer, LayerRecord]:
    """The tree's tar, packed, into a new file: hashed before and after packing, in one pass."""
    from . import diff
    from .store import Layer, LayerRecord

    with open(path, "xb") as blob:
        outer = Hashing(blob.write)
        packer = Packing(packing, outer.write)
        inner = Hashing(packer.write)
        written = diff.write_layer(diff.changes(tree), inner.write, clamp=clamp)
        packer.end()
        blob.flush()
        os.fsync(blob.fileno())
    described = Descriptor(_media_type(packing), outer.digest, outer.count)
    return Layer(inner.digest, described), LayerRecord(written.size, written.entries, written.opaque)


def _publish(store: ImageStore, place: Path, blob: Path, diff_id: str, digest: str) -> None:
    """Move what is whole and right to where everybody looks: first the tree, then the blob.

    Whoever waits for the blob (registry.download) looks for both as soon as `blob` is gone from its place.
    """
    for directory in (store.blobs, store.layers):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if (place / "layer").exists():
        try:
            os.rename(place / "layer", store.layer_path(diff_id))
        except OSError as error:
            # Somebody else has brought the same tree while we unpacked ours: theirs is as good.
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
    os.rename(blob, store.blob_path(digest))
    files.sync_directory(store.blobs)
