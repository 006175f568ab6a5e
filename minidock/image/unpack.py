"""A layer's tar → a directory that overlayfs can use as one of its lower directories.

Layers are hostile (DESIGN 5.3), so no name is ever resolved as a string: the directory that a member belongs to is
opened with openat2(2) RESOLVE_IN_ROOT, for which the layer's directory is "/" whatever symlinks and ".." say, and the
member itself is made with a call relative to that descriptor which doesn't follow a symlink at the end.

Each layer is unpacked alone, as Docker's overlay2 does: what lies below it is not seen. Whiteouts, which say that
something below is gone, become what overlayfs wants instead (Documentation/filesystems/overlayfs.rst):

    .wh.NAME          a character device 0:0 called NAME
    .wh..wh..opq      the extended attribute trusted.overlay.opaque=y on its directory (names.opaque_attribute)
"""

from __future__ import annotations

import errno
import os
import stat

import msgspec

from minidock.errors import InvalidImage, MinidockError
from minidock.kernel.syscalls import KEEP_OWNER, make_file
from minidock.whoami import in_user_namespace

from . import tarheader as tar
from .attributes import current_umask, device_number, fill, owner, set_xattrs
from .compression import Read
from .names import OPAQUE, WHITEOUT, clean, is_aufs, opaque_attribute, shown
from .parents import Parents
from .tarheader import Member
from .tarstream import TarStream
from .trees import remove_tree, tree_size

MACHINES_FAULT = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
DEVICE_TYPES = {tar.CHARACTER: stat.S_IFCHR, tar.BLOCK_DEVICE: stat.S_IFBLK, tar.FIFO: stat.S_IFIFO}


class Unpacked(msgspec.Struct, frozen=True):
    """`size`: bytes of all files, hard links once, as Docker counts; `opaque`: nothing below this layer is seen;
    `directories`: those that have a member of their own, unless it is a layer."""

    size: int
    entries: int
    opaque: bool
    directories: frozenset[bytes] = frozenset()


def unpack(read: Read, directory: str | os.PathLike[str], *, is_layer: bool = True) -> Unpacked:
    """Unpack a plain tar into an empty directory, and read the stream to its end. Raises InvalidImage, MinidockError.

    Of what is no layer, but some files, `.wh.NAME` is a name like any other.

    After an error the directory holds what came before it: the caller removes it.
    """
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        unpacker = Unpacker(root, is_layer=is_layer)
        stream = TarStream(read)
        try:
            for member in stream:
                unpacker.add(member, stream)
            unpacker.finish()
        finally:
            unpacker.parents.forget()
        stream.drain()
        described = frozenset() if is_layer else frozenset(unpacker.directories)
        return Unpacked(unpacker.measure(), unpacker.entries, unpacker.opaque, described)
    finally:
        os.close(root)


