"""The words of fstab, as the numbers of the mount calls.

runtime-spec config.md ("Linux mount options") lists the words. Each sets or clears an attribute of one mount
(MOUNT_ATTR_*), changes how it propagates (MS_SHARED and so on), or belongs to the file system and is handed to it.
"""

from __future__ import annotations

import msgspec

# linux/mount.h
RDONLY, NOSUID, NODEV, NOEXEC = 0x1, 0x2, 0x4, 0x8
ATIME_MASK, NOATIME, STRICTATIME, NODIRATIME = 0x70, 0x10, 0x20, 0x80
NOSYMFOLLOW = 0x200000
# sys/mount.h, linux/fs.h
MS_RDONLY = 1
MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED = 1 << 17, 1 << 18, 1 << 19, 1 << 20
MS_REC = 1 << 14

# word: (bits to set, bits to clear)
ATTRIBUTES = {
    "ro": (RDONLY, 0),
    "rw": (0, RDONLY),
    "nosuid": (NOSUID, 0),
    "suid": (0, NOSUID),
    "nodev": (NODEV, 0),
    "dev": (0, NODEV),
    "noexec": (NOEXEC, 0),
    "exec": (0, NOEXEC),
    "noatime": (NOATIME, ATIME_MASK),
    "atime": (0, ATIME_MASK),
    "relatime": (0, ATIME_MASK),
    "norelatime": (0, ATIME_MASK),
    "strictatime": (STRICTATIME, ATIME_MASK),
    "nostrictatime": (0, ATIME_MASK),
    "nodiratime": (NODIRATIME, 0),
    "diratime": (0, NODIRATIME),
    "nosymfollow": (NOSYMFOLLOW, 0),
    "symfollow": (0, NOSYMFOLLOW),
}

SUPERBLOCK = ("sync", "async", "dirsync", "lazytime", "nolazytime", "mand", "nomand")
"""Of the file system, whoever mounts it: fsconfig(2) knows these for every kind."""

IDLE = ("defaults", "loud", "silent")
"""mount(2) has flags for them and fsconfig(2) nothing: how much is logged of a mount that fails, which the error has
here anyway."""

REMOUNT = ("remount", "iversion", "noiversion")
"""For kernel/remount.py."""

# sys/mount.h: what mount(2) has bits of its own for, as (bits to set, bits to clear).
MS_NOATIME, MS_NODIRATIME, MS_RELATIME, MS_STRICTATIME = 1 << 10, 1 << 11, 1 << 21, 1 << 24
_ATIMES = MS_NOATIME | MS_RELATIME | MS_STRICTATIME
OLD_FLAGS = {
    "sync": (1 << 4, 0),
    "async": (0, 1 << 4),
    "mand": (1 << 6, 0),
    "nomand": (0, 1 << 6),
    "dirsync": (1 << 7, 0),
    "lazytime": (1 << 25, 0),
    "nolazytime": (0, 1 << 25),
    "iversion": (1 << 23, 0),
    "noiversion": (0, 1 << 23),
    "silent": (1 << 15, 0),
    "loud": (0, 1 << 15),
    "noatime": (MS_NOATIME, _ATIMES),
    "atime": (0, MS_NOATIME),
    "relatime": (MS_RELATIME, _ATIMES),
    "norelatime": (0, MS_RELATIME),
    "strictatime": (MS_STRICTATIME, _ATIMES),
    "nostrictatime": (0, MS_STRICTATIME),
    "nodiratime": (MS_NODIRATIME, 0),
    "diratime": (0, MS_NODIRATIME),
    "nosymfollow": (1 << 8, 0),
    "symfollow": (0, 1 << 8),
}

LINKS = ("src-nofollow", "dest-nofollow", "copy-symlink")
"""crun's, of a bind mount: a source or a place that is a symbolic link is meant itself, or is made anew instead."""

PROPAGATION = {"private": MS_PRIVATE, "shared": MS_SHARED, "slave": MS_SLAVE, "unbindable": MS_UNBINDABLE}


class Options(msgspec.Struct, frozen=True):
    """The parsed words. `attr_*` are for this mount, `rec_*` for all mounts below too; `data` is the file system's."""

    attr_set: int = 0
    attr_clr: int = 0
    rec_set: int = 0
    rec_clr: int = 0
    propagation: int = 0
    propagation_recursive: bool = False
    bind: bool = False
    recursive: bool = False
    copy_up: bool = False
    mapped: bool = False
    mapped_recursively: bool = False
    data: list[str] = []


def known() -> list[str]:
    """Every word that means something here; others are the file system's."""
    words = [*ATTRIBUTES, *PROPAGATION]
    more = ["bind", "rbind", "tmpcopyup", "idmap", "ridmap", *SUPERBLOCK, *IDLE, *REMOUNT, *LINKS]
    return sorted([*words, *(f"r{word}" for word in words), *more])


