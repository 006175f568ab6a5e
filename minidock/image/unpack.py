"""A layer's tar → a directory that overlayfs can use as one of its lower directories.

Layers are hostile (DESIGN 5.3), so no name is ever resolved as a string: the directory that a member belongs to is
opened with openat2(2) RESOLVE_IN_ROOT, for which the layer's directory is "/" whatever symlinks and ".." say, and the
member itself is made with a call relative to that descriptor which doesn't follow a symlink at the end.

Each layer is unpacked alone, as Docker's overlay2 does: what lies below it is not seen. Whiteouts, which say that
something below is gone, become what overlayfs wants instead (Documentation/filesystems/overlayfs.rst):

    .wh.NAME          a character device 0:0 called NAME
    .wh..wh..opq      the extended attribute trusted.overlay.opaque=y on its directory
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

import msgspec

from minidock.errors import InvalidImage, MinidockError
from minidock.kernel.syscalls import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2

from . import tarheader as tar
from .compression import Read
from .tarheader import Member
from .tarstream import TarStream
from .trees import remove_tree, tree_size

MAX_PATH = 4095
"""PATH_MAX without its zero byte (linux/limits.h): a longer name can't be given to the kernel, nor by Docker."""
MAX_ID = 0xFFFFFFFE
"""Highest user or group id; the one above means "leave as it is" to chown(2)."""
OPEN_PARENTS = 64
"""Directories kept open. Archives go through a tree in order, so a few are enough, and 1024 is all we may have."""

WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"
AUFS = b".wh..wh."
"""Files of aufs, Docker's storage before overlay, that old layers contain; they mean nothing here."""

REFUSED_XATTRS = ("trusted.overlay.", "user.overlay.")
"""overlayfs obeys these: a layer that sets them itself could redirect directories. Only we may."""
DEVICE_TYPES = {tar.CHARACTER: stat.S_IFCHR, tar.BLOCK_DEVICE: stat.S_IFBLK, tar.FIFO: stat.S_IFIFO}


class Unpacked(msgspec.Struct, frozen=True):
    """`size`: bytes of all files, hard links once, as Docker counts; `opaque`: nothing below this layer is seen."""

    size: int
    entries: int
    opaque: bool


def unpack(read: Read, directory: str | os.PathLike[str]) -> Unpacked:
    """Unpack a plain tar into an empty directory, and read the stream to its end. Raises InvalidImage, MinidockError.

    After an error the directory holds what came before it: the caller removes it.
    """
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        unpacker = _Unpacker(root)
        stream = TarStream(read)
        try:
            for member in stream:
                unpacker.add(member, stream)
            unpacker.finish()
        finally:
            unpacker.close()
        stream.drain()
        return Unpacked(unpacker.measure(), unpacker.entries, unpacker.opaque)
    finally:
        os.close(root)