class Unpacker:
    """The directory being filled: open descriptors of directories, and what is to be done to directories at the end."""

    what = "layer member"
    """How errors name a file."""

    def __init__(self, root: int, *, is_layer: bool = True) -> None:
        self.root = root
        self.is_layer = is_layer
        self.base = b""
        """Where in the root the archive's names begin, ending in a slash."""
        self.entries = 0
        self.opaque = False
        self._size = 0
        self._replaced = False
        self.directories: dict[bytes, Member] = {}
        self._umask = current_umask()
        self.parents = Parents(root, self._umask, whiteouts=is_layer)
        self._me = (os.geteuid(), os.getegid())

    def add(self, member: Member, stream: TarStream) -> None:
        """One member. Every OSError becomes an error that names it."""
        path = clean(member.name)
        if not path:  # "./": the root's own attributes stay 0755 root:root, as Docker has it
            return
        special = self.is_layer and WHITEOUT in path
        if special and is_aufs(path):
            return
        self.entries += 1
        if special:
            directory, _, name = path.rpartition(b"/")
            try:
                if name.startswith(WHITEOUT):
                    self._whiteout(directory, name)
                    return
            except OSError as error:
                raise self.refusal(path, error) from error
        self.put(path, member, stream)

    def put(self, path: bytes, member: Member, stream: TarStream) -> None:
        """Make the file, whatever its name means to others."""
        directory, _, name = path.rpartition(b"/")
        try:
            parent = self.parents.get(directory)
            if member.kind == tar.REGULAR or member.kind == tar.GNU_SPARSE:
                self._file(parent, path, name, member, stream)
            elif member.kind == tar.DIRECTORY:
                self._directory(parent, path, name, member)
            else:
                self._special(parent, path, name, member)
        except OSError as error:
            raise self.refusal(path, error) from error
        except (OverflowError, ValueError) as error:
            raise InvalidImage(f"{self.what} {shown(path)}: {error}") from error

    # The kinds of members

    def _file(self, parent: int, path: bytes, name: bytes, member: Member, stream: TarStream) -> None:
        body = stream.body() if member.holes is None and member.xattrs is None else None
        if body is None:
            self._large_file(parent, path, name, member, stream)
            return
        mode, mine = member.mode, (member.uid, member.gid) == self._me
        uid, gid = (KEEP_OWNER, KEEP_OWNER) if mine else owner(member)
        chmod = mode & (0o7000 | self._umask) != 0
        try:
            make_file(parent, name, *body, member.size, uid, gid, mode, chmod, member.mtime)
        except FileExistsError:
            self.make_room(parent, path, name)
            make_file(parent, name, *body, member.size, uid, gid, mode, chmod, member.mtime)
        self._size += member.size

    def _large_file(self, parent: int, path: bytes, name: bytes, member: Member, stream: TarStream) -> None:
        """Also those with holes or attributes: step by step."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        mode = member.mode
        try:
            fd = os.open(name, flags, mode & 0o777, dir_fd=parent)
        except FileExistsError:
            self.make_room(parent, path, name)
            fd = os.open(name, flags, mode & 0o777, dir_fd=parent)
        try:
            self._size += fill(fd, member, stream, mine=(member.uid, member.gid) == self._me, umask=self._umask)
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
                self.make_room(parent, path, name)
                os.mkdir(name, 0o755, dir_fd=parent)
                if gone_below:
                    self._set_opaque(path)
        self.directories.pop(path, None)
        self.directories[path] = member

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
                    device = os.makedev(device_number(member.major), device_number(member.minor))
                    os.mknod(name, DEVICE_TYPES[member.kind] | (member.mode & 0o777), device, dir_fd=parent)
                break
            except FileExistsError:
                self.make_room(parent, path, name)
            except PermissionError:
                if member.kind not in (tar.CHARACTER, tar.BLOCK_DEVICE) or not in_user_namespace():
                    raise
                return  # there nobody can make a device, nor use one that an image has brought: containerd skips it too
        if (member.uid, member.gid) != self._me:
            os.chown(name, *owner(member), dir_fd=parent, follow_symlinks=False)
        if member.kind != tar.SYMLINK:  # which have no modes on Linux; what we just made is none, so chmod may follow
            os.chmod(name, member.mode, dir_fd=parent)
        if member.xattrs:
            # setxattr(2) takes no directory descriptor; /proc/self/fd/N leads to it, and lsetxattr(2) stops there
            set_xattrs(os.fsencode(f"/proc/self/fd/{parent}/") + name, member.xattrs)
        os.utime(name, ns=(member.mtime, member.mtime), dir_fd=parent, follow_symlinks=False)

    def _hard_link(self, parent: int, path: bytes, name: bytes, member: Member) -> None:
        """To a file of this layer only: overlayfs can't link across layers, and Docker refuses it too."""
        target = self.base + clean(member.link)
        if target in (path, self.base):
            raise InvalidImage(f"{self.what} {shown(path)} is a hard link to itself or the root")
        directory, _, base = target.rpartition(b"/")
        try:
            source = self.parents.open(directory) if directory else os.dup(self.root)
            try:
                self._link(source, base, parent, path, name)
            finally:
                os.close(source)
        except FileNotFoundError as error:
            raise InvalidImage(
                f"{self.what} {shown(path)} is a hard link to {shown(target)}, which is not in this layer"
            ) from error

    def _link(self, source: int, base: bytes, parent: int, path: bytes, name: bytes) -> None:
        for _ in range(2):
            try:
                os.link(base, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
                return
            except FileExistsError:
                self.make_room(parent, path, name)

    def _whiteout(self, directory: bytes, name: bytes) -> None:
        if name == OPAQUE:
            self.parents.get(directory)
            self._set_opaque(directory)
            return
        hidden = name[len(WHITEOUT) :]
        if hidden in (b"", b".", b".."):
            raise InvalidImage(f"layer has a whiteout of nothing that can be named: {shown(name)}")
        parent = self.parents.get(directory)
        try:
            os.mknod(hidden, stat.S_IFCHR, 0, dir_fd=parent)
        except FileExistsError:
            # The layer has something of that name: it hides what is below by itself, a directory when it is opaque.
            if stat.S_ISDIR(os.stat(hidden, dir_fd=parent, follow_symlinks=False).st_mode):
                self._set_opaque(directory + b"/" + hidden if directory else hidden)

    def _set_opaque(self, path: bytes) -> None:
        fd = os.open(f"/proc/self/fd/{self.parents.get(path)}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.setxattr(fd, opaque_attribute(), b"y")
        finally:
            os.close(fd)
        self.opaque = self.opaque or not path

    def make_room(self, parent: int, path: bytes, name: bytes) -> None:
        """Of two members with one name the later one stays; a directory that stays one is not given to this."""
        self.parents.forget(keep=parent)  # which lies above what goes
        prefix = path + b"/"
        for known in [known for known in self.directories if known == path or known.startswith(prefix)]:
            del self.directories[known]
        remove_tree(name, dir_fd=parent)
        self._replaced = True

    # The end

    def finish(self) -> None:
        """Owner, mode and time of directories, deepest first: nothing is made in them any more."""
        self.parents.forget()
        for path, member in reversed(self.directories.items()):
            try:
                fd = self.parents.open(path, os.O_RDONLY)
            except OSError as error:
                raise self.refusal(path, error) from error
            try:
                os.fchown(fd, *owner(member))
                os.fchmod(fd, member.mode)
                if member.xattrs:
                    set_xattrs(fd, member.xattrs)
                os.utime(fd, ns=(member.mtime, member.mtime))
            except OSError as error:
                raise self.refusal(path, error) from error
            finally:
                os.close(fd)

    def refusal(self, path: bytes, error: OSError) -> MinidockError:
        """The archive's fault or the machine's?"""
        message = f"can't unpack {self.what} {shown(path)}: {os.strerror(error.errno or 0)}"
        if error.errno in MACHINES_FAULT:
            return MinidockError(message)
        if error.errno == errno.EPERM and os.geteuid() != 0:
            return MinidockError(message, hint="unpacking layers with owners and devices needs root: try sudo")
        return InvalidImage(message)

    def measure(self) -> int:
        """Bytes of all files. Counted on the way, but for a layer that replaced its own files."""
        return tree_size(self.root) if self._replaced else self._size


def _is_whiteout(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0