def parse(words: list[str]) -> Options:
    """Later words win over earlier ones, as in mount(8)."""
    attr = [0, 0]
    rec = [0, 0]
    propagation, propagation_recursive = 0, False
    bind = recursive = copy_up = mapped = mapped_recursively = False
    data = []
    for word in words:
        if word in ATTRIBUTES:
            _change(attr, *ATTRIBUTES[word])
        elif word[:1] == "r" and word[1:] in ATTRIBUTES:
            _change(rec, *ATTRIBUTES[word[1:]])
        elif word in PROPAGATION:
            propagation, propagation_recursive = PROPAGATION[word], False
        elif word[:1] == "r" and word[1:] in PROPAGATION:
            propagation, propagation_recursive = PROPAGATION[word[1:]], True
        elif word in ("bind", "rbind"):
            bind, recursive = True, recursive or word == "rbind"  # both words: the flags are or-ed, as by mount(2)
        elif word == "tmpcopyup":
            copy_up = True
        elif word in ("idmap", "ridmap"):
            mapped, mapped_recursively = True, word == "ridmap"
        elif word not in (*IDLE, *LINKS, *REMOUNT):
            data.append(word)
    return Options(
        attr_set=attr[0],
        attr_clr=attr[1],
        rec_set=rec[0],
        rec_clr=rec[1],
        propagation=propagation,
        propagation_recursive=propagation_recursive,
        bind=bind,
        recursive=recursive,
        copy_up=copy_up,
        mapped=mapped,
        mapped_recursively=mapped_recursively,
        data=data,
    )


# What the kernel doesn't let a user namespace take off a mount that it was given: mount_namespaces(7), "Restrictions".
LOCKABLE = {"ro": RDONLY, "nosuid": NOSUID, "nodev": NODEV, "noexec": NOEXEC}
ATIMES = {"noatime", "nodiratime", "relatime", "strictatime"}
AGAINST = {
    "rw": "ro", "suid": "nosuid", "dev": "nodev", "exec": "noexec", "symfollow": "nosymfollow",
    "atime": "noatime", "diratime": "nodiratime", "norelatime": "relatime", "nostrictatime": "strictatime",
}  # fmt: skip
"""Which word each of these takes back."""


def of_bind(words: list[str]) -> tuple[int, int]:
    """What a bind mount with these words gets, and what is taken off it: attributes for mount_setattr(2).

    As runc has it, and mount(8) nearly. Without any word the copy stays as its source is. With one, it has what was
    asked for and nothing else: it is writable unless there is `ro`. But when a file was read is noted as at the source,
    unless another way is asked for: relatime is what is not said then.
    """
    asked = _standing(words)
    if not asked:
        return 0, 0
    to_set = sum(ATTRIBUTES[word][0] for word in (*LOCKABLE, "nosymfollow") if word in asked)
    to_clear = (RDONLY | NOSUID | NODEV | NOEXEC | NOSYMFOLLOW) & ~to_set
    if asked & ATIMES:
        when = STRICTATIME if "strictatime" in asked else NOATIME if "noatime" in asked else 0
        directories = NODIRATIME if "nodiratime" in asked else 0
        return to_set | when | directories, to_clear | ATIME_MASK | NODIRATIME & ~directories
    return to_set, to_clear


def of_locked(words: list[str], found: set[str]) -> tuple[int, int] | None:
    """The same once the kernel has refused it for a user namespace: what the mount has already, `found`, stays. None
    when that is not what was asked for."""
    asked = _standing(words)
    if found & {AGAINST[word] for word in asked if word in AGAINST} & (LOCKABLE.keys() | ATIMES):
        return None
    if asked & ATIMES and asked & ATIMES != found & ATIMES:
        return None
    to_set, to_clear = of_bind([word for word in words if word not in ATIMES])
    stay = sum(LOCKABLE[word] for word in found & LOCKABLE.keys())
    return to_set | stay, to_clear & ~stay


def _standing(words: list[str]) -> set[str]:
    """The words for attributes of this one mount that no later one takes back."""
    last = {AGAINST.get(word, word): word for word in words if word in ATTRIBUTES}
    return set(last.values())


def _change(bits: list[int], to_set: int, to_clear: int) -> None:
    bits[0] = bits[0] & ~to_clear | to_set
    bits[1] = bits[1] & ~to_set | to_clear


def demo() -> None:
    """The words of an fstab line, taken apart."""
    words = ["ro", "nosuid", "noexec", "rbind", "rprivate", "size=64m"]
    print(f"{','.join(words)}: {parse(words)}")


if __name__ == "__main__":
    demo()