class _Unpacker:
    """The directory being filled: open descriptors of directories, and what is to be done to directories at the end."""

    def __init__(self, root: int) -> None:
        self.root = root
        self.entries = 0
        self.opaque = False
        self._size = 0
        self._replaced = False
        self._parents: dict[bytes, int] = {b"": root}
        self._directories: dict[bytes, Member] = {}
        self._umask = _current_umask()
        self._me = (os.geteuid(), os.getegid())

    def add(self, member: Member, stream: TarStream) -> None:
        """One member. Every OSError becomes an error that names it."""
        path = clean(member.name)
        if not path:  # "./": the root's own attributes stay 0755 root:root, as Docker has it
            return
        if AUFS in path and _is_aufs(path):
            return
        self.entries += 1
        directory, _, name = path.rpartition(b"/")
        try:
            if name.startswith(WHITEOUT):
                self._whiteout(directory, name)
                return
            parent = self._parent(directory)
            if member.kind == tar.REGULAR or member.kind == tar.GNU_SPARSE:
                self._file(parent, path, name, member, stream)
            elif member.kind == tar.DIRECTORY:
                self._directory(parent, path, name, member)
            else:
                self._special(parent, path, name, member)
        except OSError as error:
            raise _refusal(path, error) from error
        except (OverflowError, ValueError) as error:
            raise InvalidImage(f"layer member {_shown(path)}: {error}") from error

    # Directories that members lie in

    def _parent(self, path: bytes) -> int:
        """A descriptor of the directory, made with its parents where the archive doesn't have it."""
        fd = self._parents.get(path)
        if fd is not None:
            return fd
        if any(part.startswith(WHITEOUT) for part in path.split(b"/")):
            raise InvalidImage(f"layer has files below a whiteout: {_shown(path)}")
        try:
            fd = self._open_directory(path)
        except FileNotFoundError:
            fd = self._make_parent(path)
        if len(self._parents) > OPEN_PARENTS:
            self._forget_parents()
        self._parents[path] = fd
        return fd

    def _open_directory(self, path: bytes) -> int:
        flags = os.O_PATH | os.O_DIRECTORY
        while True:
            try:
                return openat2(self.root, path, flags, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
            except BlockingIOError:  # EAGAIN: something was renamed while ".." of a symlink was walked (openat2(2))
                continue

    def _make_parent(self, path: bytes) -> int:
        """mkdir -p, with the rights that Docker gives a directory that no member describes."""
        parts = path.split(b"/")
        fd, missing = self._deepest(parts)
        for name in parts[missing:]:
            above = fd
            try:
                os.mkdir(name, 0o755, dir_fd=above)
                fd = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
            except FileExistsError as error:  # a symlink that leads nowhere; Docker refuses it as well
                raise InvalidImage(f"layer has files below {_shown(path)}, which is no directory") from error
            finally:
                os.close(above)
            if self._umask & 0o755:
                os.chmod(f"/proc/self/fd/{fd}", 0o755)  # noqa: S103 - everybody may look into a container's directories
        return fd

    def _deepest(self, parts: list[bytes]) -> tuple[int, int]:
        """The deepest directory of the way that is there, and how many parts lead to it."""
        for count in range(len(parts) - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                return self._open_directory(b"/".join(parts[:count])), count
        return os.dup(self.root), 0

    def _forget_parents(self) -> None:
        for path, fd in self._parents.items():
            if path:
                os.close(fd)
        self._parents = {b"": self.root}

    def close(self) -> None:
        self._forget_parents()

    # The kinds of members

    def _file(self, parent: int, path: bytes, name: bytes, member: Member, stream: TarStream) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        mode = member.mode
        try:
            fd = os.open(name, flags, mode & 0o777, dir_fd=parent)
        except FileExistsError:
            self._make_room(parent, path, name)
            fd = os.open(name, flags, mode & 0o777, dir_fd=parent)
        try:
            if member.holes is not None:
                _write_sparse(fd, member, stream)
                self._size += member.full_size
            else:
                body = stream.body()
                if body is None:
                    for piece in stream.pieces():
                        _write(fd, piece)
                elif body:
                    _write(fd, body)
                self._size += member.size
            # chown first, for it clears setuid bits and capabilities; utime last, for the others change it.
            if (member.uid, member.gid) != self._me:
                os.fchown(fd, *_owner(member))
            if mode & (0o7000 | self._umask):
                os.fchmod(fd, mode)
            if member.xattrs:
                _set_xattrs(fd, member.xattrs)
            os.utime(fd, ns=(member.mtime, member.mtime))
        finally:
            os.close(fd)

    def _directory(self, parent: int, path: bytes, name: bytes, member: Member) -> None:
        """Made now, but given owner, mode and time at the end: files made in it would change them or inherit."""
        try:
            os.mkdir(name, 0o755, dir_fd=parent)
        except FileExistsError:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode):
                gone_below = _is_whiteout(found)
                self._make_room(parent, path, name)
                os.mkdir(name, 0o755, dir_fd=parent)
                if gone_below:
                    self._set_opaque(path)
        self._directories.pop(path, None)
        self._directories[path] = member

    def _special(self, parent: int, path: bytes, name: bytes, member: Member) -> None:
        """Links, devices and pipes: nothing that has bytes."""
        if member.kind == tar.HARD_LINK:
            self._hard_link(parent, path, name, member)
            return
        for _ in range(2):
            try:
                if member.kind == tar.SYMLINK:
                    os.symlink(member.link, name, dir_fd=parent)
                    self._size += len(member.link)
                else:
                    device = os.makedev(_device_number(member.major), _device_number(member.minor))
                    os.mknod(name, DEVICE_TYPES[member.kind] | (member.mode & 0o777), device, dir_fd=parent)
                break
            except FileExistsError:
                self._make_room(parent, path, name)
        if (member.uid, member.gid) != self._me:
            os.chown(name, *_owner(member), dir_fd=parent, follow_symlinks=False)
        if member.kind != tar.SYMLINK:  # which have no modes on Linux; what we just made is none, so chmod may follow
            os.chmod(name, member.mode, dir_fd=parent)
        if member.xattrs:
            # setxattr(2) takes no directory descriptor; /proc/self/fd/N leads to it, and lsetxattr(2) stops there
            _set_xattrs(os.fsencode(f"/proc/self/fd/{parent}/") + name, member.xattrs)
        os.utime(name, ns=(member.mtime, member.mtime), dir_fd=parent, follow_symlinks=False)

    def _hard_link(self, parent: int, path: bytes, name: bytes, member: Member) -> None:
        """To a file of this layer only: overlayfs can't link across layers, and Docker refuses it too."""
        target = clean(member.link)
        if target == path or not target:
            raise InvalidImage(f"layer member {_shown(path)} is a hard link to itself or the root")
        directory, _, base = target.rpartition(b"/")
        try:
            source = self._open_directory(directory) if directory else os.dup(self.root)
            try:
                self._link(source, base, parent, path, name)
            finally:
                os.close(source)
        except FileNotFoundError as error:
            raise InvalidImage(
                f"layer member {_shown(path)} is a hard link to {_shown(target)}, which is not in this layer"
            ) from error

    def _link(self, source: int, base: bytes, parent: int, path: bytes, name: bytes) -> None:
        for _ in range(2):
            try:
                os.link(base, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
                return
            except FileExistsError:
                self._make_room(parent, path, name)

    def _whiteout(self, directory: bytes, name: bytes) -> None:
        if name == OPAQUE:
            self._parent(directory)
            self._set_opaque(directory)
            return
        hidden = name[len(WHITEOUT) :]
        if hidden in (b"", b".", b".."):
            raise InvalidImage(f"layer has a whiteout of nothing that can be named: {_shown(name)}")
        parent = self._parent(directory)
        try:
            os.mknod(hidden, stat.S_IFCHR, 0, dir_fd=parent)
        except FileExistsError:
            # The layer has something of that name: it hides what is below by itself, a directory when it is opaque.
            if stat.S_ISDIR(os.stat(hidden, dir_fd=parent, follow_symlinks=False).st_mode):
                self._set_opaque(directory + b"/" + hidden if directory else hidden)

    def _set_opaque(self, path: bytes) -> None:
        fd = os.open(f"/proc/self/fd/{self._parent(path)}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.setxattr(fd, "trusted.overlay.opaque", b"y")
        finally:
            os.close(fd)
        self.opaque = self.opaque or not path

    def _make_room(self, parent: int, path: bytes, name: bytes) -> None:
        """Of two members with one name the later one stays; a directory that stays one is not given to this."""
        self._forget_parents_except(parent)
        prefix = path + b"/"
        for known in [known for known in self._directories if known == path or known.startswith(prefix)]:
            del self._directories[known]
        remove_tree(name, dir_fd=parent)
        self._replaced = True

    def _forget_parents_except(self, keep: int) -> None:
        """Descriptors may be of directories that are about to go; the one in use lies above them."""
        kept = {path: fd for path, fd in self._parents.items() if fd == keep or not path}
        for path, fd in self._parents.items():
            if path not in kept:
                os.close(fd)
        self._parents = kept

    # The end

    def finish(self) -> None:
        """Owner, mode and time of directories, deepest first: nothing is made in them any more."""
        self._forget_parents()
        for path, member in reversed(self._directories.items()):
            try:
                fd = openat2(
                    self.root, path, os.O_RDONLY | os.O_DIRECTORY, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
                )
            except OSError as error:
                raise _refusal(path, error) from error
            try:
                os.fchown(fd, *_owner(member))
                os.fchmod(fd, member.mode)
                if member.xattrs:
                    _set_xattrs(fd, member.xattrs)
                os.utime(fd, ns=(member.mtime, member.mtime))
            except OSError as error:
                raise _refusal(path, error) from error
            finally:
                os.close(fd)

    def measure(self) -> int:
        """Bytes of all files. Counted on the way, but for a layer that replaced its own files."""
        return tree_size(self.root) if self._replaced else self._size


# Small things


def clean(name: bytes) -> bytes:
    """A member's name below the root, without leading "/" and "./" (absolute names count from the root, as in Docker).

    Empty for the root itself. Raises InvalidImage for "..": no honest tool writes that into a layer.
    """
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise InvalidImage(f"layer member {_shown(name)} has .. in its name")
    path = b"/".join(parts)
    if len(path) > MAX_PATH:
        raise InvalidImage(f"layer member {_shown(path[:60])}… has a name of more than {MAX_PATH} bytes")
    return path


def _is_aufs(path: bytes) -> bool:
    directory, _, name = path.rpartition(b"/")
    return b"/" + AUFS in b"/" + directory or (name.startswith(AUFS) and name != OPAQUE)


def _shown(path: bytes) -> str:
    return ascii(os.fsdecode(path))


def _is_whiteout(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _owner(member: Member) -> tuple[int, int]:
    if not (0 <= member.uid <= MAX_ID and 0 <= member.gid <= MAX_ID):
        raise InvalidImage(f"layer member {_shown(member.name)} has the impossible owner {member.uid}:{member.gid}")
    return member.uid, member.gid


def _device_number(number: int) -> int:
    if not 0 <= number < 1 << 32:
        raise InvalidImage(f"layer has a device with the impossible number {number}")
    return number


def _write(fd: int, data: bytes) -> None:
    written = os.write(fd, data)
    while written < len(data):
        data = data[written:]
        written = os.write(fd, data)


def _write_sparse(fd: int, member: Member, stream: TarStream) -> None:
    for offset, length in member.holes or ():
        os.lseek(fd, offset, os.SEEK_SET)
        for piece in stream.pieces(length):
            _write(fd, piece)
    os.ftruncate(fd, member.full_size)


def _set_xattrs(target: int | bytes, xattrs: dict[str, bytes]) -> None:
    """On a descriptor, or on a path whose last part is not followed."""
    for name, value in xattrs.items():
        if name.startswith(REFUSED_XATTRS):
            raise InvalidImage(f"layer sets the attribute {name!a}, which only the engine may")
        try:
            os.setxattr(target, name, value, follow_symlinks=isinstance(target, int))
        except OSError as error:
            # Labels of SELinux mean nothing on a host without it, and Docker drops what a file system can't keep.
            # A capability is no decoration: ping wouldn't work without it.
            if error.errno != errno.ENOTSUP or name == "security.capability":
                raise


def _current_umask() -> int:
    """umask(2) can only be read by changing it, for all threads; proc(5) tells without."""
    with open("/proc/self/status", "rb") as status:
        for line in status:
            if line.startswith(b"Umask:"):
                return int(line[6:], 8)
    return 0o777  # Linux before 4.7: set every mode explicitly


def _refusal(path: bytes, error: OSError) -> MinidockError:
    """The archive's fault or the machine's?"""
    message = f"can't unpack layer member {_shown(path)}: {os.strerror(error.errno or 0)}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM):
        return MinidockError(message)
    if error.errno == errno.EPERM and os.geteuid() != 0:
        return MinidockError(message, hint="unpacking layers with owners and devices needs root: try sudo")
    return InvalidImage(message)
